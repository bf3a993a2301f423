"""Turns projected triangles into the samples of a picture that each of them is seen in, nearest first.

Every triangle is cut into the rows of samples that it crosses, and every row into samples; both steps handle
all triangles at once. A pixel has several rows of one sample each, shifted sideways against one another, so
that upright and lying edges are equally smooth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Sideways shift, in pixels, of each row of samples of a pixel: no two samples share a row or a column.
ROW_SHIFTS: tuple[float, ...] = (-0.125, 0.375, -0.375, 0.125)
ROWS = len(ROW_SHIFTS)  # samples a pixel
TILE = 16  # pixels: side of the tiles whose farthest depth hides what lies behind
NO_AREA = 1e-7  # square pixels, twice the area below which a triangle is not seen
NO_HEIGHT = 1e-20  # pixels; keeps the slope of a lying edge, which crosses no row, finite
FAR_OFF = 1e6  # pixels from the picture beyond which triangles are left out: their edges lose all precision


@dataclass(frozen=True, eq=False)
class Triangles:
    """Triangles in the picture; corner 0 is the one that everything is measured from.

    x, y: (3, F) px. depth: (3, F), larger is farther. area: (F,) twice the signed area in square px, negative
    where the front is seen. inverse: (4, F), which turns the way (dx, dy) from corner 0 into the shares of
    corners 1 and 2: i0 dx + i1 dy and i2 dx + i3 dy. drawn: (F,) bool, those that can be seen at all.
    """

    x: np.ndarray
    y: np.ndarray
    depth: np.ndarray
    area: np.ndarray
    inverse: np.ndarray
    drawn: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, faces: np.ndarray) -> Triangles:
        """The triangles `faces` (3, F) of `points` float32 (3, V): px right, px down, depth."""
        x, y, depth = (axis.take(faces) for axis in points)
        ax, ay, bx, by = x[1] - x[0], y[1] - y[0], x[2] - x[0], y[2] - y[0]
        with np.errstate(invalid="ignore", over="ignore"):
            area = ax * by - bx * ay
            drawn = (np.abs(area) > NO_AREA) & np.isfinite(depth).all(0)
            drawn &= (np.abs(x) < FAR_OFF).all(0) & (np.abs(y) < FAR_OFF).all(0)
        unit = np.float32(1) / np.where(drawn, area, np.float32(1))
        return cls(x, y, depth, area, np.stack([by * unit, -bx * unit, -ay * unit, ax * unit]), drawn)

    def chosen(self, which: np.ndarray, top: float) -> Triangles:
        """Some of the triangles, in a picture whose first row is the row `top` of this one."""
        columns = (self.x, self.y, self.depth, self.inverse)
        x, y, depth, inverse = (column.take(which, 1) for column in columns)
        area, drawn = self.area.take(which), self.drawn.take(which)
        return Triangles(x, y - np.float32(top), depth, area, inverse, drawn)

    def gradient(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Change (…, F) a px to the right, and a px down, of what has `values` (3, …, F) at the corners."""
        i0, i1, i2, i3 = self.inverse
        with np.errstate(invalid="ignore", over="ignore"):  # of triangles that are not drawn
            one, two = values[1] - values[0], values[2] - values[0]
            return i0 * one + i2 * two, i1 * one + i3 * two


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of samples within triangles.

    face: (R,) its triangle. first: (R,) its first sample. count: (R,) samples, ≥ 1. dx, dy: (R,) px from the
    triangle's corner 0 to the first sample.
    """

    face: np.ndarray
    first: np.ndarray
    count: np.ndarray
    dx: np.ndarray
    dy: np.ndarray


@dataclass(frozen=True, eq=False)
class Hits:
    """What is seen: the covered samples in order, each with the row it belongs to and its place in it.

    sample: (N,). row: (N,) index into `rows`. step: (N,) px from the row's first sample.
    """

    rows: Rows
    sample: np.ndarray
    row: np.ndarray
    step: np.ndarray

    def values(self, triangles: Triangles, corners: np.ndarray) -> np.ndarray:
        """(A, N): what has the values `corners` (3, A, F) at the triangles' corners, at the samples."""
        right, down = triangles.gradient(corners)
        found = np.empty((corners.shape[1], len(self.sample)), np.float32)
        for number, start in enumerate(corners[0]):
            rightwards = right[number].take(self.rows.face)
            first = start.take(self.rows.face) + rightwards * self.rows.dx
            first += down[number].take(self.rows.face) * self.rows.dy
            np.multiply(rightwards.take(self.row), self.step, out=found[number])
            found[number] += first.take(self.row)
        return found


