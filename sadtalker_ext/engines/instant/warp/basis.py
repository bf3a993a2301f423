"""Turns a face frame into displacement fields, one a facial movement, for the two layers of the mouth.

Every movement is written at the mesh points in head coordinates (fw), projected into the picture and
interpolated. The `upper` layer ignores the lower lip and the `lower` layer the upper one, so that each
can slide past the other without bending it.
"""

from __future__ import annotations

import cv2
import numpy as np

from ....face import topology
from .closing import Closing, jaw_share
from .frame import LIP_PAIRS, NODES, FaceFrame, MouthMeasures
from .grid import Grid, ScatteredField, smoothstep

JAW_DROP = 0.11  # fw that the lower lip and the chin sink for jaw = 1
NOSE_SIDE = (0.10, 0.17)  # fw beside the middle, from within a nose to outside it
COVERED = 0.008  # fw outside the lips' outline up to which the skin's points count as behind them
RIDGE = 1e-2  # fw, see ScatteredField
STILL_RINGS = (1.45, 1.9)  # outlines around the face, in its own size, where nothing moves

# Coefficients are fw for `upper`, `lower`, `round`, `frown` and `shift`, shares of 1 for all others.
MOVES = (
    "jaw", "jaw_side", "lower", "upper", "seal", "wide_left", "wide_right", "pout", "shift",
    "round", "smile_left", "smile_right", "frown_left", "frown_right", "roll_lower", "roll_upper", "press",
    "shrug", "puff", "cheek_left", "cheek_right", "sneer_left", "sneer_right",
    "brow_inner", "brow_left", "brow_right", "knit_left", "knit_right",
)  # fmt: skip
MOVE_INDEX = {name: i for i, name in enumerate(MOVES)}
UPPER_LIP = sorted({p for ring in topology.LIPS_UPPER_RINGS for p in ring[1:-1]})
LOWER_LIP = sorted({p for ring in topology.LIPS_LOWER_RINGS for p in ring[1:-1]})
CORNERS = (61, 76, 62, 78, 291, 306, 292, 308)


def _bell(value: np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-((value / sigma) ** 2))


def _covered(frame: FaceFrame) -> np.ndarray:
    """(NODES,) which points of the skin lie behind the lips of an open mouth, where the mesh folds."""
    outline = np.ascontiguousarray(frame.points[list(topology.LIPS_OUTER), :2])
    margin = COVERED * frame.width
    covered = np.zeros(NODES, bool)
    for point in sorted(set(range(NODES)) - set(topology.LIPS)):
        x, y = (float(value) for value in frame.points[point, :2])
        covered[point] = cv2.pointPolygonTest(outline, (x, y), True) > -margin
    return covered


def _yielding(
    values: np.ndarray, down: np.ndarray, edge: tuple[int, ...], other: tuple[tuple[int, ...], ...], far: int
) -> np.ndarray:
    """What the points (NODES, …) do in one lip's layer: those of the other lip give way to it.

    down: fw of each point. edge: the layer's own inner lip; other: the rings of the other lip, which lie
    between that edge and the point `far`: an even change from one to the other cannot fold.
    """
    values = values.copy()
    for ring in other:
        for own, point in list(zip(edge, ring, strict=True))[1:-1]:
            share = (down[point] - down[far]) / (down[own] - down[far])
            values[point] = values[far] + (values[own] - values[far]) * np.clip(share, 0, 1)
    return values


