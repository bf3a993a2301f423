"""Turns a face mesh, and in drawn pictures the drawing itself, into the curves of an open eye's lids."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ....face import topology

# Each from the outer corner, or end, to the inner one.
UPPER = {"right": topology.RIGHT_EYE_UPPER, "left": topology.LEFT_EYE_UPPER[::-1]}
LOWER = {"right": topology.RIGHT_EYE_LOWER, "left": topology.LEFT_EYE_LOWER[::-1]}
BROW = {"right": topology.RIGHT_BROW_LOWER, "left": topology.LEFT_BROW_LOWER[::-1]}
IRIS = {"right": (468, 469, 470, 471, 472), "left": (473, 474, 475, 476, 477)}
LEAST_WIDTH = 6.0  # px of an eye that is worth moving

# Lengths below are in eye widths (corner to corner).
LIFT = (0.06, 0.34)  # height above the upper lid within which lashes and crease are replaced, least and most
LIFT_OF_BROW = 0.72  # at most this share of the way from the lid to the brow
CURVE_SMOOTHING = 0.035
CURVE_SAMPLES = 161
LEAST_HEIGHT = 0.07  # of an open eye

# The rim of spectacles is a dark line that spans the eye some way above it.
RIM_SEARCH = (0.70, 0.22)
RIM_LIGHT = 0.30  # of the skin's light
RIM_SPAN = 0.75  # of the eye's width
RIM_THICKNESS = 0.16
RIM_DISTANCE = 0.04

# Drawn eyes are looked for on a canvas about the mesh's eye.
CANVAS_U = (-0.6, 1.6)
CANVAS_V = (-1.1, 1.5)
CANVAS_DENSITY = 50  # samples per eye width
SKIN_DIFFERENCE = 26  # grey levels in one channel by which what is drawn differs from flat skin
DRAWN_WIDTH = (0.5, 1.9)
DRAWN_HEIGHT = (0.15, 1.9)


@dataclass(frozen=True, eq=False)
class EyeFrame:
    """Where an eye is: U runs along `across` from corner to corner, V along `down`, both in pixels."""

    origin: np.ndarray  # (2,) px, the corner where U = 0
    across: np.ndarray  # (2,) unit vector
    down: np.ndarray  # (2,) unit vector, towards the chin
    width: float  # px from corner to corner

    def coordinates(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(U, V) in px of picture coordinates of any shape."""
        dx, dy = x - self.origin[0], y - self.origin[1]
        return dx * self.across[0] + dy * self.across[1], dx * self.down[0] + dy * self.down[1]


@dataclass(frozen=True, eq=False)
class EyeShape:
    """An open eye: at `knots` (K,) along U the heights V of its lids, all px.

    lift: how far above the upper lid the picture is replaced. iris: (U, radius). lash: thickness of the
    drawn lash line, 0 where it was not measured.
    """

    frame: EyeFrame
    knots: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    lift: np.ndarray
    iris: tuple[float, float]
    lash: float


def eye_shape(
    image: np.ndarray, points: np.ndarray, side: str, flat: float, skin: np.ndarray
) -> EyeShape | None:
    """The shape of one eye ("left" or "right" of the person), None where it is too small or shut.

    image: uint8 (H, W, 3). points: (≥468, 2) px. flat: how flatly the picture is drawn, 0..1; drawn eyes
    are measured in the drawing, since meshes of real faces do not fit them. skin: (3,) RGB.
    """
    frame = _eye_frame(points, side)
    if frame is None:
        return None
    shape = _mesh_shape(points, side, frame)
    if flat > 0.5:
        shape = _drawn_shape(image, points, side, shape, skin) or shape
    if (shape.lower - shape.upper).max() < max(2.0, LEAST_HEIGHT * shape.frame.width):
        return None
    return replace(shape, lift=np.minimum(shape.lift, _free_above(image, shape, skin)))


def _eye_frame(points: np.ndarray, side: str) -> EyeFrame | None:
    face_down = points[topology.CHIN] - points[topology.FOREHEAD]
    a, b = points[UPPER[side][0]], points[UPPER[side][-1]]
    across = b - a
    if across[0] * face_down[1] - across[1] * face_down[0] < 0:
        a, across = b, -across
    width = float(np.hypot(*across))
    if width < LEAST_WIDTH:
        return None
    across = across / width
    return EyeFrame(a, across, np.array([-across[1], across[0]]), width)


