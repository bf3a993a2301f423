"""Turns a few known points of a face (five by hand, or the 68 of face-alignment) into the whole mesh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import FaceNotFoundError
from . import topology
from .faces import Face, face_from_landmarks
from .template import template

MIN_SPAN = 12.0  # px between the eyes, or from the eyes to the mouth, below which points are useless
ANCHOR_REACH = 1.25  # the face oval, this much enlarged, does not take part in the local correction
FIVE_POINT_NAMES = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner")


def face_from_points(points: Sequence[tuple[float, float]], width: int, height: int) -> Face:
    """The mean face laid over five points given by hand, in the order of `FIVE_POINT_NAMES`.

    points: x, y in pixels of a picture of this width and height; left and right as the viewer sees
    them (the person's own left and right, given consistently, work as well). Raises
    `FaceNotFoundError` when they are not five, lie outside the picture or do not span a face.
    """
    try:
        given = np.array([(float(x), float(y)) for x, y in points], np.float64)
    except (TypeError, ValueError) as error:
        raise FaceNotFoundError(f"{_ORDER} each need two numbers, x and y in pixels.") from error
    if given.shape != (5, 2) or not np.isfinite(given).all():
        raise FaceNotFoundError(
            f"Five points are needed, {len(given)} were given: {', '.join(FIVE_POINT_NAMES)}, "
            "as x,y in pixels."
        )
    low, high = given.min(0), given.max(0)
    if low.min() < 0 or high[0] > width or high[1] > height:
        raise FaceNotFoundError(
            f"A point lies outside the picture, which is {width}x{height} pixels; "
            "the five points are x,y in pixels."
        )
    eyes, mouth = given[1] - given[0], given[4] - given[3]
    down = given[3:].mean(0) - given[:2].mean(0)
    if np.linalg.norm(eyes) < MIN_SPAN or np.linalg.norm(down) < MIN_SPAN:
        raise FaceNotFoundError(
            f"The five points lie too close together; {_ORDER.lower()} must span a face in the picture."
        )
    if eyes[0] * down[1] - eyes[1] * down[0] < 0:  # the person's own left and right
        given = given[[1, 0, 2, 4, 3]]
        eyes, mouth = given[1] - given[0], given[4] - given[3]
    if eyes @ mouth <= 0 or abs(eyes[0] * down[1] - eyes[1] * down[0]) < 0.2 * (
        np.linalg.norm(eyes) * np.linalg.norm(down)
    ):
        raise FaceNotFoundError(
            f"The five points do not form a face; give them in the order {', '.join(FIVE_POINT_NAMES)}."
        )
    reference = np.array([template().points[list(group)].mean(0) for group in topology.FIVE_POINTS])
    return face_from_landmarks(lift(reference, given), 1.0, "points")


_ORDER = "The eyes, nose tip and mouth corners"


def lift(reference: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The mean face (478, 3) in pixels, moved so that its points `reference` (K, 3) meet `given` (K, 2).

    A similarity transform, then a smooth interpolation of what it leaves over (radial basis r,
    fading to nothing beyond the face oval).
    """
    mean_face = template().points.astype(np.float64)
    origin = reference[:, :2].mean(0)
    # Best similarity in closed form: points as complex numbers, one complex factor for turn and scale.
    source = (reference[:, :2] - origin) @ [1, 1j]
    target = (given - given.mean(0)) @ [1, 1j]
    factor = (source.conj() @ target) / (source.conj() @ source).real

    def placed(points: np.ndarray) -> np.ndarray:
        turned = ((points[:, :2] - origin) @ [1, 1j]) * factor
        return np.column_stack([turned.real, turned.imag]) + given.mean(0)

    flat = placed(mean_face)
    leftover = given - placed(reference)
    centre = mean_face[: topology.SKIN_POINTS, :2].mean(0)
    anchors = centre + (mean_face[list(topology.FACE_OVAL), :2] - centre) * ANCHOR_REACH
    nodes = np.vstack([reference[:, :2], anchors])
    values = np.vstack([leftover, np.zeros((len(anchors), 2))])
    flat += _interpolate(nodes, values, mean_face[:, :2])
    return np.column_stack([flat, mean_face[:, 2] * abs(factor)])


def _interpolate(nodes: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Radial basis interpolation (basis r with a constant term) of `values` at `nodes`, read at `at`."""
    count = len(nodes)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = np.linalg.norm(nodes[:, None] - nodes[None], axis=2)
    system[:count, :count] -= 1e-4 * np.eye(count)  # smooths near-coincident nodes
    system[:count, count] = system[count, :count] = 1
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((1, 2))]))
    return np.linalg.norm(at[:, None] - nodes[None], axis=2) @ weights[:count] + weights[count]