def _moves(mouth: MouthMeasures, closing: Closing) -> np.ndarray:
    """(NODES, moves, 3) displacement of every mesh point in head axes, fw per unit of each movement."""
    local = closing.local  # where every movement is told: on the face with its lips shut
    width, half = local[:, 0], mouth.half
    x = (width - float(mouth.centre[0])) / half  # −1 and 1 at the corners
    y = local[:, 1] - float(mouth.centre[1])  # fw below the mouth
    aside = np.abs(width - mouth.centre[0])
    chin, nose = float(y[topology.CHIN]), float(y[topology.NOSE_BOTTOM])
    is_upper, is_lower = np.zeros(NODES, bool), np.zeros(NODES, bool)
    is_upper[UPPER_LIP], is_lower[LOWER_LIP] = True, True
    skin = ~is_upper & ~is_lower
    profile = np.clip(1 - np.abs(x) ** 2.4, 0, 1)  # opening along the lips
    left, right = np.where(x > 0, 1.0, 0.0), np.where(x > 0, 0.0, 1.0)  # the person's own sides
    moves = np.zeros((NODES, len(MOVES), 3))

    def put(name: str, axis: int, value: np.ndarray) -> None:
        moves[:, MOVE_INDEX[name], axis] += value

    # Jaw: chin and lower lip sink, cheeks follow, nothing above the mouth line but the lower cheeks.
    jaw = jaw_share(aside, y, nose, chin)
    jaw = np.where(is_upper, 0, np.where(is_lower, 0.16 + 0.84 * profile, jaw))
    jaw[list(CORNERS)] = 0.16
    put("jaw", 1, jaw * JAW_DROP)
    put("jaw", 2, jaw * 0.03)
    put("jaw", 0, -np.sign(x) * jaw * 0.006)
    put("jaw", 0, -np.sign(x) * _bell(aside - 0.25, 0.12) * _bell(y, 0.18) * 0.012)
    put("jaw_side", 0, jaw * 0.05)

    # Lips parting, in fw, with the skin beside them.
    near_lower = np.where(skin, _bell(y - 0.09, 0.05) * _bell(x, 0.9) * (y > 0), 0)
    near_upper = np.where(skin, _bell(y + 0.07, 0.05) * _bell(x, 0.9) * (y < 0), 0)
    put("lower", 1, np.clip(np.where(is_lower, profile, 0) + near_lower, 0, 1))
    put("upper", 1, -np.clip(np.where(is_upper, profile, 0) + near_upper, 0, 1))

    moves[:, MOVE_INDEX["seal"], :2] = closing.moved

    # Corners: sideways, up and out, down.
    reach = _bell(np.maximum(np.abs(x) - 1, 0) * half, 0.14) * _bell(np.maximum(np.abs(y) - 0.06, 0), 0.09)
    # The cheek's fold goes with the corner of the mouth, the nose stays as wide as it is.
    reach = reach * (1 - (1 - smoothstep(aside, *NOSE_SIDE)) * smoothstep(-y, 0.06, 0.12))
    for side, name in ((left, "left"), (right, "right")):
        stretch = np.clip(x, -1.3, 1.3) * reach * side
        put(f"wide_{name}", 0, stretch * half)
        put(f"wide_{name}", 1, -(stretch**2) * half * 0.10)
        put(f"wide_{name}", 2, np.abs(stretch) * half * 0.35)
        corner = _bell((np.abs(x) - 1.05) * half, 0.085) * _bell(y, 0.12) * side
        cheek = _bell(aside - 0.24, 0.12) * _bell(y + 0.16, 0.12) * side
        put(f"smile_{name}", 1, -corner * 0.03 - cheek * 0.012)
        put(f"smile_{name}", 0, np.sign(x) * corner * 0.015)
        lips = (is_upper | is_lower) * np.clip((np.abs(x) - 0.25) / 0.75, 0, 1.1) ** 1.5
        put(f"frown_{name}", 1, np.maximum(lips, corner) * side)
        put(f"cheek_{name}", 1, -cheek * 0.025)
        wing = _bell(aside - 0.09, 0.06) * _bell(y - nose + 0.03, 0.06) * side
        put(f"sneer_{name}", 1, -wing * 0.02)
    put("shift", 0, reach)

    # Lip shapes: thickness, rolling in, pressing, shrugging.
    outer = np.zeros(NODES)
    for rings in (topology.LIPS_UPPER_RINGS, topology.LIPS_LOWER_RINGS):
        for ring, amount in zip(rings, (1.0, 0.66, 0.33, 0.0), strict=True):
            outer[list(ring[1:-1])] = amount
    lip_sign = np.where(is_upper, -1.0, np.where(is_lower, 1.0, 0.0))
    broad = np.clip(1 - np.abs(x) ** 5, 0, 1)
    put("pout", 1, lip_sign * outer * broad * 0.010)
    # A round opening is wide open close to its corners too.
    put("round", 1, lip_sign * (broad - profile) * np.where(is_upper, 0.4, 0.6))
    put("pout", 2, (is_upper | is_lower) * profile * -0.05)
    put("press", 1, -lip_sign * outer * profile * 0.010)
    put("roll_lower", 1, is_lower * outer * profile * -0.022)
    put("roll_upper", 1, is_upper * outer * profile * 0.016)
    put("shrug", 1, -0.025 * np.where(is_upper | is_lower, profile, smoothstep(y, 0, 0.06) * _bell(x, 0.9)))
    away = np.sign(x) * _bell(aside - 0.27, 0.10) * _bell(y - 0.02, 0.14)
    put("puff", 0, away * 0.03)

    # Brows: the lids below them stay where they are.
    brow = local[list(topology.RIGHT_BROW + topology.LEFT_BROW)]
    height = local[:, 1] - float(brow[:, 1].mean())
    strip = _bell(np.minimum(height, 0), 0.16) * (1 - smoothstep(height, 0, 0.075))
    strip *= _bell(np.maximum(np.abs(width) - 0.36, 0), 0.08)
    put("brow_inner", 1, -strip * _bell(width, 0.20) * 0.04)
    for side, name in ((width > 0, "left"), (width <= 0, "right")):
        outer_part = strip * smoothstep(np.abs(width), 0.05, 0.25) * side
        put(f"brow_{name}", 1, -outer_part * 0.035)
        ramp = strip * smoothstep(np.abs(width), 0.0, 0.06) * side
        put(f"knit_{name}", 1, ramp * _bell(np.abs(width) - 0.12, 0.16) * 0.025)
        put(f"knit_{name}", 0, -np.sign(width) * ramp * _bell(np.abs(width) - 0.12, 0.12) * 0.012)
    return moves


