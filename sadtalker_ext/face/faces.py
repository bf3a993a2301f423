"""A found face, and what a landmark detector is: picture in, faces out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from . import topology
from .geometry import head_rotation
from .mean import mean_face

# A mesh further from every rotated mean face than this (root mean square, face widths) is no face.
MAX_MISFIT = 0.16
MIN_FACE = 20.0  # px, below which a face has too little to animate, and texture is taken for faces
OVERLAP = 0.4  # intersection over union above which two meshes are the same face


@dataclass(frozen=True, eq=False, repr=False)
class Face:
    """One face of a picture.

    landmarks: float32 (478, 3) in pixels; z is depth in pixels too, smaller is nearer.
    box: (x0, y0, x1, y1) around the skin points, in pixels; may reach past the picture's edge.
    score: 0..1, how sure the detector was (1 for points given by hand).
    source: "mediapipe", "face-alignment" or "points".
    """

    landmarks: np.ndarray
    box: tuple[float, float, float, float]
    score: float
    source: str

    def __repr__(self) -> str:
        x0, y0, x1, y1 = self.box
        place = f"{x1 - x0:.0f} × {y1 - y0:.0f} pixels at {x0:.0f},{y0:.0f}"
        return f"<Face {place}; {self.source}, score {self.score:.2f}>"

    @property
    def size(self) -> float:
        """The longer side of the box, in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, in pixels."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    def contains(self, x: float, y: float) -> bool:
        """Whether a point in pixels lies inside the box."""
        return self.box[0] <= x <= self.box[2] and self.box[1] <= y <= self.box[3]


class LandmarkDetector(Protocol):
    """Finds every face of a picture."""

    name: str

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces of a uint8 (H, W, 3) RGB picture, in no particular order; [] when there is none."""


def face_from_landmarks(landmarks: np.ndarray, score: float, source: str) -> Face:
    """A `Face` from a mesh (478, 3), with its box measured."""
    landmarks = np.ascontiguousarray(landmarks, np.float32)
    low, high = landmarks[: topology.SKIN_POINTS, :2].min(0), landmarks[: topology.SKIN_POINTS, :2].max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Face(landmarks, box, float(score), source)


def overlap(a: Face, b: Face) -> float:
    """Intersection over union of two faces' boxes, 0..1."""
    width = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
    height = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in (a, b)]
    return shared / (sum(areas) - shared)


def distinct(faces: list[Face]) -> list[Face]:
    """The faces without repetitions (of two that overlap, the surer one), largest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: (-f.score, -f.size)):
        if all(overlap(face, other) < OVERLAP and not _inside(face, other) for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda f: (-f.size, f.box))


def _inside(a: Face, b: Face) -> bool:
    # A mesh fitted to half a face lies inside the right one: the centre of either box within the
    # middle of the other, at a similar size.
    ratio = a.size / b.size
    if not 0.4 < ratio < 2.5:
        return False
    distance = np.hypot(a.centre[0] - b.centre[0], a.centre[1] - b.centre[1])
    return bool(distance < 0.25 * max(a.size, b.size))


def is_plausible(landmarks: np.ndarray, width: int, height: int) -> bool:
    """Whether a mesh looks like a face within a picture of this size.

    Rejected: meshes that are not finite, mostly outside the picture, folded (eyes below the nose or
    the nose below the mouth along the head's own axis, crossed eyes), or far from every rotated and
    scaled mean face.
    """
    if not np.isfinite(landmarks).all():
        return False
    skin = landmarks[: topology.SKIN_POINTS]
    inside = (skin[:, 0] > 0) & (skin[:, 0] < width) & (skin[:, 1] > 0) & (skin[:, 1] < height)
    if inside.mean() < 0.5 or np.ptp(skin[:, :2], axis=0).max() < MIN_FACE:
        return False
    average = mean_face().points
    local = (landmarks - landmarks[: topology.SKIN_POINTS].mean(0)) @ head_rotation(landmarks)
    reference = average - average[: topology.SKIN_POINTS].mean(0)
    scale = (local[: topology.SKIN_POINTS] * reference[: topology.SKIN_POINTS]).sum() / (
        reference[: topology.SKIN_POINTS] ** 2
    ).sum()
    if scale <= 0:
        return False
    local = local / scale
    eyes = local[[topology.RIGHT_EYE_OUTER, topology.LEFT_EYE_OUTER]]
    nose, mouth = local[topology.NOSE_TIP], local[[topology.MOUTH_RIGHT, topology.MOUTH_LEFT]]
    upright = eyes[:, 1].max() < nose[1] < mouth[:, 1].min() < local[topology.CHIN, 1]
    sides = eyes[0, 0] < eyes[1, 0] and mouth[0, 0] < mouth[1, 0]
    misfit = np.sqrt(((local - reference)[: topology.SKIN_POINTS] ** 2).sum(1).mean())
    return bool(upright and sides and misfit < MAX_MISFIT)
