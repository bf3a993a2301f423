"""Turns a few known points of a face (five by hand, or the 68 of face-alignment) into the whole mesh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import FaceNotFoundError
from . import topology
from .faces import Face, face_from_landmarks
from .mean import mean_face

MIN_SPAN = 12.0  # px between the eyes, or from the eyes to the mouth, below which points are useless
ANCHOR_REACH = 1.25  # the face oval, this much enlarged, does not take part in the local correction
LIPS_PARTED = 0.01  # fw that each lip steps aside for the interpolation, which treats touching points as one
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
    least = 0.2 * (np.linalg.norm(eyes) * np.linalg.norm(down))
    if eyes @ mouth <= 0 or abs(eyes[0] * down[1] - eyes[1] * down[0]) < least:
        raise FaceNotFoundError(
            f"The five points do not form a face; give them in the order {', '.join(FIVE_POINT_NAMES)}."
        )
    return face_from_landmarks(lift(topology.FIVE_POINTS, given), 1.0, "points")


_ORDER = "The eyes, nose tip and mouth corners"


def lift(groups: Sequence[Sequence[int]], given: np.ndarray) -> np.ndarray:
    """The mean face (478, 3) in pixels, moved so that its points meet those given.

    groups: for each given point, the mesh points whose mean it is. given: (K, 2), pixels.
    A similarity transform in the picture's plane, then a smooth interpolation of what it leaves over.
    Right for a handful of points, which do not tell how the head is turned.
    """
    reference = _means(mean_face().points, groups)
    # Best similarity in closed form: points as complex numbers, one complex factor for turn and scale.
    source = (reference - reference.mean(0))[:, :2] @ [1, 1j]
    target = (given - given.mean(0)) @ [1, 1j]
    factor = (source.conj() @ target) / (source.conj() @ source).real
    turn = np.array([[factor.real, -factor.imag, 0], [factor.imag, factor.real, 0], [0, 0, abs(factor)]])
    return _placed(turn, groups, given)


def lift_turned(groups: Sequence[Sequence[int]], given: np.ndarray) -> np.ndarray:
    """As `lift`, but with the head turned in three dimensions to fit; needs points all over the face.

    The least-squares affine map from the mean face to the picture, replaced by the nearest scaled
    rotation (scaled orthographic projection).
    """
    reference = _means(mean_face().points, groups)
    model, seen = reference - reference.mean(0), given - given.mean(0)
    affine = np.linalg.lstsq(model, seen, rcond=None)[0].T  # (2, 3)
    u, strength, vt = np.linalg.svd(affine, full_matrices=False)
    rows = u @ vt
    turn = np.vstack([rows, np.cross(rows[0], rows[1])]) * float(strength.mean())
    return _placed(turn, groups, given)


def _means(points: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array([points[list(group)].mean(0) for group in groups], np.float64)


def _placed(turn: np.ndarray, groups: Sequence[Sequence[int]], given: np.ndarray) -> np.ndarray:
    """The mean face turned and scaled by `turn` (3, 3), then bent so that it meets `given`.

    The bending (radial basis r) fades to nothing beyond the face oval, and so does not reach points
    far from any that are known.
    """
    average = mean_face().points.astype(np.float64)
    reference = _means(average, groups)
    middle = reference.mean(0)
    mesh = (average - middle) @ turn.T
    leftover = given - given.mean(0) - ((reference - middle) @ turn.T)[:, :2]
    # The closed lips of the mean face touch: where they did, the upper could not move without the lower.
    where = average[:, :2].copy()
    for rings, side in ((topology.LIPS_UPPER_RINGS, -1), (topology.LIPS_LOWER_RINGS, 1)):
        for ring in rings:
            where[list(ring[1:-1]), 1] += side * LIPS_PARTED
    centre = where[: topology.SKIN_POINTS].mean(0)
    anchors = centre + (where[list(topology.FACE_OVAL)] - centre) * ANCHOR_REACH
    # All points of a group move alike: an eye given by its middle keeps its width.
    members = [index for group in groups for index in group]
    moves = np.repeat(leftover, [len(group) for group in groups], axis=0)
    nodes = np.vstack([where[members], anchors])
    values = np.vstack([moves, np.zeros((len(anchors), 2))])
    mesh[:, :2] += given.mean(0) + _interpolate(nodes, values, where)
    mesh[:, 2] += middle[2] * abs(np.linalg.det(turn)) ** (1 / 3)
    return mesh


def _interpolate(nodes: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Radial basis interpolation (basis r with a constant term) of `values` at `nodes`, read at `at`."""
    count = len(nodes)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = np.linalg.norm(nodes[:, None] - nodes[None], axis=2)
    system[:count, :count] -= 1e-4 * np.eye(count)  # smooths near-coincident nodes
    system[:count, count] = system[count, :count] = 1
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((1, 2))]))
    return np.linalg.norm(at[:, None] - nodes[None], axis=2) @ weights[:count] + weights[count]
