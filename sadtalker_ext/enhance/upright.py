"""A face's mesh into the upright 512-px square that face restorers were trained on, and its mask there."""

from __future__ import annotations

import cv2
import numpy as np

from ..face import topology

SIDE = 512  # px
# Where the middles of the eyes, the nose tip and the mouth corners lie in the square: FFHQ's alignment.
PLACES = np.array([
    [192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935],
    [201.26117, 371.41043], [313.08905, 371.15118],
])  # fmt: skip
MARGIN = 1.12  # of the mask over the face's outline
FEATHER = 24.0  # px of the square over which the mask fades


def five_points(mesh: np.ndarray) -> np.ndarray:
    """(5, 2) eye middles, nose tip and mouth corners of a mesh (478, 2 or 3)."""
    return np.stack([mesh[list(group), :2].mean(axis=0) for group in topology.FIVE_POINTS]).astype(np.float64)


def similarity(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(2, 3) turn, scale and shift that bring points (N, 2) nearest to places (N, 2) (Umeyama 1991)."""
    points, places = np.asarray(points, np.float64), np.asarray(places, np.float64)
    from_middle, to_middle = points.mean(axis=0), places.mean(axis=0)
    a, b = points - from_middle, places - to_middle
    spread = max(float((a**2).sum()), 1e-12)
    cosine = float((a * b).sum()) / spread
    sine = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, to_middle - turn @ from_middle])


def upright(mesh: np.ndarray) -> np.ndarray:
    """(2, 3) from a picture's pixels to those of the square, for a mesh (478, 2 or 3) in the picture."""
    return similarity(five_points(mesh), PLACES)


def followed_by(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """(2, 3) that does `first` (2, 3) and `then` (2, 3)."""
    turn = then[:, :2] @ first[:, :2]
    return np.column_stack([turn, then[:, :2] @ first[:, 2] + then[:, 2]])


def inverse(matrix: np.ndarray) -> np.ndarray:
    """(2, 3) that undoes a similarity (2, 3)."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def face_mask(mesh: np.ndarray, to_square: np.ndarray) -> np.ndarray:
    """(512, 512) float32: 1 on the face of a mesh (478, 2 or 3), 0 away from it and on the square's edge."""
    outline = mesh[list(topology.FACE_OVAL), :2] @ to_square[:, :2].T + to_square[:, 2]
    middle = outline.mean(axis=0)
    outline = middle + (outline - middle) * MARGIN
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], (1,))
    place = np.arange(SIDE, dtype=np.float32)
    from_edge = np.minimum(place, SIDE - 1 - place)
    inwards = cv2.distanceTransform(canvas, cv2.DIST_L2, 5)
    share = np.clip(np.minimum(inwards, np.minimum(*np.meshgrid(from_edge, from_edge))) / FEATHER, 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)
