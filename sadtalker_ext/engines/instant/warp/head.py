"""Turns head angles into displacements of the picture: a 2.5-D head that moves within its outline."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ....face import topology
from .frame import NODES, FaceFrame
from .glasses import spectacle_zone
from .grid import Box, Grid, ScatteredField, jacobian, ramp, smoothstep

PIVOT_DEPTH = 0.12  # fw behind the ears, about where the neck carries the head
PIVOT_DROP = 0.30  # fw below the ears
MAX_SLOPE = 1.35  # of depth over the picture plane; steeper faces fold at the angles we allow
MAX_RELIEF = (-0.65, 0.25)  # fw, nearest and farthest depth
HAIR = (0.74, 0.95, 1.0)  # fw, half width and height (above, below) of a head with its hair
NECK = (-0.05, 0.95)  # fw below the chin: where the head's motion starts to fade and where it has
SILHOUETTE_BAND = 0.32  # fw outside the person within which motion dies away
ELLIPSE_FADE = (1.0, 2.3)  # head ellipse radii between which motion dies away without a matte
MATTE_FADE = (1.25, 2.1)  # the same with a matte: long hair may hang out of the ellipse
EDGE_FADE = 0.34  # fw from the picture's border within which motion dies away
RELIABLE = 0.25  # smallest Jacobian that still looks like a face
# A face mesh tracker sees less of a turn than the points make, because what it cannot see (the far cheek,
# the ears) stays: how much more is needed, measured over photos, paintings and drawings.
SEEN_GAIN = {"yaw": 1.15, "pitch": 1.18, "roll": 1.0}
SCAN = tuple(range(4, 27))  # degrees tried


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """(3, 3) rotation in axes right, down, away; signs as in `track.HEAD_POSE`."""
    angles = np.radians([yaw_deg, pitch_deg, roll_deg])
    (sy, sp, sr), (cy, cp, cr) = np.sin(angles), np.cos(angles)
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


class HeadMotion:
    """Displacement of every grid node for a head pose.

    weight: float32 grid.shape, 1 on the head, 0 where nothing moves. depth: float32 grid.shape, px.
    gain: {"yaw" | "pitch" | "roll": by how much an asked angle is enlarged so that it is seen}.
    limits: {"yaw" | "pitch" | "roll": degrees up to which the picture does not tear}.
    """

    def __init__(
        self,
        frame: FaceFrame,
        grid: Grid,
        size: tuple[int, int],
        matte: np.ndarray | None,
        rigid: float = 0.0,
        edges: tuple[bool, bool, bool, bool] = (False, False, False, False),
    ) -> None:
        """size: (width, height) of the region in the same pixels as the frame; motion fades towards its
        border. edges: which of its left, top, right and bottom side is the picture's own, along which it may
        slide (nothing lies beyond that would have to fit). matte: float32 grid.shape in 0..1, 1 on the
        person, if known. rigid: 0..1, how surely what is around the eyes must turn as one plane, as glasses
        do."""
        self.grid = grid
        self._frame = frame
        x, y = grid.nodes()
        self.outside = _distance_outside(frame, grid, x, y, matte)
        sideways, upright, inner = self._border(x, y, size, edges)
        self.border = sideways * upright * inner
        weight = self._head_weight(x, y, matte is not None) * inner
        self.weight = weight.astype(np.float32)
        self._weight_x, self._weight_y = self.weight * sideways, self.weight * upright
        self.depth = self._depth(x, y, rigid)
        ears = (frame.points[topology.RIGHT_CHEEK, :2] + frame.points[topology.LEFT_CHEEK, :2]) / 2
        pivot = ears + frame.down * PIVOT_DROP * frame.width
        self._x, self._y = x - np.float32(pivot[0]), y - np.float32(pivot[1])
        self._z = self.depth - np.float32(PIVOT_DEPTH * frame.width)
        self.gain = {name: self._measure_gain(name) for name in ("yaw", "pitch", "roll")}
        self.limits = {name: self._measure_limit(name) for name in ("yaw", "pitch", "roll")}

    def displacement(self, yaw: float, pitch: float, roll: float) -> tuple[np.ndarray, np.ndarray]:
        """Forward displacement (x, y) in px of every node; degrees as applied, gain included."""
        r = self._turn(yaw, pitch, roll).astype(np.float32)
        dx = (r[0, 0] - 1) * self._x + r[0, 1] * self._y + r[0, 2] * self._z
        dy = r[1, 0] * self._x + (r[1, 1] - 1) * self._y + r[1, 2] * self._z
        return dx * self._weight_x, dy * self._weight_y

    def _turn(self, yaw: float, pitch: float, roll: float) -> np.ndarray:
        """(3, 3) rotation about the axes of a head that may lean or lie in the picture."""
        upright = np.eye(3)
        upright[:2, 0], upright[:2, 1] = self._frame.across, self._frame.down
        return upright @ rotation(yaw, pitch, roll) @ upright.T

    @property
    def moving(self) -> Box:
        """Pixels x0, y0, x1, y1 outside which nothing moves, of the region the grid covers."""
        rows, columns = np.flatnonzero(self.weight.any(1)), np.flatnonzero(self.weight.any(0))
        if not len(rows):
            return self.grid.box
        step, x0, y0 = self.grid.step, self.grid.x0, self.grid.y0
        return (
            x0 + (int(columns[0]) - 2) * step, y0 + (int(rows[0]) - 2) * step,
            x0 + (int(columns[-1]) + 2) * step, y0 + (int(rows[-1]) + 2) * step,
        )  # fmt: skip

    def shifted(self, x: int, y: int) -> None:
        """Count pixels from (x, y) of what they were counted from."""
        self.grid = replace(self.grid, x0=self.grid.x0 - x, y0=self.grid.y0 - y)

    def _border(
        self, x: np.ndarray, y: np.ndarray, size: tuple[int, int], edges: tuple[bool, bool, bool, bool]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shares of sideways, of upright and of all motion that the region's border leaves."""
        left, top, right, bottom = (
            ramp(distance, 0, EDGE_FADE * self._frame.width).astype(np.float32)
            for distance in (x, y, size[0] - 1 - x, size[1] - 1 - y)
        )
        inner = np.ones_like(left)
        for side, is_edge in zip((left, top, right, bottom), edges, strict=True):
            if not is_edge:
                inner = inner * side
        return left * right, top * bottom, inner

    def _head_weight(self, x: np.ndarray, y: np.ndarray, has_matte: bool) -> np.ndarray:
        frame = self._frame
        across, down = frame.plane(x, y, frame.centre)
        radius = _ellipse(across, down)
        inner, outer = MATTE_FADE if has_matte else ELLIPSE_FADE
        weight = 1 - smoothstep(radius, inner, outer)
        chin = frame.chin_drop
        weight *= 1 - smoothstep(down, chin + NECK[0], chin + NECK[1])
        if has_matte:
            weight *= 1 - ramp(self.outside, 0.01, SILHOUETTE_BAND)
        return weight

    def _depth(self, x: np.ndarray, y: np.ndarray, rigid: float) -> np.ndarray:
        frame, step = self._frame, self.grid.step
        points, fw = frame.points, frame.width
        ears = float(points[[234, 454, 127, 356], 2].mean())
        middle = frame.centre
        near = middle + (frame.oval - middle) * 1.35
        far = middle + (frame.oval - middle) * 2.2
        oval_depth = points[list(topology.FACE_OVAL), 2]
        chosen = sorted({*range(0, NODES, 3), *topology.FACE_OVAL})
        nodes = np.concatenate([points[chosen, :2], near, far])
        values = np.concatenate([points[chosen, 2], ears * 0.55 + oval_depth * 0.45, np.full(len(far), ears)])
        field = ScatteredField(nodes / fw, 1e-2)
        depth = field((values - ears)[:, None].astype(np.float64), x / fw, y / fw)[..., 0]
        fine = _blur(depth, 0.05 * fw / step)
        broad = _blur(depth, 0.15 * fw / step)
        across, down = frame.plane(x, y, middle)
        rim = smoothstep(np.hypot(across / 0.50, down / 0.68), 0.55, 1.0)
        depth = np.clip(fine * (1 - rim) + broad * rim, MAX_RELIEF[0] * fw, MAX_RELIEF[1] * fw)
        if rigid > 0:
            depth = _flattened(depth, spectacle_zone(frame, x, y) * rigid, x / fw, y / fw)
        for _ in range(30):
            steepest = max(np.abs(np.diff(depth, axis=0)).max(), np.abs(np.diff(depth, axis=1)).max())
            if steepest < MAX_SLOPE * step:
                break
            depth = _blur(depth, max(1.0, 0.035 * fw / step))
        return depth.astype(np.float32)

    def _measure_gain(self, axis: str) -> float:
        # How much of the motion of the true mesh do the smoothed, faded fields give? Translation is
        # left out: a tracker takes it for what it is.
        angle = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, axis: 8.0}
        points = self._frame.points[:NODES]
        centred = points - points.mean(0)
        turned = centred @ self._turn(**angle).T
        wanted = (turned - centred)[:, :2]
        got = self.grid.sample_points(np.dstack(self.displacement(**angle)), points[:, :2])
        got = got - got.mean(0)
        share = float((wanted * got).sum() / max(float((wanted**2).sum()), 1e-6))
        return float(np.clip(1 / max(share, 0.3), 0.8, 2.0)) * SEEN_GAIN[axis]

    def _measure_limit(self, axis: str) -> float:
        safe = 2.0
        for degrees in SCAN:
            worst = 9.0
            for sign in (-1.0, 1.0):
                angle = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, axis: sign * degrees}
                worst = min(worst, float(jacobian(*self.displacement(**angle), self.grid.step).min()))
            if worst < RELIABLE:
                break
            safe = float(degrees)
        return safe


