"""Turns a mouth that is open in the picture into the displacement that shuts it, as a jaw and two lips do.

A jaw that hangs is raised, with the chin and the lower cheeks; only what remains is crossed by the lips,
which keep their shape: the cheek and the chin, which are large, take up the stretch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....face import topology
from .frame import NODES, FaceFrame
from .grid import ramp, smoothstep

# Of a face at rest, fw; measured on the mean face and on faces with shut lips.
REST_NOSE_TO_CHIN = 0.47
REST_NOSE_TO_LIP = 0.155
JAW_AT_MOST = 0.75  # share of the opening that a hanging jaw may account for
UPPER_LIP = (0.12, 0.45)  # least and largest share of the opening that the upper lip crosses
CORNERS_FOLLOW = 0.3  # share of the jaw's rise
SPREAD = 0.9  # how far the points of a lip are spread evenly along the line on which it comes to lie
WITH_LIP = 0.03  # fw from the lips within which skin moves with them
BESIDE = 0.10  # fw beside the lips within which the skin's motion with them dies away
TURNED = 0.7  # how far lips turn with the line of their edge, so that they stay as thick as they are
PRESSED = 0.6  # of the skin beside a mouth's corner, how far at most it is pressed together
SIDE_SHARE = 0.62  # of the jaw's motion at its sides
MIDDLE = 5  # place of the middle point on a ring of the lips


@dataclass(frozen=True, eq=False)
class Closing:
    """How an open mouth shuts, fw: how far jaw and upper lip move in the middle, and every mesh point.

    moved: (NODES, 2) right and down, all 0 for shut lips. local: (NODES, 3) the points of the shut face, in
    head coordinates; those of the picture where its lips are shut already.
    """

    jaw: float
    upper: float
    moved: np.ndarray
    local: np.ndarray

    @classmethod
    def of(cls, frame: FaceFrame) -> Closing:
        local, gap = frame.local[:NODES].astype(np.float64), frame.own_gap
        moved = np.zeros((NODES, 2))
        if not gap:
            return cls(0.0, 0.0, moved, local)
        nose = float(local[topology.NOSE_BOTTOM, 1])
        raised = REST_NOSE_TO_LIP - (float(local[topology.LIPS_INNER_UPPER[MIDDLE], 1]) - nose)
        dropped = float(local[topology.CHIN, 1]) - nose - REST_NOSE_TO_CHIN
        upper = float(np.clip(raised, UPPER_LIP[0] * gap, UPPER_LIP[1] * gap))
        jaw = float(np.clip(dropped, 0, min(JAW_AT_MOST * gap, gap - upper)))
        _move_lips(moved, local, upper / gap, jaw * CORNERS_FOLLOW)
        _move_skin(moved, local, jaw)
        shut = local.copy()
        shut[:, :2] += moved
        _cover_rims(moved, local, frame.rim)
        return cls(jaw, upper, moved, shut)


def jaw_share(aside: np.ndarray, y: np.ndarray, nose: float, chin: float, lip: float = 0.0) -> np.ndarray:
    """Share of the jaw's motion that each point of the skin takes part in.

    aside: fw beside the middle of the mouth. y: fw below its corners. nose, chin, lip: y of these, the last
    one the lower lip's edge.
    """
    middle = smoothstep(y, -0.02, lip + 0.10) * (1 - 0.55 * smoothstep(aside, 0.22, 0.5))
    sides = SIDE_SHARE * smoothstep(y, nose - 0.12, chin)
    outward = smoothstep(aside, 0.13, 0.34)
    return np.asarray(middle * (1 - outward) + sides * outward)


def _move_lips(moved: np.ndarray, local: np.ndarray, share: float, lift: float) -> None:
    """Move both lips, ring by ring, with their inner edges, which come to lie on one line.

    share: of the gap that the upper lip crosses. lift: fw that the corners rise.
    """
    upper, lower = (local[list(ring), :2] for ring in (topology.LIPS_INNER_UPPER, topology.LIPS_INNER_LOWER))
    across = np.linspace(-1, 1, len(upper))
    gap = np.maximum(np.interp(upper[:, 0], lower[:, 0], lower[:, 1]) - upper[:, 1], 0)
    line = upper[:, 1] + share * gap - lift * np.abs(across) ** 1.5
    x_upper, x_lower = _spread(upper), _spread(lower)
    below = np.interp(x_lower, x_upper, line)
    for rings, edge, shut in (
        (topology.LIPS_UPPER_RINGS, upper, np.stack([x_upper, line], 1)),
        (topology.LIPS_LOWER_RINGS, lower, np.stack([x_lower, below], 1)),
    ):
        turn = TURNED * (_direction(shut) - _direction(edge))
        cos, sin = np.cos(turn), np.sin(turn)
        for ring in rings:
            across, down = (local[list(ring), :2] - edge).T
            turned = np.stack([cos * across - sin * down, sin * across + cos * down], 1)
            moved[list(ring)] = shut + turned - local[list(ring), :2]


def _direction(line: np.ndarray) -> np.ndarray:
    """Radians by which a line from left to right runs down at each of its points."""
    step = np.gradient(line, axis=0)
    return np.asarray(np.arctan2(step[:, 1], np.maximum(step[:, 0], 1e-6)))


def _spread(edge: np.ndarray) -> np.ndarray:
    """x of a lip's points once it is stretched along its line from corner to corner."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(edge, axis=0).T))])
    even = edge[0, 0] + (edge[-1, 0] - edge[0, 0]) * along / max(along[-1], 1e-6)
    return np.asarray(edge[:, 0] + SPREAD * (even - edge[:, 0]))


