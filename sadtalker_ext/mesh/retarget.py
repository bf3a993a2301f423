"""Offsets of another head's vertices into blendshapes of the neutral head: approximately, by landmarks.

The landmarks were found on meshes that are public (a sample of FLAME's, the mean of BIWI's), by their shape:
the seam of the lips, the middle line, and the nearest points once eyes, nose and mouth lie on one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import MeshError, TrackError
from ..system.caches import kept
from ..tracks import ARKIT, ARKIT_BLENDSHAPES, BFM, MotionSpace, MotionTrack
from ..tracks.rows import gathered, slices
from .neutral import NeutralHead, neutral_head

# Vertices at the same place of the neutral head, of FLAME's mesh and of BIWI's.
LANDMARKS = (
    # Lips: inner contour, outer contour, corners.
    (191, 2848, 12913), (80, 2851, 330), (81, 2787, 12875), (82, 2786, 213), (13, 3531, 50),
    (312, 1669, 870), (311, 1670, 1004), (310, 1737, 10112), (415, 1733, 10110), (95, 2894, 12612),
    (88, 2895, 15113), (178, 2896, 12958), (87, 2938, 305), (14, 3504, 953), (317, 1849, 10142),
    (402, 1804, 964), (318, 1792, 10125), (324, 1791, 13533), (40, 2814, 21549), (39, 2812, 12820),
    (37, 2810, 186), (0, 3541, 12692), (267, 1658, 855), (269, 1695, 21312), (270, 1697, 1044),
    (91, 2881, 21536), (181, 2905, 10646), (84, 2948, 13247), (17, 3503, 9905), (314, 1865, 21133),
    (405, 1802, 9971), (321, 1774, 1187), (61, 2827, 277), (291, 1711, 929),
    # Chin and jaw.
    (18, 3790, 10437), (200, 3499, 8921), (199, 3401, 6474), (175, 3404, 20037), (152, 3399, 2730),
    (83, 2947, 1387), (313, 1864, 9556), (201, 2946, 18725), (421, 1863, 21608), (176, 3395, 21743),
    (400, 3598, 17295), (148, 3397, 891), (377, 3600, 2928), (150, 3418, 16881), (379, 3637, 2302),
    (136, 3389, 20128), (365, 3587, 6706),
    # Cheeks and nose.
    (50, 3128, 10858), (280, 2101, 8322), (205, 3119, 8820), (425, 2092, 5230), (187, 2711, 1425),
    (411, 1575, 7760), (207, 3116, 15506), (427, 2081, 18280), (4, 3526, 11029), (64, 2745, 9016),
    (294, 1609, 18171), (2, 2767, 12475), (98, 2750, 11093), (327, 1618, 4401), (164, 3493, 4962),
    (168, 723, 10586),
    # Brows.
    (70, 3763, 16942), (63, 3157, 12613), (105, 336, 16240), (66, 3153, 10128), (107, 3788, 5404),
    (336, 2121, 19049), (296, 2134, 17262), (334, 17, 15351), (293, 2139, 14123), (300, 3893, 10572),
)  # fmt: skip
LIPS = 34  # landmarks, the first ones
LIP_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402))  # upper and lower inner lip
FACE_WIDTH = {"flame": 0.138, "biwi": 0.715}  # of these heads in their own units, fitted with the landmarks
COLUMN = {"flame": 1, "biwi": 2}  # of LANDMARKS
# Those that speech moves and that add up; what presses or rolls the lips cannot be told from afar.
SHAPES = (
    "jawOpen", "jawForward", "jawLeft", "jawRight", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthClose", "mouthShrugUpper", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft",
    "browDownRight", "cheekPuff", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
LIP_WEIGHT = 1.5  # of the lips' landmarks
GAP_WEIGHT = 3.0  # of what is between the lips
DEPTH_WEIGHT = 0.6  # of what comes forward
EFFORT = 0.02  # fw that a whole blendshape has to be worth
MOST = 1.2
SWEEPS = 60  # of the solver over all blendshapes


@dataclass(frozen=True, eq=False)
class _Fit:
    """Least squares for one kind of head, over the ways of L landmarks."""

    vertices: np.ndarray
    face_width: float
    project: np.ndarray  # (shapes, 3 L): from ways in fw to the right-hand side
    system: np.ndarray  # (shapes, shapes)

    def weights(self, offsets: np.ndarray) -> np.ndarray:
        """float32 (n, 52) of offsets (n, 3V)."""
        ways = offsets.reshape(len(offsets), -1, 3).take(self.vertices, 1).astype(np.float64)
        right = (ways.reshape(len(ways), -1) / self.face_width) @ self.project.T
        found = np.zeros((len(ways), len(self.system)))
        for _ in range(SWEEPS):
            for k, row in enumerate(self.system):
                found[:, k] = np.clip(found[:, k] + (right[:, k] - found @ row) / row[k], 0, MOST)
        weights = np.zeros((len(ways), len(ARKIT_BLENDSHAPES)), np.float32)
        weights[:, [ARKIT.index(name) for name in SHAPES]] = found
        return weights


def to_arkit(track: MotionTrack) -> MotionTrack:
    """The motion of a FLAME or BIWI head as ARKit's coefficients, approximately; an `arkit` track as it is.

    Head pose and eyes stay at rest. Raises `MeshError` for heads whose landmarks are not known.
    """
    if track.space == ARKIT:
        return track
    fit = _fit(track.space.name)
    pose = np.zeros((1, ARKIT.dim - len(ARKIT_BLENDSHAPES)), np.float32)
    blocks = (
        np.concatenate([weights := fit.weights(track.data[part]), np.repeat(pose, len(weights), 0)], 1)
        for part in slices(*track.data.shape)
    )
    provenance = {**track.provenance, "retargeted": f"from {track.space.name}, by landmarks"}
    return MotionTrack(ARKIT, track.fps, gathered(blocks, ARKIT.dim), provenance)


class RetargetedHead:
    """The neutral head, moved by the offsets of another head's vertices."""

    def __init__(self, space: MotionSpace) -> None:
        """Raises `MeshError` for a head whose landmarks are not known."""
        head = neutral_head()
        self._head, self._fit, self._space = head, _fit(space.name), space
        self.accepts = frozenset({space.name})
        self.vertices, self.faces, self.postures = head.vertices, head.faces, head.postures
        self.colours: np.ndarray | None = head.colours
        self.shine: np.ndarray | None = head.shine

    def poses(self, track: MotionTrack) -> Iterator[np.ndarray]:
        """Vertices float32 (V, 3), one array a row of the track; `TrackError` for another space."""
        if track.space.name not in self.accepts:
            raise TrackError(
                f"This head is moved by {self._space.name} tracks, not by {track.space.name} ones; choose "
                "the track's own head."
            )
        for part in slices(*track.data.shape):
            for weights in self._fit.weights(track.data[part]):
                yield self._head.posed(weights)


