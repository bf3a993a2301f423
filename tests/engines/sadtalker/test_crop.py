"""Where SadTalker's networks look in a picture: crops stay inside it and keep the face."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.engines.sadtalker.crop import MODES, Box, as_mode, face_crop
from sadtalker_ext.engines.sadtalker.face3d import align_to_model, aligned_picture, five_points
from sadtalker_ext.engines.sadtalker.render.source import MODEL_POINTS

# A schematic face: the centres of its 68 points' parts around (0, 0), the eyes one unit apart.
EYES = {"left": (-0.5, 0.0), "right": (0.5, 0.0)}


def face(x: float, y: float, size: float, lean: float = 0.0) -> np.ndarray:
    """68 points of a face whose eyes are `size` px apart and lie around (x, y), leaning by `lean` rad."""
    points = np.zeros((68, 2))
    points[:17] = np.stack([np.cos(np.linspace(np.pi, 0, 17)), 1.6 * np.sin(np.linspace(np.pi, 0, 17))], 1)
    points[17:36] = (0, 0.5)
    points[30] = (0, 0.6)
    turns = np.linspace(0, 2 * np.pi, 7)[:6]
    for first, (cx, cy) in ((36, EYES["left"]), (42, EYES["right"])):
        points[first : first + 6] = np.stack([cx - 0.15 * np.cos(turns), cy - 0.06 * np.sin(turns)], 1)
    points[48:] = (0, 1.1)
    points[48], points[54] = (-0.35, 1.1), (0.35, 1.1)
    turn = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    return points @ turn.T * size + (x, y)


def test_modes_are_named() -> None:
    assert [as_mode(name) for name in MODES] == list(MODES)
    with pytest.raises(ValueError, match="no crop mode"):
        as_mode("half")


def test_the_inner_box_lies_in_the_outer_and_holds_the_face() -> None:
    landmarks = face(200, 180, 60)
    crop = face_crop(landmarks, 400, 480)
    inner, outer = crop.inner, crop.outer
    assert outer.left < inner.left < inner.right < outer.right
    assert outer.top < inner.top < inner.bottom < outer.bottom
    low, high = landmarks[17:].min(0), landmarks[17:].max(0)
    assert (inner.left, inner.top) < tuple(low)
    assert tuple(high) < (inner.right, inner.bottom)
    assert abs(inner.width - inner.height) <= 2
    assert crop.box("crop") == crop.box("full") == inner
    assert crop.box("extcrop") == crop.box("extfull") == outer
    assert crop.box("resize") == Box(0, 0, 400, 480)


@pytest.mark.parametrize("lean", [-0.6, 0.0, 0.9])
@pytest.mark.parametrize(("x", "y"), [(20, 240), (380, 240), (200, 10), (200, 460), (395, 470), (200, 240)])
def test_boxes_stay_inside_the_picture(x: float, y: float, lean: float) -> None:
    crop = face_crop(face(x, y, 80, lean), 400, 480)
    for box in (crop.inner, crop.outer):
        assert 0 <= box.left < box.right <= 400
        assert 0 <= box.top < box.bottom <= 480


def test_a_tall_crop_keeps_its_chin() -> None:
    """The reference clamped the bottom with the picture's width: in portraits the chin was cut off."""
    crop = face_crop(face(100, 250, 70), 200, 600)
    assert crop.inner.height > 200 * 1.2
    assert crop.inner.bottom > crop.outer.top + 200


def test_huge_faces_are_shrunk_first() -> None:
    crop = face_crop(face(1500, 1500, 800), 3000, 4000)
    assert crop.picture == (1000, 1333)
    assert crop.outer.right <= 1000
    small = face_crop(face(500, 500, 800 / 3), 1000, 1333)
    assert np.abs(np.subtract(crop.inner, small.inner)).max() <= 1


@pytest.mark.parametrize(
    ("x", "size"),
    [
        (200, 60),  # whole corners of the square
        (200.5, 60),  # halves, for the inner box
        (200, 61.25),  # half a pixel of border
        (1500, 512),  # twice the size above which faces are shrunk
    ],
)
def test_last_bits_move_no_crop(x: float, size: float) -> None:
    """They differ from one processor's linear algebra to another's."""
    landmarks, rng = face(x, x, size), np.random.default_rng(0)
    found = {face_crop(landmarks + rng.uniform(-1e-9, 1e-9, landmarks.shape), 4000, 4000) for _ in range(20)}
    assert found == {face_crop(landmarks, 4000, 4000)}


def test_last_bits_move_no_alignment() -> None:
    """A face that lies exactly under the model: scaled, its picture is whole pixels large."""
    noise, rng = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8), np.random.default_rng(0)
    points = (MODEL_POINTS[:, :2] + 1) * 128
    found = {
        aligned_picture(noise, align_to_model(points + shift, MODEL_POINTS, 256, 256)).tobytes()
        for shift in rng.uniform(-1e-9, 1e-9, (20, *points.shape))
    }
    assert len(found) == 1


def test_alignment_lays_the_face_under_the_model() -> None:
    landmarks = face(128, 100, 60)
    upwards = np.column_stack([landmarks[:, 0], 255 - landmarks[:, 1]])
    points = five_points(upwards)
    alignment = align_to_model(points, MODEL_POINTS, 256, 256)
    twice = align_to_model(points * 2, MODEL_POINTS, 512, 512)
    assert twice.scale == pytest.approx(alignment.scale / 2)
    assert (twice.t_x, twice.t_y) == pytest.approx((2 * alignment.t_x, 2 * alignment.t_y))


def test_what_lies_beyond_the_picture_is_black() -> None:
    quarter = (MODEL_POINTS[:, :2] + 1) / 2 * 64
    alignment = align_to_model(quarter, MODEL_POINTS, 256, 256)
    aligned = aligned_picture(np.full((256, 256, 3), 200, np.uint8), alignment)
    assert aligned.shape == (224, 224, 3)
    assert (aligned[:, 0] == 0).all()
    assert (aligned == 200).any()
