"""A camera that stands still before a neutral face: vertices into pixels and depths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DISTANCE = 5.0  # of the camera, in half heights or widths of what it sees: a portrait lens
MARGIN = 0.06  # share of the frame left free on every side, so that motion stays within it
BUST_CUT = 0.04  # share of the mesh's height, below, that a bust with an open neck may lose
NEAREST = 0.2  # of the distance: what comes closer to the camera is not enlarged any further


@dataclass(frozen=True)
class Camera:
    """Looks along −z at what has y up; all lengths in the mesh's units.

    centre: (3,) the point in the middle of the frame. reach: half the height of the frame at that point.
    size: width and height of the frame in px.
    """

    centre: tuple[float, float, float]
    reach: float
    size: tuple[int, int]

    @classmethod
    def before(cls, vertices: np.ndarray, size: tuple[int, int], *, bust: bool = False) -> Camera:
        """The camera that sees all of `vertices` (V, 3) with a margin.

        bust: the mesh ends below in an open border, which goes out of the frame.
        """
        low, high = vertices.min(0).astype(np.float64), vertices.max(0).astype(np.float64)
        if bust:
            low[1] += BUST_CUT * (high[1] - low[1])
        middle = (low + high) / 2
        width, height = (high - low)[:2] / 2
        aspect = size[0] / size[1]
        reach = max(width / aspect, height, 1e-12) / (1 - 2 * MARGIN)
        # What is nearer than the middle looks larger: its own projection decides how much room it needs.
        for _ in range(3):
            seen = cls((float(middle[0]), float(middle[1]), float(middle[2])), float(reach), size)
            points = seen.project(vertices.astype(np.float32))
            inside = points[1] <= size[1] * (1 - MARGIN) if bust else np.ones(points.shape[1], bool)
            across = 2 * np.abs(points[0, inside] - size[0] / 2).max(initial=0) / size[0]
            upward = 2 * np.abs(points[1, inside] - size[1] / 2).max(initial=0) / size[1]
            reach *= max(across, upward, 1e-6) / (1 - 2 * MARGIN)
        if bust:  # the border is cut off by the frame, and the room above stays
            middle[1] += reach - (1 - 2 * MARGIN) * reach
        return cls((float(middle[0]), float(middle[1]), float(middle[2])), float(reach), size)

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """float32 (3, V): px to the right and down, and a depth, larger farther away.

        The depth is 1 in the middle, and projective: a straight line over every triangle.
        """
        away = DISTANCE * self.reach
        x, y, z = (vertices[:, axis] - np.float32(self.centre[axis]) for axis in range(3))
        near = np.float32(away) / np.maximum(away - z, NEAREST * away).astype(np.float32)
        pixels = np.float32(self.size[1] / 2 / self.reach)
        out = np.empty((3, len(vertices)), np.float32)
        out[0] = self.size[0] / 2 + x * near * pixels
        out[1] = self.size[1] / 2 - y * near * pixels
        out[2] = 2 - near
        return out
