"""The inside of a mouth: teeth, tongue and dark, lit like the face, steady and never glaring."""

from __future__ import annotations

from types import ModuleType

import cv2
import numpy as np
import pytest

from sadtalker_ext.engines.instant.warp.mouth import MouthInterior
from sadtalker_ext.engines.instant.warp.mouth_art import lower_teeth, tongue, upper_teeth
from sadtalker_ext.engines.instant.warp.style import flatness

Mouth = tuple[MouthInterior, np.ndarray, np.ndarray]  # with the mesh and the picture it was made of
WIDTH = 220.0
POSE = {"jaw": 0.6, "gap": 0.06, "rounding": 0.0, "teeth": 0.4, "tongue": 0.0}


def interior(face: ModuleType, gap: float = 0.0, dim: float = 1.0, **how: bool) -> Mouth:
    points = face.mesh(WIDTH, gap=gap)
    picture = (face.paint(points, **how) * dim).astype(np.uint8)
    return MouthInterior(picture, points, WIDTH, face.SKIN * dim), points, picture


def window(points: np.ndarray, width: float = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """Source positions of the pixels about the mouth of a face at rest."""
    x, y = points[13, :2]
    across = np.arange(int(x - 0.17 * width), int(x + 0.17 * width), dtype=np.float32)
    down = np.arange(int(y - 0.02 * width), int(y + 0.10 * width), dtype=np.float32)
    x_at, y_at = np.meshgrid(across, down)
    return x_at, y_at


def draw(mouth: MouthInterior, points: np.ndarray, sunk: float = 0.06, **pose: float) -> np.ndarray:
    """The inside with the jaw `sunk` face widths."""
    x, y = window(points)
    return mouth.draw(x, y, x, y - np.float32(sunk * WIDTH), **{**POSE, **pose})


@pytest.fixture(scope="module")
def closed(face: ModuleType) -> Mouth:
    return interior(face)


def test_colours_are_finite_and_never_pure_white(
    closed: Mouth,
) -> None:
    mouth, points, _ = closed
    for pose in ({}, {"gap": 0.0}, {"gap": 0.3, "teeth": 1.0}, {"rounding": 1.0}, {"tongue": 1.0}):
        colour = draw(mouth, points, **pose)
        assert colour.dtype == np.float32
        assert colour.shape == (*window(points)[0].shape, 3)
        assert np.isfinite(colour).all()
        assert colour.min() >= 0
        assert colour.max() < 245


def test_teeth_stand_before_the_dark(closed: Mouth) -> None:
    mouth, points, _ = closed
    lum = draw(mouth, points).mean(-1)
    middle = lum[:, lum.shape[1] // 2 - 4 : lum.shape[1] // 2 + 4].mean(1)
    lip = int(0.02 * WIDTH)
    upper = middle[lip + 2 : lip + 4].mean()
    below = middle[lip + 4 : lip + int(0.045 * WIDTH)].min()
    assert upper > 1.8 * below


def test_teeth_are_individual() -> None:
    """Dark grooves between them, at the middle and on both sides."""
    density = 600.0
    art = upper_teeth(density)
    row = art.pixels[int((-0.012 - art.top) * density), :, 1]
    grooves = [
        i for i in range(3, len(row) - 3) if row[i] == row[i - 3 : i + 4].min() and row[i] < 0.9 * row[i - 3]
    ]
    assert len(grooves) >= 7
    centre = (0 - art.left) * density
    assert min(abs(g - centre) for g in grooves) <= 2


def test_upper_teeth_differ_in_width_and_fall_into_shade() -> None:
    density = 600.0
    art = upper_teeth(density)
    row = art.pixels[int((-0.012 - art.top) * density), :, 0]
    middle = int((0.03 - art.left) * density)
    canine = int((0.125 - art.left) * density)
    back = int((0.19 - art.left) * density)
    assert row[middle] > row[canine] > row[back]


@pytest.mark.parametrize("make", [upper_teeth, lower_teeth, tongue])
@pytest.mark.parametrize("density", [48.0, 200.0, 900.0])
def test_art_is_premultiplied_and_soft_edged(make, density: float) -> None:
    pixels = make(density).pixels
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    alpha = pixels[..., 3]
    assert alpha.min() >= 0
    assert alpha.max() <= 1.001
    assert ((alpha > 0.05) & (alpha < 0.95)).any()
    assert (pixels[..., :3].max(-1) <= 1.3 * alpha + 1e-3).all()


def test_dim_pictures_have_dim_teeth(face: ModuleType, closed: Mouth) -> None:
    dim, _, _ = interior(face, dim=0.35)
    assert dim.tone.teeth.mean() < 0.6 * closed[0].tone.teeth.mean()


def test_cast_of_the_light_is_kept(face: ModuleType) -> None:
    points = face.mesh(WIDTH)
    picture = face.paint(points).astype(np.float32)
    blue = np.clip(picture * np.array([0.6, 0.85, 1.25]), 0, 255).astype(np.uint8)
    plain = MouthInterior(picture.astype(np.uint8), points, WIDTH, face.SKIN).tone.teeth
    tinted = MouthInterior(blue, points, WIDTH, face.SKIN * np.array([0.6, 0.85, 1.25])).tone.teeth
    assert tinted[2] / tinted[0] > 1.15 * plain[2] / plain[0]


def test_own_teeth_give_the_colour(face: ModuleType) -> None:
    mouth, _, _ = interior(face, gap=0.06, teeth=True)
    assert np.abs(mouth.tone.teeth - np.array(face.TEETH)).max() < 20


def test_unchanged_gap_shows_the_picture_itself(face: ModuleType) -> None:
    for teeth in (True, False):
        mouth, points, picture = interior(face, gap=0.06, teeth=teeth)
        gap = float(np.hypot(*(points[14, :2] - points[13, :2]))) / WIDTH
        x, y = (int(c) for c in (points[13, :2] + points[14, :2]) / 2)
        xs, ys = np.meshgrid(
            np.arange(x - 20, x + 20, dtype=np.float32), np.arange(y - 2, y + 3, dtype=np.float32)
        )
        colour = mouth.draw(xs, ys, xs, ys, **{**POSE, "gap": gap, "jaw": 0.0})
        seen = picture[y - 2 : y + 3, x - 20 : x + 20]
        assert np.abs(colour - seen).max() < 1.5


def test_own_teeth_stay_when_the_mouth_opens(face: ModuleType) -> None:
    mouth, points, _picture = interior(face, gap=0.06, teeth=True)
    colour = draw(mouth, points, gap=0.12, jaw=0.5)
    x, y = (int(c) for c in (points[13, :2] + points[14, :2]) / 2)
    xs, ys = window(points)
    row, column = int(y - ys[0, 0]), int(x - xs[0, 0])
    tooth = colour[row, column - 4 : column + 5].mean(0)
    assert np.abs(tooth - np.array(face.TEETH)).max() < 70
    assert tooth.mean() > 140


def test_tongue_rises_to_the_teeth(closed: Mouth) -> None:
    mouth, points, _ = closed

    def reddish_top(amount: float) -> int:
        colour = draw(mouth, points, tongue=amount)
        middle = colour[:, colour.shape[1] // 2 - 12 : colour.shape[1] // 2 - 4].mean(1)
        red = (middle[:, 0] > 1.35 * middle[:, 2]) & (middle[:, 0] > 60)
        return int(np.flatnonzero(red)[0])

    assert reddish_top(1.0) < reddish_top(0.5) < reddish_top(0.0)


def test_rounding_hides_teeth(closed: Mouth) -> None:
    mouth, points, _ = closed
    bright = [
        (draw(mouth, points, rounding=r).mean(-1) > 0.5 * mouth.tone.teeth.mean()).sum() for r in (0.0, 1.0)
    ]
    assert bright[1] < 0.7 * bright[0]


def test_small_changes_make_small_differences(
    closed: Mouth,
) -> None:
    mouth, points, _ = closed
    base = draw(mouth, points)
    for name, step in (("gap", 0.001), ("teeth", 0.02), ("tongue", 0.02), ("rounding", 0.02), ("jaw", 0.02)):
        assert np.abs(draw(mouth, points, **{name: POSE[name] + step}) - base).mean() < 1.5


def test_inputs_are_left_alone(closed: Mouth) -> None:
    mouth, points, picture = closed
    x, y = window(points)
    before = picture.copy(), x.copy(), y.copy()
    mouth.draw(x, y, x, y, **POSE)
    for now, then in zip((picture, x, y), before, strict=True):
        assert np.array_equal(now, then)


def test_flat_drawings_get_flat_mouths(face: ModuleType) -> None:
    points = face.mesh(WIDTH)
    shaded, flat = face.paint(points), face.paint(points, flat=True)
    assert flatness(shaded, points, WIDTH) < 0.1
    assert flatness(flat, points, WIDTH) > 0.9
    mouths = [MouthInterior(p, points, WIDTH, face.SKIN) for p in (shaded, flat)]
    rough = []
    for mouth in mouths:
        lip = int(0.02 * WIDTH)
        row = draw(mouth, points, gap=0.08)[lip + 2, 20:-20].mean(-1)
        rough.append(np.abs(np.diff(row)).mean())
    assert rough[1] < 0.5 * rough[0]


@pytest.mark.parametrize("size", [32, 64, 1600])
def test_any_size_of_picture(face: ModuleType, size: int) -> None:
    width = size * 0.45
    points = face.mesh(width, size)
    mouth = MouthInterior(face.paint(points, size), points, width, face.SKIN)
    x, y = window(points, width)
    assert np.isfinite(mouth.draw(x, y, x, y - np.float32(0.05 * width), **POSE)).all()


def test_mouth_outside_the_picture(face: ModuleType) -> None:
    points = face.mesh(WIDTH, gap=0.05)
    picture = face.paint(points, teeth=True)
    points[:, :2] += (400, 300)
    mouth = MouthInterior(picture, points, WIDTH, face.SKIN)
    assert np.isfinite(draw(mouth, points)).all()


def test_own_teeth_are_the_only_upper_ones(face: ModuleType) -> None:
    mouth, points, _ = interior(face, gap=0.03, teeth=True)
    colour = draw(mouth, points, sunk=0.10, gap=0.13, jaw=0.8, teeth=1.0)
    xs, ys = window(points)
    column = int(points[13, 0] - xs[0, 0])
    bright = colour[:, column - 6 : column + 7].mean((1, 2)) > 110
    rows = ys[:, 0] - points[13, 1]
    upper = bright & (rows < 0.6 * 0.13 * WIDTH)  # below lie the lower teeth
    edges = np.flatnonzero(np.diff(np.concatenate([[False], upper, [False]]).astype(int)))
    assert len(edges) == 2  # one row begins and ends
    assert (edges[1] - edges[0]) / WIDTH < 0.035  # and is as high as in the picture


def test_a_mouth_in_black_and_white_has_no_colour(face: ModuleType) -> None:
    points = face.mesh(WIDTH)
    grey = np.repeat(face.paint(points).mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    tone = MouthInterior(grey, points, WIDTH, np.repeat(face.SKIN.mean(), 3)).tone
    for colour in (tone.teeth, tone.tongue, tone.cavity):
        assert np.ptp(colour) < 1
    coloured = MouthInterior(face.paint(points), points, WIDTH, face.SKIN).tone
    assert np.ptp(coloured.cavity) > 10


def test_a_marked_muzzle_without_lips_gets_a_drawn_mouth(face: ModuleType) -> None:
    points = face.mesh(WIDTH)
    picture = face.paint(points)
    assert MouthInterior(picture, points, WIDTH, face.SKIN, marked=True).tone.flat < 0.5
    fur = np.full_like(picture, (238, 232, 225))
    line = np.round(points[[61, 13, 291], :2]).astype(np.int32)
    cv2.polylines(fur, [line], False, (30.0, 20.0, 15.0), 6, cv2.LINE_AA)
    fur = np.clip(fur + np.random.default_rng(0).normal(0, 6, fur.shape), 0, 255).astype(np.uint8)
    skin = np.array([238.0, 232.0, 225.0])
    drawn = MouthInterior(fur, points, WIDTH, skin, marked=True)
    assert drawn.tone.flat == 1
    assert draw(drawn, points).mean() > draw(MouthInterior(fur, points, WIDTH, skin), points).mean()