def figure_for(space: MotionSpace) -> NeutralHead | RetargetedHead:
    """The neutral head as motion in that space moves it; `MeshError` where it cannot."""
    return neutral_head() if space == ARKIT else RetargetedHead(space)


def landmark_ways(space: MotionSpace, blendshape: str) -> np.ndarray:
    """Offsets float32 (space.dim,) of a head's landmarks, at rest elsewhere, for a blendshape at 1.

    Raises `MeshError` for a head whose landmarks are not known.
    """
    fit, head = _fit(space.name), neutral_head()
    ways = np.zeros((space.dim // 3, 3), np.float32)
    ways[fit.vertices] = (
        head.blendshapes[blendshape][[landmark[0] for landmark in LANDMARKS]] * fit.face_width
    )
    return ways.reshape(-1)


@kept(len(COLUMN))
def _fit(space: str) -> _Fit:
    if space == BFM.name:
        raise MeshError(
            "The neutral head cannot show bfm motion, which belongs to the face in a picture; make the "
            "motion with {engine} instant.",
            "engine",
        )
    if space not in COLUMN:
        raise MeshError(
            "The neutral head cannot show {space} motion, as nobody told which vertex is where; give the "
            "head's own mesh ({template}).",
            "template",
            space=space,
        )
    head = neutral_head()
    own = [landmark[0] for landmark in LANDMARKS]
    ways = np.stack([head.blendshapes[name][own].astype(np.float64).reshape(-1) for name in SHAPES], 1)
    weight = np.ones((len(own), 3))
    weight[:LIPS] *= LIP_WEIGHT
    weight[:, 2] *= DEPTH_WEIGHT
    rows = [np.diag(weight.reshape(-1))]
    for upper, lower in LIP_PAIRS:
        gap = np.zeros((1, 3 * len(own)))
        gap[0, 3 * own.index(upper) + 1], gap[0, 3 * own.index(lower) + 1] = GAP_WEIGHT, -GAP_WEIGHT
        rows.append(gap)
    measured = np.concatenate(rows)
    # A shift of the whole head is none of the face's doing: what it can explain is left out.
    shift = np.linalg.qr(measured @ np.tile(np.eye(3), (len(own), 1)))[0]
    measured -= shift @ (shift.T @ measured)
    design = measured @ ways
    return _Fit(
        np.array([landmark[COLUMN[space]] for landmark in LANDMARKS]),
        FACE_WIDTH[space],
        design.T @ measured,
        design.T @ design + EFFORT**2 * np.eye(len(SHAPES)),
    )
