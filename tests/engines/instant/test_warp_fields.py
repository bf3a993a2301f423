"""Grids, scattered fields, limits and lip lines: the geometry under the instant renderer."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from sadtalker_ext.engines.instant.warp.basis import MOVE_INDEX, MOVES
from sadtalker_ext.engines.instant.warp.controls import soft_limit
from sadtalker_ext.engines.instant.warp.frame import FaceFrame
from sadtalker_ext.engines.instant.warp.glasses import wears_glasses
from sadtalker_ext.engines.instant.warp.grid import Grid, ScatteredField, jacobian, ramp
from sadtalker_ext.engines.instant.warp.lipline import refine_lips
from sadtalker_ext.engines.instant.warp.renderer import WarpRenderer
from sadtalker_ext.face import Portrait
from sadtalker_ext.face.topology import LIPS_INNER_LOWER, LIPS_INNER_UPPER

Draw = Callable[..., tuple[np.ndarray, np.ndarray]]


def test_enlarging_a_linear_field_is_exact() -> None:
    grid = Grid.over(10, -4, 90, 60, 7)
    x, y = grid.nodes()
    x0, y0, x1, y1 = grid.box
    assert (x0, y0) == (10, -4)
    assert x1 >= 90
    assert y1 >= 60
    field = (0.5 * x - 0.25 * y + 3).astype(np.float32)
    box = (13, 2, 77, 51)
    px, py = np.meshgrid(np.arange(13, 77), np.arange(2, 51))
    assert np.allclose(grid.enlarge(field, box), 0.5 * px - 0.25 * py + 3, atol=1e-3)
    # Sampling rounds positions to 1/32 of a cell.
    sampled = grid.sample(field, px.astype(np.float32), py.astype(np.float32))
    assert np.allclose(sampled, 0.5 * px - 0.25 * py + 3, atol=0.1)


def test_inversion_undoes_a_displacement() -> None:
    grid = Grid.over(0, 0, 200, 200, 5)
    x, y = grid.nodes()
    dx = (8 * np.exp(-((x - 100) ** 2 + (y - 90) ** 2) / 900)).astype(np.float32)
    dy = (-5 * np.exp(-((x - 110) ** 2 + (y - 100) ** 2) / 700)).astype(np.float32)
    bx, by = grid.invert(dx, dy)
    # Forward from where the inverse says a node came from must lead back to the node.
    sx, sy = x + bx, y + by
    assert np.abs(sx + grid.sample(dx, sx, sy) - x).max() < 0.15
    assert np.abs(sy + grid.sample(dy, sx, sy) - y).max() < 0.15


def test_scattered_field_passes_through_its_points_and_is_exact_for_affine_values() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (60, 2))
    values = np.c_[points @ [2.0, -1.0] + 0.5, rng.normal(size=60)]
    at = ScatteredField(points, 1e-6)(values, points[:, 0], points[:, 1])
    assert np.allclose(at, values, atol=5e-3)
    x, y = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 9))
    assert np.allclose(ScatteredField(points, 1e-6)(values, x, y)[..., 0], 2 * x - y + 0.5, atol=1e-2)


def test_jacobian_tells_a_fold() -> None:
    x = np.arange(50, dtype=np.float64)[None].repeat(50, 0)
    assert jacobian(0.5 * x, np.zeros_like(x), 1).min() == pytest.approx(1.5)
    assert jacobian(-1.5 * x, np.zeros_like(x), 1).min() < 0


@pytest.fixture(scope="module")
def renderer(portrait: Portrait) -> WarpRenderer:
    return WarpRenderer(portrait, workers=1)


def test_the_head_does_not_fold_within_its_limits(renderer: WarpRenderer) -> None:
    head = renderer.head
    for axis in ("yaw", "pitch", "roll"):
        assert renderer.limits[axis] >= 8
        for sign in (-head.gain[axis], head.gain[axis]):
            angle = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, axis: sign * renderer.limits[axis]}
            assert jacobian(*head.displacement(**angle), head.grid.step).min() > 0.2


def test_the_mouth_does_not_fold_on_either_side_of_the_lips(renderer: WarpRenderer) -> None:
    basis, grid = renderer.basis, renderer.face_grid
    below = renderer.lips.lip_line(*grid.nodes())
    amounts = np.zeros(len(MOVES), np.float32)
    amounts[MOVE_INDEX["jaw"]] = renderer.limits["jaw"]
    assert jacobian(*basis.combine(basis.upper, amounts), grid.step)[below < 0].min() > 0
    assert jacobian(*basis.combine(basis.lower, amounts), grid.step)[below > 0].min() > 0


def test_lips_part_by_what_their_gain_says(renderer: WarpRenderer) -> None:
    gain = renderer.basis.gain
    assert gain["lower"] == pytest.approx(1, abs=0.15)
    assert gain["upper"] == pytest.approx(1, abs=0.15)
    assert gain["jaw"] == pytest.approx(0.11, abs=0.03)
    assert abs(gain["brow_inner"]) < 1e-3


def test_ramp_is_gentler_than_a_smoothstep_and_ends_flat() -> None:
    x = np.linspace(-0.5, 1.5, 2001)
    rises = np.diff(ramp(x, 0, 1)) / np.diff(x)
    assert rises.max() < 1.25
    assert ramp(x, 0, 1)[x <= 0].max() == 0
    assert ramp(x, 0, 1)[x >= 1].min() == 1
    assert np.abs(np.diff(rises)).max() < 0.02  # no corner


def test_soft_limit_follows_and_then_stays_below() -> None:
    value = np.linspace(-60, 60, 241)
    bent = soft_limit(value, 12.0)
    small = np.abs(value) <= 9
    assert np.allclose(bent[small], value[small])
    assert np.abs(bent).max() <= 12
    assert (np.diff(bent) >= 0).all()


def lip_error(points: np.ndarray, truth: np.ndarray, ring: tuple[int, ...]) -> float:
    middle = list(ring[3:-3])
    return float(np.abs(points[middle, 1] - truth[middle, 1]).mean())


def test_closed_lips_are_moved_to_the_dark_line(draw: Draw) -> None:
    picture, truth = draw()
    wrong = truth.copy()
    wrong[list(LIPS_INNER_UPPER[1:-1] + LIPS_INNER_LOWER[1:-1]), 1] += 1.5
    found = refine_lips(picture, wrong)
    assert lip_error(found, truth, LIPS_INNER_UPPER) < 0.8


def test_open_lips_are_moved_to_where_their_colour_ends(draw: Draw) -> None:
    picture, truth = draw(own_gap=0.06)
    wrong = truth.copy()
    wrong[list(LIPS_INNER_LOWER[1:-1]), 1] += 2.0
    wrong[list(LIPS_INNER_UPPER[1:-1]), 1] -= 1.5
    found = refine_lips(picture, wrong)
    for ring in (LIPS_INNER_UPPER, LIPS_INNER_LOWER):
        assert lip_error(found, truth, ring) < 0.6 * lip_error(wrong, truth, ring)


def test_a_mouth_of_one_colour_keeps_its_mesh(draw: Draw) -> None:
    _, truth = draw()
    plain = cv2.GaussianBlur(np.full((320, 260, 3), 128, np.uint8), (3, 3), 0)
    assert np.array_equal(refine_lips(plain, truth), FaceFrame.of(truth).points)


def with_rims(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The drawn face with dark round glasses."""
    worn = picture.copy()
    face_width = float(np.linalg.norm(points[454] - points[234]))
    for outer, inner in ((33, 133), (263, 362)):
        x, y = points[[outer, inner], :2].mean(0)
        axes = (int(0.155 * face_width), int(0.12 * face_width))
        cv2.ellipse(worn, (int(x), int(y)), axes, 0, 0, 360, (20, 20, 25), 2, cv2.LINE_AA)
    x, y = (int(v) for v in points[168, :2])
    cv2.line(worn, (x - 8, y), (x + 8, y), (20, 20, 25), 2, cv2.LINE_AA)
    return worn


