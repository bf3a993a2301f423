"""The vertices of a mesh that moves into which way its surface faces at each."""

from __future__ import annotations

import numpy as np


class Normals:
    """Smooth normals of a mesh that moves."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Vertices at the very same place, as along a seam of texture, share their normal."""
        _, same = np.unique(vertices, axis=0, return_inverse=True)
        same = same.reshape(-1)
        self._seams = same if same.max(initial=0) + 1 < len(vertices) else None
        self._faces = faces
        target = faces if self._seams is None else same[faces]
        self._target = np.ascontiguousarray(target.T).reshape(-1)  # corner 0 of all, corner 1 of all, …
        self._count = int(same.max(initial=0)) + 1

    def of(self, vertices: np.ndarray) -> np.ndarray:
        """Unit normals float32 (V, 3), larger triangles weighing more; (0, 0, 1) where there are none."""
        with np.errstate(all="ignore"):  # what comes of broken vertices is mended at the end
            return self._of(vertices)

    def _of(self, vertices: np.ndarray) -> np.ndarray:
        corner = vertices.take(self._faces.T.reshape(-1), 0).reshape(3, -1, 3)
        one, two = corner[1] - corner[0], corner[2] - corner[0]
        normal = np.empty_like(one)
        for axis in range(3):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            normal[:, axis] = one[:, a] * two[:, b] - one[:, b] * two[:, a]
        total = np.empty((self._count if self._seams is not None else len(vertices), 3), np.float32)
        for axis in range(3):
            total[:, axis] = np.bincount(self._target, np.tile(normal[:, axis], 3), len(total))[: len(total)]
        total /= np.sqrt(np.einsum("ij,ij->i", total, total))[:, None]
        total[~(np.isfinite(total).all(1))] = (0, 0, 1)
        return total if self._seams is None else total[self._seams]