class Samples:
    """The samples of a picture of `width` × `height` px: tells which triangle is nearest in each.

    stride: samples in a row, `width` and a margin. height_rows: rows of samples, the last ones a margin too.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.stride = -(-width // TILE) * TILE
        self.height_rows = -(-height // TILE) * TILE * ROWS
        rows = np.arange(self.height_rows)
        self._row_y = ((rows + 0.5) / ROWS).astype(np.float32)
        self._row_x = (np.array(ROW_SHIFTS, np.float32)[rows % ROWS] + np.float32(0.5)).astype(np.float32)

    def seen(self, triangles: Triangles) -> Hits:
        """The nearest triangle of every covered sample."""
        slope = triangles.gradient(triangles.depth)
        front = np.flatnonzero(triangles.drawn & (triangles.area < 0))
        back = np.flatnonzero(triangles.drawn & (triangles.area > 0))
        owner = np.full(self.stride * self.height_rows, -1, np.int32)
        rows, row, step, depth = self._draw(triangles, slope, front, owner, None)
        if len(back):
            back = back[self._maybe_seen(triangles, back, owner, depth)]
        if len(back):
            rows, row, step, depth = self._draw(triangles, slope, back, owner, (rows, row, step, depth))
        sample = np.flatnonzero(owner >= 0)
        winner = owner.take(sample)
        return Hits(rows, sample, row.take(winner), step.take(winner))

    def _draw(
        self,
        triangles: Triangles,
        slope: tuple[np.ndarray, np.ndarray],
        chosen: np.ndarray,
        owner: np.ndarray,
        before: tuple[Rows, np.ndarray, np.ndarray, np.ndarray] | None,
    ) -> tuple[Rows, np.ndarray, np.ndarray, np.ndarray]:
        """Enters the chosen triangles' samples into `owner` where they are nearest; all drawn so far."""
        # From far to near, so that most samples are right at once.
        chosen = chosen[np.argsort(-triangles.depth.take(chosen, 1).sum(0), kind="stable")]
        rows = self._rows(triangles, chosen)
        right, down = slope[0].take(rows.face), slope[1].take(rows.face)
        start = triangles.depth[0].take(rows.face) + right * rows.dx + down * rows.dy
        row = np.repeat(np.arange(len(rows.face)), rows.count)
        step = np.arange(len(row)) - np.repeat(np.cumsum(rows.count) - rows.count, rows.count)
        sample = rows.first.take(row) + step
        step = step.astype(np.float32)
        depth = start.take(row) + right.take(row) * step
        if before is None:
            number = np.arange(len(row), dtype=np.int32)
            owner[sample] = number
            late = np.flatnonzero(depth < depth.take(owner.take(sample)))
        else:
            earlier, *columns = before
            number = np.arange(len(columns[0]), len(columns[0]) + len(row), dtype=np.int32)
            row = np.concatenate([columns[0], row + len(earlier.face)])
            step, depth = np.concatenate([columns[1], step]), np.concatenate([columns[2], depth])
            rows = Rows(*(np.concatenate([getattr(part, name) for part in (earlier, rows)])
                          for name in ("face", "first", "count", "dx", "dy")))  # fmt: skip
            owned = owner.take(sample)
            late = np.flatnonzero((owned < 0) | (depth.take(number) < depth.take(owned)))
        while len(late):
            owner[sample[late]] = number[late]
            nearer = depth.take(number[late]) < depth.take(owner.take(sample[late]))
            late = late[nearer]
        return rows, row, step, depth

    def _rows(self, triangles: Triangles, chosen: np.ndarray) -> Rows:
        x, y = _downwards(triangles.x.take(chosen, 1), triangles.y.take(chosen, 1))
        bottom = self.height * ROWS
        first = np.clip(np.ceil(y[0] * ROWS - 0.5), 0, bottom).astype(np.intp)
        rows = np.clip(np.ceil(y[2] * ROWS - 0.5), 0, bottom).astype(np.intp) - first
        owner = np.repeat(np.arange(len(chosen)), rows)
        row = np.arange(len(owner)) - np.repeat(np.cumsum(rows) - rows - first, rows)
        # Edges are followed from their upper ends: both neighbours of an edge find the very same border.
        long, upper, lower = (
            (x[b] - x[a]) / np.maximum(y[b] - y[a], np.float32(NO_HEIGHT))
            for a, b in ((0, 2), (0, 1), (1, 2))
        )
        at, shift = self._row_y.take(row), self._row_x.take(row)
        down = at - y[0].take(owner)
        one = x[0].take(owner) + down * long.take(owner)
        below = at - y[1].take(owner)
        other = np.where(
            below < 0,
            x[0].take(owner) + down * upper.take(owner),
            x[1].take(owner) + below * lower.take(owner),
        )
        left = np.clip(np.ceil(np.minimum(one, other) - shift), 0, self.width)
        right = np.clip(np.ceil(np.maximum(one, other) - shift), 0, self.width)
        some = np.flatnonzero(right > left)
        left, row, owner = left.take(some), row.take(some), owner.take(some)
        face = chosen.take(owner)
        return Rows(
            face=face,
            first=row * self.stride + left.astype(np.intp),
            count=(right.take(some) - left).astype(np.intp),
            dx=left + shift.take(some) - triangles.x[0].take(face),
            dy=at.take(some) - triangles.y[0].take(face),
        )

    def _maybe_seen(
        self, triangles: Triangles, chosen: np.ndarray, owner: np.ndarray, depth: np.ndarray
    ) -> np.ndarray:
        """False for triangles wholly behind what is drawn already, by the farthest depth of tiles."""
        nearest = np.append(depth, np.float32(np.inf)).take(owner)  # −1, nothing, takes the last one
        high, wide = self.height_rows // (TILE * ROWS), self.stride // TILE
        tiles = nearest.reshape(high, TILE * ROWS, wide, TILE).max(1).max(2)
        edge = np.pad(tiles, 1, mode="edge")
        around = np.max([edge[i : i + high, j : j + wide] for i in range(3) for j in range(3)], 0)
        x, y = triangles.x.take(chosen, 1), triangles.y.take(chosen, 1)
        size = np.maximum(np.ptp(x, 0), np.ptp(y, 0))
        column = np.clip(x[0] / TILE, 0, wide - 1).astype(np.intp)
        row = np.clip(y[0] / TILE, 0, high - 1).astype(np.intp)
        return (size > TILE) | (triangles.depth.take(chosen, 1).min(0) < around[row, column])


def _downwards(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (3, F) in the order of their y."""
    for a, b in ((0, 1), (1, 2), (0, 1)):
        swapped = y[b] < y[a]
        x[a], x[b] = np.where(swapped, x[b], x[a]), np.where(swapped, x[a], x[b])
        y[a], y[b] = np.where(swapped, y[b], y[a]), np.where(swapped, y[a], y[b])
    return x, y