def _move_skin(moved: np.ndarray, local: np.ndarray, jaw: float) -> None:
    """Raise the skin with the jaw, and below the lower lip as far as this rises."""
    skin = np.ones(NODES, bool)
    skin[list(topology.LIPS)] = False
    corners = local[[78, 308], :2].mean(0)
    x, y = local[:, 0], local[:, 1] - corners[1]
    lip, nose, chin = (
        float(y[point]) for point in (topology.LIPS_INNER_LOWER[MIDDLE], topology.NOSE_BOTTOM, topology.CHIN)
    )
    rise = jaw * jaw_share(np.abs(x - corners[0]), y, nose, chin, max(lip, 0))
    outer = list(topology.LIPS_OUTER_LOWER)
    lip_x, by_lip = local[outer, 0], -moved[outer, 1]
    edge = np.interp(x, lip_x, y[outer])
    beside = np.exp(-((np.abs(x - np.clip(x, lip_x[0], lip_x[-1])) / BESIDE) ** 2))
    length = max(chin - float(y[outer].max()) - WITH_LIP, 0.05)
    near = (1 - ramp((y - edge - WITH_LIP) / length, 0, 1)) * smoothstep(y, -0.02, 0.04) * beside
    rise = rise + np.maximum(np.interp(x, lip_x, by_lip) - rise, 0) * near
    # The skin beside a mouth's corner is pressed together by what rises below it.
    at_most = jaw * CORNERS_FOLLOW + PRESSED * np.maximum(y, 0)
    rise = np.minimum(rise, np.maximum(at_most, np.interp(x, lip_x, by_lip, left=0, right=0)))
    moved[skin, 1] = -rise[skin]
    _hold_to_lips(moved, local, skin)


def _hold_to_lips(moved: np.ndarray, local: np.ndarray, skin: np.ndarray) -> None:
    """Let the skin close to the lips' outer edges move with them."""
    outline = list(topology.LIPS_OUTER)
    away = np.linalg.norm(local[:, None, :2] - local[None, outline, :2], axis=2)
    nearest = away.argmin(1)
    share = np.exp(-((away.min(1) / WITH_LIP) ** 2))[:, None]
    held = moved + (moved[outline][nearest] - moved) * share
    moved[skin] = held[skin]


def _cover_rims(moved: np.ndarray, local: np.ndarray, rim: float) -> None:
    """Let the lips overlap by their rims, which mix with what the picture shows between them."""
    left, right = local[78, 0], local[308, 0]
    x = (local[:, 0] - (left + right) / 2) / max(float(right - left) / 2, 1e-6)
    covered = rim * np.clip((1 - np.abs(x)) / 0.25, 0, 1)
    for rings, sign in ((topology.LIPS_UPPER_RINGS, 1), (topology.LIPS_LOWER_RINGS, -1)):
        points = sorted({point for ring in rings for point in ring[1:-1]})
        moved[points, 1] += sign * covered[points]
