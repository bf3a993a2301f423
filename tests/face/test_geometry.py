"""Measurements of a mesh: head pose, lips and eyes, on turned copies of the mean face."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.face import (  # fmt: skip
    eye_aperture,
    face_width,
    head_pose,
    lip_gap,
    mean_face,
    topology,
)
from sadtalker_ext.face.geometry import rotation_from_pose


def posed(yaw: float = 0, pitch: float = 0, roll: float = 0, points: np.ndarray | None = None) -> np.ndarray:
    """The mean face turned, 200 px wide, somewhere in a picture."""
    source = mean_face().points if points is None else points
    return source @ rotation_from_pose(yaw, pitch, roll).T * 200 + [310, 240, 30]


@pytest.mark.parametrize(
    "pose", [(0, 0, 0), (20, 0, 0), (0, -15, 0), (0, 0, 30), (-35, 12, -20), (10, 20, 80), (3, -4, 175)]
)
def test_head_pose_is_the_rotation_that_was_applied(pose: tuple[float, float, float]) -> None:
    assert head_pose(posed(*pose)) == pytest.approx(pose, abs=1e-3)


def test_pose_signs() -> None:
    frontal = mean_face().points
    assert posed(yaw=15)[topology.NOSE_TIP, 0] > posed()[topology.NOSE_TIP, 0]  # nose to the picture's right
    chin_up = posed(pitch=15)
    assert chin_up[topology.CHIN, 2] < posed()[topology.CHIN, 2]  # chin nearer
    assert chin_up[topology.NOSE_TIP, 1] < posed()[topology.NOSE_TIP, 1]  # nose higher
    clockwise = posed(roll=15)
    assert clockwise[topology.FOREHEAD, 0] > posed()[topology.FOREHEAD, 0]  # top of the head to the right
    assert frontal[topology.LEFT_CHEEK, 0] > frontal[topology.RIGHT_CHEEK, 0]  # the person's left, our right


def test_an_opening_jaw_is_not_a_nod() -> None:
    points = mean_face().points.copy()
    low = [*topology.LIPS_OUTER_LOWER, *topology.LIPS_INNER_LOWER, topology.CHIN, 148, 377, 176, 400]
    points[low, 1] += 0.1
    assert head_pose(posed(points=points)) == pytest.approx((0, 0, 0), abs=1e-3)


@pytest.mark.parametrize("pose", [(0, 0, 0), (30, 0, 0), (-20, 15, 40), (0, 0, 180)])
@pytest.mark.parametrize("gap", [0.0, 0.01, 0.09])
def test_lip_gap_in_face_widths_whatever_the_pose(pose: tuple[float, float, float], gap: float) -> None:
    points = mean_face().points.copy()
    points[list(topology.LIPS_INNER_LOWER[1:-1]), 1] += gap
    landmarks = posed(*pose, points=points)
    assert lip_gap(landmarks) == pytest.approx(gap, abs=2e-4)
    assert lip_gap(landmarks * 3) == pytest.approx(gap, abs=2e-4)


def test_lips_that_cross_are_closed_not_open() -> None:
    points = mean_face().points.copy()
    points[list(topology.LIPS_INNER_LOWER[1:-1]), 1] -= 0.01
    assert lip_gap(posed(points=points)) == 0


@pytest.mark.parametrize("pose", [(0, 0, 0), (40, 0, 0), (-30, 20, 10)])
def test_its_width_does_not_change_with_the_pose(pose: tuple[float, float, float]) -> None:
    landmarks = posed(*pose)
    assert face_width(landmarks) == pytest.approx(200, abs=0.05)


def test_eye_aperture_tells_the_persons_own_left_and_right() -> None:
    points = mean_face().points.copy()
    for high, low in topology.LEFT_LID_PAIRS:
        points[high] = points[low]
    left, right = eye_aperture(posed(10, 5, -8, points=points))
    assert left < 0.01
    assert 0.25 < right < 0.5
    assert right == pytest.approx(eye_aperture(mean_face().points)[1], abs=1e-4)
