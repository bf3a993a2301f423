"""Turns an opening jaw into soft shade: in the cheeks, beside the mouth, under the lip and under the chin."""

from __future__ import annotations

import cv2
import numpy as np

from ....face import topology
from .frame import NODES, FaceFrame, MouthMeasures
from .grid import Box, Grid, smoothstep

CHEEK, FOLD, LIP, CHIN = 0.085, 0.10, 0.085, 0.14  # shade of each place for jaw = 1
FOLD_WIDTH = 0.020  # fw
DRAWN_RANGE = (4.0, 11.0)  # grey levels over a cheek: filled with one tone … modelled by light
LEAST = 0.01  # shade that cannot be seen
CHEEK_POINTS = (50, 280, 205, 425, 101, 330)


def skin_tone(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Mean colour of the cheeks, float32 (3,) in 0..255.

    image: uint8 (H, W, 3). points: (478, 3) mesh in its pixels; parts outside the picture are left out.
    """
    radius = 0.02 * float(np.linalg.norm(points[454] - points[234]))
    patches = [_patch(image, points[i], radius).mean(0) for i in (50, 280, 205, 425)]
    return np.mean(patches, 0).astype(np.float32)


class FaceShading:
    """Shade of one face on the nodes of the face grid, 0 (none) to about .15 for a fully open jaw."""

    def __init__(self, image: np.ndarray, frame: FaceFrame, mouth: MouthMeasures, grid: Grid) -> None:
        self._grid = grid
        strength = _modelling(image, frame)
        x, y = grid.nodes()
        self._shade = (_shade(frame, mouth, x, y) * strength).astype(np.float32)
        rows, columns = (np.flatnonzero((self._shade > LEAST / 3).any(axis)) for axis in (1, 0))
        self._reach: Box | None = None
        if len(rows) and len(columns):
            step = grid.step
            self._reach = (
                grid.x0 + (int(columns[0]) - 1) * step, grid.y0 + (int(rows[0]) - 1) * step,
                grid.x0 + int(columns[-1]) * step, grid.y0 + int(rows[-1]) * step,
            )  # fmt: skip

    def apply(self, out: np.ndarray, source_x: np.ndarray, source_y: np.ndarray, jaw: float) -> None:
        """Darken `out` (uint8 working region, in place) for a jaw opening of 0..1.

        source_x, source_y: where in the picture each node of the face grid comes from.
        """
        if self._reach is None or jaw * float(self._shade.max()) < LEAST:
            return
        grid, reach = self._grid, self._reach
        drift_x, drift_y = (
            int(np.ceil(np.abs(moved - rest).max()))
            for moved, rest in zip((source_x, source_y), grid.nodes(), strict=True)
        )
        height, width = out.shape[:2]
        gx0, gy0, gx1, gy1 = grid.box
        x0, y0 = max(0, gx0, reach[0] - drift_x), max(0, gy0, reach[1] - drift_y)
        x1, y1 = min(width, gx1, reach[2] + drift_x), min(height, gy1, reach[3] + drift_y)
        if x1 <= x0 or y1 <= y0:
            return
        shade = grid.sample(self._shade, source_x, source_y) * np.float32(jaw)
        kept = np.round(255 * (1 - grid.enlarge(shade, (x0, y0, x1, y1)))).astype(np.uint8)
        part = out[y0:y1, x0:x1]
        part[...] = cv2.multiply(part, cv2.merge([kept, kept, kept]), scale=1 / 255)


def _shade(frame: FaceFrame, mouth: MouthMeasures, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Shade at pixels x, y for a fully open jaw."""
    points, fw = frame.points, frame.width
    middle = points[[78, 308], :2].mean(0)
    across, down = frame.plane(x, y, middle)
    chin = float((points[topology.CHIN, :2] - middle) @ frame.down) / fw
    total = np.zeros(x.shape)
    for corner, wing, sign in ((61, 129, -1.0), (291, 358, 1.0)):
        start = frame.plane(points[wing, 0], points[wing, 1], middle)
        end = frame.plane(points[corner, 0], points[corner, 1], middle)
        end = (end[0] + sign * 0.045, end[1] + 0.05)
        # The cheek below its bone is drawn in.
        cheek = (across - (end[0] + sign * 0.10)) / 0.085
        total += CHEEK * np.exp(-(cheek**2) - ((down - (end[1] - 0.07)) / 0.13) ** 2)
        # The fold runs from the nose's wing around the mouth's corner.
        length = np.hypot(end[0] - start[0], end[1] - start[1])
        along = (across - start[0]) * (end[0] - start[0]) + (down - start[1]) * (end[1] - start[1])
        along = along / length**2
        aside = ((across - start[0]) * (end[1] - start[1]) - (down - start[1]) * (end[0] - start[0])) / length
        aside = aside + sign * 0.02 * np.sin(np.pi * np.clip(along, 0, 1))
        ends = smoothstep(along, 0.0, 0.35) * (1 - smoothstep(along, 0.75, 1.1))
        total += FOLD * np.exp(-((aside / FOLD_WIDTH) ** 2)) * ends
    lip = float((points[topology.LOWER_LIP_OUTER, :2] - middle) @ frame.down) / fw
    total += LIP * np.exp(-((across / (0.75 * mouth.half)) ** 2) - ((down - lip - 0.03) / 0.022) ** 2)
    # Below the chin's outline the neck falls into its shadow.
    jaw = points[list(topology.JAW[3:-3]), :2]
    u, v = frame.plane(jaw[:, 0], jaw[:, 1], middle)
    order = np.argsort(u)
    below = down - np.interp(across, u[order], v[order])
    inside = np.exp(-((across / 0.24) ** 2))
    shadow = smoothstep(below, -0.015, 0.02) * (1 - smoothstep(below, 0.03, 0.22))
    return total + CHIN * inside * shadow * (down > 0.3 * chin)


def _modelling(image: np.ndarray, frame: FaceFrame) -> float:
    """0 where cheeks are filled with one tone, 1 where light models them."""
    fw = frame.width
    inner = frame.points[:NODES, :2][list(CHEEK_POINTS)]
    spans = []
    for point in inner:
        patch = cv2.blur(_square(image, point, 0.07 * fw), (3, 3)).mean(-1)
        spans.append(float(np.percentile(patch, 95) - np.percentile(patch, 5)))
    return float(smoothstep(float(np.median(spans)), *DRAWN_RANGE))


def _square(image: np.ndarray, point: np.ndarray, radius: float) -> np.ndarray:
    height, width = image.shape[:2]
    r = max(1, round(radius))
    column, row = int(np.clip(point[0], 0, width - 1)), int(np.clip(point[1], 0, height - 1))
    return image[max(0, row - r) : row + r + 1, max(0, column - r) : column + r + 1]


def _patch(image: np.ndarray, point: np.ndarray, radius: float) -> np.ndarray:
    return _square(image, point, radius).reshape(-1, 3)
