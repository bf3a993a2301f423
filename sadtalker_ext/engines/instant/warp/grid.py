"""Turns displacements known at mesh points into smooth fields on a pixel grid, inverts and enlarges them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels

INVERSION_STEPS = 6  # fixed-point iterations; the residual is below .1 px for |gradient| < .6
LEAST_AREA = 0.2  # of a cell that is pressed together, beyond which it counts as folded
RBF_CHUNK = 4096  # grid nodes evaluated at once, bounds the memory of the distance matrix


@dataclass(frozen=True)
class Grid:
    """A regular grid of cells over pixels: node (i, j) is the centre of the cell of `step` pixels that starts
    at x0 + i·step, y0 + j·step. One ring of extra nodes lies outside (i or j = −1 and nx or ny).

    x0, y0: pixel of the first cell's corner. step: px. nx, ny: cells.
    """

    x0: int
    y0: int
    step: int
    nx: int
    ny: int

    @classmethod
    def over(cls, x0: float, y0: float, x1: float, y1: float, step: int) -> Grid:
        """The smallest grid of whole cells that covers the rectangle."""
        left, top = int(np.floor(x0)), int(np.floor(y0))
        nx, ny = (max(1, -(-int(np.ceil(side)) // step)) for side in (x1 - left, y1 - top))
        return cls(left, top, step, nx, ny)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the nodes with the extra ring."""
        return self.ny + 2, self.nx + 2

    @property
    def box(self) -> Box:
        """Pixels covered: x0, y0, x1, y1."""
        return self.x0, self.y0, self.x0 + self.nx * self.step, self.y0 + self.ny * self.step

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel x and y of every node, each float32 `shape`."""
        half = (self.step - 1) / 2
        x = self.x0 + half + np.arange(-1, self.nx + 1, dtype=np.float32) * self.step
        y = self.y0 + half + np.arange(-1, self.ny + 1, dtype=np.float32) * self.step
        gx, gy = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        return gx, gy

    def positions(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel positions as fractional (column, row) node indices, for `sample`."""
        scale = np.float32(1 / self.step)
        half = (self.step - 1) / 2
        return (x - np.float32(self.x0 + half)) * scale + 1, (y - np.float32(self.y0 + half)) * scale + 1

    def sample(self, field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Bilinear values of a node field at pixel positions (2-D arrays); the edge value outside."""
        column, row = self.positions(x, y)
        return cv2.remap(field, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def sample_points(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Values of a node field (…, C) at (n, 2) pixel points, (n, C)."""
        xy = np.ascontiguousarray(points[:, None, :2], np.float32)
        return self.sample(field, xy[..., 0].copy(), xy[..., 1].copy()).reshape(len(points), -1)

    def enlarge(self, field: np.ndarray, box: Box) -> np.ndarray:
        """One-channel node field as a float32 pixel map of `box` (inside the grid's own box)."""
        s = self.step
        x0, y0, x1, y1 = box
        i0, j0 = max(0, (x0 - self.x0) // s), max(0, (y0 - self.y0) // s)
        i1, j1 = min(self.nx, -(-(x1 - self.x0) // s)), min(self.ny, -(-(y1 - self.y0) // s))
        part = field[j0 : j1 + 2, i0 : i1 + 2]
        big = cv2.resize(part, None, fx=s, fy=s, interpolation=cv2.INTER_LINEAR)
        left, top = x0 - (self.x0 + (i0 - 1) * s), y0 - (self.y0 + (j0 - 1) * s)
        return big[top : top + y1 - y0, left : left + x1 - x0]

    def invert(
        self, dx: np.ndarray, dy: np.ndarray, steps: int = INVERSION_STEPS, *, steep: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The backward displacement b of a forward displacement d on the nodes: b(p) = −d(p + b(p)).

        By fixed-point iteration; steep: by Newton's method, which takes three times as long and holds for
        every field that does not fold.
        """
        both = np.dstack([dx, dy])
        rows, columns = self.shape
        column = np.arange(columns, dtype=np.float32)[None]
        row = np.arange(rows, dtype=np.float32)[:, None]
        scale = np.float32(1 / self.step)
        slopes = _inverse_slopes(dx, dy, self.step) if steep else None
        back = -both
        for _ in range(steps):
            at = column + back[..., 0] * scale, row + back[..., 1] * scale
            there = cv2.remap(both, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            if slopes is None:
                back = -there
                continue
            off = back + there
            m = cv2.remap(slopes, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            back[..., 0] -= m[..., 0] * off[..., 0] + m[..., 1] * off[..., 1]
            back[..., 1] -= m[..., 2] * off[..., 0] + m[..., 3] * off[..., 1]
        return np.ascontiguousarray(back[..., 0]), np.ascontiguousarray(back[..., 1])


def _inverse_slopes(dx: np.ndarray, dy: np.ndarray, step: float) -> np.ndarray:
    """float32 (…, 4): the inverse of the Jacobian matrix of p → p + d(p) on each node, row by row."""
    xx, xy, yx, yy = _slopes(dx, dy, step)
    area = np.maximum(xx * yy - xy * yx, LEAST_AREA)
    return np.dstack([yy / area, -xy / area, -yx / area, xx / area]).astype(np.float32)


def _slopes(
    dx: np.ndarray, dy: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The Jacobian matrix of p → p + d(p) on grid nodes `step` pixels apart."""
    return (
        np.gradient(dx, step, axis=1) + 1, np.gradient(dx, step, axis=0),
        np.gradient(dy, step, axis=1), np.gradient(dy, step, axis=0) + 1,
    )  # fmt: skip


class ScatteredField:
    """Interpolates values given at scattered points: kernel −r with an affine part and a ridge.

    The kernel's field is the smoothest (in the sense of a membrane's energy in one dimension more) that
    passes through the points, it does not overshoot like thin plates, and the ridge forgives points that
    coincide. points: (n, 2), in units in which they are of order one. ridge: in the same unit.
    """

    def __init__(self, points: np.ndarray, ridge: float = 1e-3) -> None:
        points = np.asarray(points, np.float64)
        n = len(points)
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        affine = np.c_[np.ones(n), points]
        matrix = np.zeros((n + 3, n + 3))
        matrix[:n, :n] = -distance + np.eye(n) * ridge
        matrix[:n, n:] = affine
        matrix[n:, :n] = affine.T
        matrix[n:, n:] -= np.eye(3) * 1e-9
        self._matrix = matrix
        self._points = points.astype(np.float32)

    def __call__(self, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """values (n, C) at the points → float32 (*x.shape, C) at positions x, y."""
        n = len(self._points)
        padded = np.concatenate([values, np.zeros((3, values.shape[1]))])
        weights = np.linalg.solve(self._matrix, padded).astype(np.float32)
        where = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
        squared = (self._points**2).sum(1)
        out = np.empty((len(where), values.shape[1]), np.float32)
        for start in range(0, len(where), RBF_CHUNK):
            q = where[start : start + RBF_CHUNK]
            distance = (q * q).sum(1)[:, None] + squared - 2 * (q @ self._points.T)
            np.sqrt(np.maximum(distance, 0, out=distance), out=distance)
            out[start : start + RBF_CHUNK] = q @ weights[n + 1 :] + weights[n] - distance @ weights[:n]
        return out.reshape(*x.shape, values.shape[1])


def jacobian(dx: np.ndarray, dy: np.ndarray, step: float) -> np.ndarray:
    """Determinant of the Jacobian of p → p + d(p) on grid nodes `step` pixels apart; ≤ 0 is a fold."""
    xx, xy, yx, yy = _slopes(dx, dy, step)
    return xx * yy - xy * yx


def smoothstep(value: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, 3t² − 2t³ between (falling when high < low)."""
    t = np.clip((np.asarray(value) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def smooth_share(x: float, low: float, high: float) -> float:
    """`smoothstep` of one number, for `low` below `high`."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def ramp(value: np.ndarray, low: float, high: float, rounding: float = 0.15) -> np.ndarray:
    """0 below `low`, 1 above `high`, straight between but for rounded ends.

    Where motion must die away within little space this folds later than `smoothstep`, which is half as steep
    again in its middle. rounding: share of the way that each rounded end takes.
    """
    t = np.clip((value - low) / (high - low), 0, 1)
    slope = 1 / (1 - rounding)
    straight = slope * (t - rounding / 2)
    start, end = slope * t**2 / (2 * rounding), 1 - slope * (1 - t) ** 2 / (2 * rounding)
    return np.where(t < rounding, start, np.where(t > 1 - rounding, end, straight))
