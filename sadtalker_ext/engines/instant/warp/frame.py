"""Turns a face mesh into the head's own coordinates, in face widths, and the measures the warp needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....face import topology

NODES = topology.SKIN_POINTS  # mesh points that carry the skin; the irises are the eyelids' business
CLOSED_GAP = 0.012  # fw; below it the mesh cannot tell parted lips from closed ones
TEETH_RIM = 0.013  # fw, see FaceFrame.rim
LIP_PAIRS = ((13, 14), (82, 87), (312, 317))  # upper and lower inner lip over the middle of the mouth


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """A face mesh and its head coordinates.

    points: float32 (478, 3), pixels of the working region.
    width: fw, px (cheek to cheek in three dimensions). axes: (3, 3), the columns are the head's right (in
    the picture), down and away, in pixel axes. local: (478, 3), points in head axes, in fw, from the middle
    of the line between the ears. across, down: unit 2-vectors of the picture plane, the face's roll only.
    own_gap: fw, lip gap of the picture, 0 for closed lips.
    """

    points: np.ndarray
    width: float
    axes: np.ndarray
    local: np.ndarray
    across: np.ndarray
    down: np.ndarray
    own_gap: float

    @classmethod
    def of(cls, landmarks: np.ndarray) -> FaceFrame:
        """The frame of a (478, 3) mesh in pixels."""
        points = np.asarray(landmarks, np.float32)
        right = points[topology.LEFT_CHEEK] - points[topology.RIGHT_CHEEK]
        width = float(np.linalg.norm(right))
        right = right / width
        down = points[topology.CHIN] - points[topology.FOREHEAD]
        down = down - right * (down @ right)
        down /= np.linalg.norm(down)
        axes = np.stack([right, down, np.cross(right, down)], 1)
        origin = (points[topology.RIGHT_CHEEK] + points[topology.LEFT_CHEEK]) / 2
        local = (points - origin) @ axes / width
        flat = right[:2] / max(float(np.linalg.norm(right[:2])), 1e-6)
        gap = float(np.mean([local[low, 1] - local[high, 1] for high, low in LIP_PAIRS]))
        return cls(
            points=points,
            width=width,
            axes=axes.astype(np.float32),
            local=local.astype(np.float32),
            across=flat,
            down=np.array([-flat[1], flat[0]], np.float32),
            own_gap=gap if gap > CLOSED_GAP else 0.0,
        )

    def plane(self, x: np.ndarray, y: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels as (across, down) distances in fw from a 2-D pixel origin."""
        dx, dy = (x - origin[0]) / self.width, (y - origin[1]) / self.width
        return dx * self.across[0] + dy * self.across[1], dx * self.down[0] + dy * self.down[1]

    @property
    def oval(self) -> np.ndarray:
        """(36, 2) pixels of the face's outline."""
        return self.points[list(topology.FACE_OVAL), :2]

    @property
    def centre(self) -> np.ndarray:
        """Middle of the face's outline, 2-D pixels."""
        return self.oval.mean(0)

    @property
    def rim(self) -> float:
        """fw of each lip's edge that mixes with the picture's own teeth and is left out once it moves."""
        return max(0.8 / self.width, TEETH_RIM) if self.own_gap else 0.0

    @property
    def chin_drop(self) -> float:
        """How far the chin lies below the centre in the picture plane, fw."""
        return float((self.points[topology.CHIN, :2] - self.centre) @ self.down) / self.width


@dataclass(frozen=True, eq=False)
class MouthMeasures:
    """The picture's own mouth in head coordinates.

    centre: (2,) fw. half: half the inner width, fw. lift: fw by which the corners lie above the meeting
    line of the lips (a smile's curve). excess: fw by which the half width exceeds a relaxed mouth's; below 0
    for one that is drawn in.
    """

    centre: np.ndarray
    half: float
    lift: float
    excess: float


RELAXED_HALF = 0.175  # fw, inner half width above which a mouth counts as stretched by a smile
LEAST_HALF = 0.165  # fw, of a mouth that is neither stretched nor rounded
RELAXED_LIFT = 0.008  # fw, corner height that is left to a relaxed mouth


def measure_mouth(local: np.ndarray, open_wide: bool = False) -> MouthMeasures:
    """Centre, width and smile of a mouth.

    local: (≥468, 3) the mesh in head coordinates, its lips shut. open_wide: whether the picture shows it so
    far open that its corners are drawn in.
    """
    left, right = local[78], local[308]
    half = float(right[0] - left[0]) / 2
    middle = float(np.mean([local[i, 1] for pair in LIP_PAIRS for i in pair]))
    lift = middle - float(left[1] + right[1]) / 2
    return MouthMeasures(
        centre=((left + right) / 2)[:2].astype(np.float32),
        half=max(half, 0.04),
        lift=max(0.0, lift - RELAXED_LIFT),
        excess=max(0.0, half - RELAXED_HALF) + (min(0.0, half - LEAST_HALF) if open_wide else 0.0),
    )