def test_glasses_are_noticed_and_hold_still(draw: Draw, as_portrait: Callable[..., Portrait]) -> None:
    picture, points = draw()
    frame = FaceFrame.of(points)
    assert wears_glasses(picture, frame) < 0.1
    worn = with_rims(picture, points)
    assert wears_glasses(worn, frame) > 0.8
    renderer = WarpRenderer(as_portrait(worn, points))
    basis, grid = renderer.basis, renderer.face_grid
    rim = renderer.frame.points[[33, 263, 168, 145, 374], :2]
    for name in ("brow_inner", "brow_left", "cheek_left", "knit_right"):
        moved = grid.sample_points(basis.upper[MOVE_INDEX[name]].transpose(1, 2, 0).copy(), rim)
        assert np.abs(moved).max() < 0.3
    # A turned head moves the rims as one plane does: the middle of a chord stays its middle.
    dx, dy = renderer.head.displacement(12, 6, 0)
    left, right, middle = renderer.frame.points[[33, 263], :2].mean(0) + np.array([[-25, 0], [25, 0], [0, 0]])
    ends = renderer.head.grid.sample_points(np.dstack([dx, dy]), np.float32([left, right, middle]))
    assert np.abs(ends[:2].mean(0) - ends[2]).max() < 0.35


def test_a_steep_displacement_is_undone_too() -> None:
    grid = Grid.over(0, 0, 200, 200, 4)
    x, y = grid.nodes()
    dy = (-45 * np.exp(-((x - 100) ** 2) / 1200 - ((y - 100) / 60) ** 2)).astype(np.float32)
    dx = np.zeros_like(dy)
    assert jacobian(dx, dy, grid.step).min() > 0.2
    for steep, most in ((True, 0.3), (False, np.inf)):
        bx, by = grid.invert(dx, dy, steep=steep)
        off = np.abs(by + grid.sample(dy, x + bx, y + by)).max()
        assert off < most
        if not steep:
            assert off > 1  # what the shorter way leaves


def test_points_that_nearly_coincide_are_forgiven() -> None:
    points = np.array([[0, 0], [0.008, 0], [0.5, 0.4], [-0.5, 0.4], [0, -0.6]])
    values = np.array([[0.0], [1.0], [0.5], [0.5], [0.5]])
    x, y = np.meshgrid(np.linspace(-0.6, 0.6, 61), np.linspace(-0.6, 0.6, 61))
    field = ScatteredField(points, 1e-2)(values, x, y)
    assert field.min() > 0.2
    assert field.max() < 0.8