def _flattened(depth: np.ndarray, zone: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth made one plane, the best fit, where `zone` is 1."""
    terms = np.stack([x, y, np.ones_like(x)], -1)
    weight = np.sqrt(zone)[..., None]
    plane, *_ = np.linalg.lstsq((terms * weight).reshape(-1, 3), (depth * weight[..., 0]).ravel(), rcond=None)
    return depth + zone * (terms @ plane - depth)


def _ellipse(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Radius in units of a head with its hair."""
    lowered = down + 0.15
    return np.hypot(across / HAIR[0], np.where(lowered < 0, lowered / HAIR[1], lowered / HAIR[2]))


def _distance_outside(
    frame: FaceFrame, grid: Grid, x: np.ndarray, y: np.ndarray, matte: np.ndarray | None
) -> np.ndarray:
    """Distance in fw from the person (or from the head's ellipse), 0 inside."""
    inside = np.zeros(grid.shape, np.uint8)
    if matte is None:
        inside[_ellipse(*frame.plane(x, y, frame.centre)) < 1] = 1
    else:
        inside[matte > 0.5] = 1
    oval = np.stack(grid.positions(frame.oval[:, 0], frame.oval[:, 1]), 1)
    cv2.fillConvexPoly(inside, np.round(oval).astype(np.int32), (1,))
    distance = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) * (grid.step / frame.width)
    return _blur(distance.astype(np.float32), 0.04 * frame.width / grid.step)


def _blur(field: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(field, (0, 0), max(0.3, sigma))