class ExpressionBasis:
    """The displacement fields of all movements on a grid.

    upper, lower: float32 (moves, 2, rows, columns), px per unit.
    gain: {move: fw of lip gap, at the middle of the mouth, per unit}, what the fields really do there.
    """

    def __init__(
        self, frame: FaceFrame, mouth: MouthMeasures, closing: Closing, grid: Grid, still: np.ndarray
    ) -> None:
        """still: float32 grid.shape, 0 where nothing may move, 1 on the face."""
        moves = _moves(mouth, closing) * frame.width
        flat = moves @ frame.axes[:2].T.astype(np.float64)  # (nodes, moves, 2) in pixels
        x = (closing.local[:, 0] - mouth.centre[0]) / mouth.half
        y = closing.local[:, 1] - mouth.centre[1]
        covered = _covered(frame)
        below = (np.abs(x) < 1.15) & (y > 0.0) & (y < 0.14)
        above = (np.abs(x) < 0.98) & (y < -0.03) & (y > -0.10)
        rest = np.concatenate([frame.centre + (frame.oval - frame.centre) * size for size in STILL_RINGS])
        gx, gy = grid.nodes()
        fields: list[np.ndarray] = []
        for own, other, far, beside in (
            (topology.LIPS_UPPER_RINGS, topology.LIPS_LOWER_RINGS, topology.CHIN, below),
            (topology.LIPS_LOWER_RINGS, topology.LIPS_UPPER_RINGS, topology.NOSE_BOTTOM, above),
        ):
            values = _yielding(flat, frame.local[:, 1], own[-1], other, far)
            keep = ~(beside | covered)
            keep[list(topology.LIPS)] = True
            points = np.concatenate([frame.points[:NODES, :2][keep], rest]) / frame.width
            values = values[keep].reshape(int(keep.sum()), -1)
            values = np.concatenate([values, np.zeros((len(rest), values.shape[1]))])
            field = ScatteredField(points, RIDGE)(values, gx / frame.width, gy / frame.width)
            field = field.reshape(*grid.shape, len(MOVES), 2).transpose(2, 3, 0, 1) * still
            fields.append(np.ascontiguousarray(field, np.float32))
        self.upper, self.lower = fields
        self.gain = self._lip_gain(frame, grid)

    def _lip_gain(self, frame: FaceFrame, grid: Grid) -> dict[str, float]:
        uppers = frame.points[[high for high, _ in LIP_PAIRS], :2]
        lowers = frame.points[[low for _, low in LIP_PAIRS], :2]
        down = frame.axes[:2, 1]
        gain: dict[str, float] = {}
        for name, index in MOVE_INDEX.items():
            low = grid.sample_points(self.lower[index].transpose(1, 2, 0).copy(), lowers)
            high = grid.sample_points(self.upper[index].transpose(1, 2, 0).copy(), uppers)
            gain[name] = float(((low - high) @ down).mean()) / float(down @ down) / frame.width
        return gain

    def combine(self, layer: np.ndarray, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum of a layer's fields weighted by `amounts` (moves,): displacement x and y in px."""
        dx = np.zeros(layer.shape[2:], np.float32)
        dy = np.zeros(layer.shape[2:], np.float32)
        for index in np.flatnonzero(np.abs(amounts) > 1e-5):
            dx += layer[index, 0] * np.float32(amounts[index])
            dy += layer[index, 1] * np.float32(amounts[index])
        return dx, dy