def _curve(knots: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Heights v(u) at the knots, smoothed."""
    step = 2.0 / (CURVE_SAMPLES - 1)
    radius = int(3 * CURVE_SMOOTHING / step) + 1
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) * step / CURVE_SMOOTHING) ** 2)
    order = np.argsort(u)
    values = np.interp(knots, u[order], v[order])
    return np.convolve(np.pad(values, radius, "edge"), kernel / kernel.sum(), "valid")


def _mesh_shape(points: np.ndarray, side: str, frame: EyeFrame) -> EyeShape:
    knots = np.linspace(-0.5, 1.5, CURVE_SAMPLES) * frame.width

    def curve(indices: tuple[int, ...]) -> np.ndarray:
        return _curve(knots, *frame.coordinates(points[list(indices), 0], points[list(indices), 1]))

    upper = curve(UPPER[side])
    lower = np.maximum(curve(LOWER[side]), upper)
    iris = (0.5 * frame.width, 0.2 * frame.width)
    if len(points) >= 478:
        ring = points[list(IRIS[side])]
        iris = (float(frame.coordinates(*ring[0])[0]), float(np.hypot(*(ring[1:] - ring[0]).T).mean()))
    return EyeShape(frame, knots, upper, lower, _lift(upper, curve(BROW[side]), frame.width), iris, 0.0)


def _free_above(image: np.ndarray, shape: EyeShape, skin: np.ndarray) -> np.ndarray:
    """px above the upper lid, at the shape's knots, up to the rim of spectacles, which no blink may move."""
    frame = shape.frame
    far = np.full_like(shape.knots, 10 * frame.width)
    over = np.flatnonzero((shape.knots > 0) & (shape.knots < frame.width))
    heights = np.arange(*RIM_SEARCH, -1 / CANVAS_DENSITY) * frame.width  # from above to the lid
    v = shape.upper[over] - heights[:, None]
    at = frame.origin + shape.knots[over][None, :, None] * frame.across + v[..., None] * frame.down
    at = at.astype(np.float32)
    seen = cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    dark = seen.mean(-1) < RIM_LIGHT * skin.mean()
    lower = len(heights) - 1 - dark[::-1].argmax(0)
    upper = np.array([row - int((~dark[row::-1, column]).argmax()) for column, row in enumerate(lower)])
    # A brow or a socket in shade is dark much further up.
    thin = dark.any(0) & (upper >= 0) & ~dark[upper, np.arange(len(upper))]
    thin &= (lower - upper) < RIM_THICKNESS * CANVAS_DENSITY
    if thin.mean() < RIM_SPAN:
        return far
    edge = np.median(heights[lower[thin]])
    # One height for the whole rim: what is dark and lower in some columns is lash.
    return np.full_like(far, max(float(edge) - RIM_DISTANCE * frame.width, LIFT[0] * frame.width))


def _lift(upper: np.ndarray, brow: np.ndarray, width: float) -> np.ndarray:
    return np.clip((upper - brow) * LIFT_OF_BROW, LIFT[0] * width, LIFT[1] * width)


def _dark_run(column: np.ndarray) -> int:
    """How far down the dark reaches that starts at (or, edges being soft, just below) the column's top."""
    start = int(column[:4].argmax())
    if not column[start]:
        return 0
    light = ~column[start:]
    return start + (int(light.argmax()) if light.any() else len(light))


def _drawn_shape(
    image: np.ndarray, points: np.ndarray, side: str, mesh: EyeShape, skin: np.ndarray
) -> EyeShape | None:
    """The same, measured in a drawing: what differs from flat skin about the mesh's eye."""
    frame, step = mesh.frame, mesh.frame.width / CANVAS_DENSITY
    u = np.arange(*CANVAS_U, 1 / CANVAS_DENSITY) * frame.width
    v = np.arange(*CANVAS_V, 1 / CANVAS_DENSITY) * frame.width
    at = frame.origin + u[None, :, None] * frame.across + v[:, None, None] * frame.down
    at = at.astype(np.float32)
    seen = cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    differs = (np.abs(seen.astype(np.float32) - skin).max(-1) > SKIN_DIFFERENCE).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(differs, connectivity=4)
    middle = (np.interp(u, mesh.knots, mesh.upper) + np.interp(u, mesh.knots, mesh.lower)) / 2
    core = (np.abs(u / frame.width - 0.5) < 0.3)[None] & (np.abs(v[:, None] - middle) < 0.12 * frame.width)
    votes = np.bincount(labels[core], minlength=len(stats))
    votes[0] = 0
    found = int(votes.argmax())
    left, top, columns, rows, _ = (int(n) for n in stats[found])
    wide, high = columns / CANVAS_DENSITY, rows / CANVAS_DENSITY
    inside = left > 0 and top > 0 and left + columns < len(u) and top + rows < len(v)
    fits = DRAWN_WIDTH[0] < wide < DRAWN_WIDTH[1] and DRAWN_HEIGHT[0] < high < DRAWN_HEIGHT[1]
    if not (votes[found] and inside and fits):
        return None
    part = labels[top : top + rows, left : left + columns] == found
    first = part.argmax(0)
    last = rows - 1 - part[::-1].argmax(0)
    # The lash line is what is dark from the top of a column down.
    dark = seen[top : top + rows, left : left + columns].mean(-1) < 0.5 * skin.mean()
    central = range(columns // 5, columns - columns // 5)
    lash = min(float(np.median([_dark_run(dark[first[c] : last[c] + 1, c]) for c in central])), 0.16 * rows)
    lash *= step
    across = u[left : left + columns]
    start = frame.origin + frame.across * float(across[0])
    drawn = EyeFrame(start, frame.across, frame.down, float(across[-1] - across[0]))
    knots = np.linspace(-0.5, 1.5, CURVE_SAMPLES) * drawn.width
    upper = _curve(knots, across - across[0], np.minimum(v[top + first] + lash, v[top + last]))
    lower = np.maximum(_curve(knots, across - across[0], v[top + last]), upper)
    brow = _curve(knots, *drawn.coordinates(*points[list(BROW[side])].T))
    lift = np.maximum(_lift(upper, brow, drawn.width), 1.6 * lash)
    lum = seen[top : top + rows, left : left + columns].mean(-1)
    coloured = part & (lum < 0.75 * max(float(np.percentile(lum[part], 95)), 1.0))
    coloured[: int(0.3 * rows)] = False
    where = np.flatnonzero(coloured.any(0))
    if not len(where):
        return None
    iris_u = float(across[where].mean() - across[0])
    return EyeShape(drawn, knots, upper, lower, lift, (iris_u, float(np.ptp(across[where])) / 2), lash)
