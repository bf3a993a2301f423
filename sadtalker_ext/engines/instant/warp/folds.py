"""Turns movements of the face into the share of them that a picture can take without a fold."""

from __future__ import annotations

import numpy as np

from .basis import ExpressionBasis
from .grid import Grid

LEAST_AREA = 0.06  # of a cell of the grid that joint movements leave, where it is pressed together most
FRAMES = 32  # looked at together
SMALLEST = 1e-9


class Folds:
    """How the fields of an `ExpressionBasis` press its grid's cells together, each layer where it is seen.

    Displacements add up, so their slopes do: those of every movement are measured once.
    """

    def __init__(self, basis: ExpressionBasis, grid: Grid, below_lips: np.ndarray) -> None:
        """below_lips: float32 grid.shape, fw below the line between the lips."""
        seen = []
        for layer, side in ((basis.upper, below_lips < 0), (basis.lower, below_lips > 0)):
            moved = layer[:, :, side].any((0, 1))
            slopes = [np.gradient(layer, grid.step, axis=axis)[:, :, side][..., moved] for axis in (3, 2)]
            seen.append(np.concatenate(slopes, 1))  # xx, yx, xy, yy
        self._slopes = np.ascontiguousarray(np.concatenate(seen, 2), np.float32)  # (moves, 4, nodes)

    def share(self, moves: np.ndarray, least: float = LEAST_AREA) -> np.ndarray:
        """(T,) in 0..1: what each row of `moves` (T, moves) is scaled by to leave `least` of every cell."""
        shares = np.ones(len(moves), np.float32)
        slopes = self._slopes[:, :, self._doubtful(np.abs(moves).max(0), least)]
        if not slopes.shape[2]:
            return shares
        flat = slopes.reshape(len(slopes), -1)
        for start in range(0, len(moves), FRAMES):
            part = (moves[start : start + FRAMES].astype(np.float32) @ flat).reshape(-1, *slopes.shape[1:])
            shares[start : start + FRAMES] = _until_folded(part, least)
        return shares

    def _doubtful(self, largest: np.ndarray, least: float) -> np.ndarray:
        """Nodes at which movements up to `largest` (moves,) may leave less than `least`."""
        xx, yx, xy, yy = np.tensordot(largest.astype(np.float32), np.abs(self._slopes), 1)
        return np.asarray(np.maximum(1 - xx, 0) * np.maximum(1 - yy, 0) - xy * yx < least)


def _until_folded(slopes: np.ndarray, least: float) -> np.ndarray:
    """(T,) the smallest positive s ≤ 1 at which 1 + s·trace + s²·determinant = `least`, over all nodes."""
    xx, yx, xy, yy = slopes.transpose(1, 0, 2)
    trace, area, room = xx + yy, xx * yy - xy * yx, 1 - least
    root = trace * trace - 4 * area * room
    below = np.where(root >= 0, np.sqrt(np.maximum(root, 0)) - trace, 0)
    share = np.where(below > SMALLEST, 2 * room / np.maximum(below, SMALLEST), 1)
    return np.asarray(np.minimum(share.min(1), 1))
