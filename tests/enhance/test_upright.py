"""Faces come upright into the square, and back to where they were."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.enhance import upright
from sadtalker_ext.enhance.follow import Follower
from sadtalker_ext.face.mean import mean_face


def laid(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


@pytest.mark.parametrize("seed", range(20))
def test_a_similarity_is_found_again(seed):
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-3, 3), rng.uniform(0.2, 5)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wanted = np.column_stack([turn, rng.uniform(-99, 99, 2)])
    points = rng.uniform(0, 100, (5, 2))
    found = upright.similarity(points, laid(wanted, points))
    assert np.allclose(found, wanted, atol=1e-6)
    assert np.allclose(laid(upright.inverse(found), laid(found, points)), points, atol=1e-6)
    assert np.allclose(upright.followed_by(found, upright.inverse(found)), np.eye(2, 3), atol=1e-6)


@pytest.mark.parametrize("turn_deg", [0, 30, -90, 180])
def test_a_leaning_face_stands_upright(turn_deg):
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mesh = mean_face().points[:, :2] @ turn.T * 300 + 500
    points = laid(upright.upright(mesh), upright.five_points(mesh))
    assert np.abs(points - upright.PLACES).max() < 25  # the mean face is not quite FFHQ's
    assert abs(points[0, 1] - points[1, 1]) < 5


def test_the_mask_covers_the_face_and_fades():
    mesh = mean_face().points[:, :2] * 300 + 500
    place = upright.upright(mesh)
    mask = upright.face_mask(mesh, place)
    assert mask.shape == (512, 512)
    assert mask.dtype == np.float32
    for x, y in upright.PLACES:
        assert mask[int(y), int(x)] == 1
    assert mask[0].max() == mask[:, 0].max() == mask[-1].max() == mask[:, -1].max() == 0
    assert np.abs(np.diff(mask, axis=0)).max() < 0.1


@pytest.mark.parametrize(("dx", "dy", "turn_deg", "scale"), [(6, -4, 0, 1), (0, 0, 8, 1), (3, 2, -5, 1.06)])
def test_the_head_is_followed(portrait, dx, dy, turn_deg, scale):
    import cv2

    follower = Follower(portrait.image, portrait.face.landmarks)
    matrix = cv2.getRotationMatrix2D((120, 120), turn_deg, scale)
    matrix[:, 2] += (dx, dy)
    frame = cv2.warpAffine(portrait.image, matrix, (240, 240), borderMode=cv2.BORDER_REFLECT)
    found = follower(frame)
    points = np.array([[90.0, 100], [150, 100], [120, 150]])
    assert np.abs(laid(found, laid(matrix, points)) - points).max() < 0.7


def test_a_still_head_is_where_it_was(portrait):
    follower = Follower(portrait.image, portrait.face.landmarks)
    noisy = portrait.image.astype(int) + np.random.default_rng(1).integers(-2, 3, portrait.image.shape)
    assert np.array_equal(follower(np.clip(noisy, 0, 255).astype(np.uint8)), np.eye(2, 3))


@pytest.mark.parametrize("frame", ["black", "noise"])
def test_what_shows_no_head_keeps_the_last_place(portrait, frame):
    follower = Follower(portrait.image, portrait.face.landmarks)
    shown = np.zeros_like(portrait.image)
    if frame == "noise":
        shown = np.random.default_rng(3).integers(0, 256, shown.shape, dtype=np.uint8)
    found = follower(shown)
    assert np.isfinite(found).all()
    assert 0.7 < np.hypot(*found[:, 0]) < 1.4


def test_a_picture_without_texture_is_no_mistake(portrait):
    follower = Follower(np.full_like(portrait.image, 90), portrait.face.landmarks)
    assert np.array_equal(follower(portrait.image), np.eye(2, 3))
