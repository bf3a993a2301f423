"""Coefficients over time into the windows of 27 frames that MappingNet looks at."""

from __future__ import annotations

import numpy as np

REACH = 13  # frames on either side that a window shows


def windows(rows: np.ndarray, first: int, last: int) -> np.ndarray:
    """(last - first, C, 27): each frame's row with 13 before and after it; the track's ends are held.

    rows: (T, C).
    """
    places = np.arange(first, last)[:, None] + np.arange(-REACH, REACH + 1)
    return np.ascontiguousarray(rows[np.clip(places, 0, len(rows) - 1)].transpose(0, 2, 1))


def steady_window(row: np.ndarray) -> np.ndarray:
    """(C, 27): the window of a face that does not move."""
    return np.repeat(row[:, None], 2 * REACH + 1, axis=1)
