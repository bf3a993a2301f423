"""Rules around SadTalker's networks: blink schedules, smoothed pose, loops, head turns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

SMOOTHING = 13  # frames of the pose's Savitzky-Golay filter
SMOOTHING_ORDER = 2
LEAST_TURN = 1e-6  # degrees in all; less is none
BLINK = (0.5, 0.9, 1.0, 0.9, 0.5)  # how far the lids are shut in the frames of one blink
RAREST = 1e-3  # of the trained frequency; below it is never
SHORTEST_GAP, LONGEST_GAP = 10, 70  # frames of open eyes before a blink


def blink_schedule(frames: int, rng: np.random.Generator, rate: float = 1.0) -> np.ndarray:
    """How far the eyes are shut, (frames,) float32 0..1, at `rate` times the trained frequency; 0 never.

    Gaps are drawn as the published system draws them; the last frame stays open.
    """
    shut = np.zeros(frames, np.float32)
    if rate < RAREST:
        return shut
    shortest, longest = max(1, round(SHORTEST_GAP / rate)), max(2, round(LONGEST_GAP / rate))
    at = 0
    while True:
        at += int(rng.integers(shortest, max(shortest + 1, min(frames // 2, longest))))
        if at + len(BLINK) > frames - 1:
            return shut
        shut[at : at + len(BLINK)] = BLINK
        at += len(BLINK)


def smooth_pose(pose: np.ndarray) -> np.ndarray:
    """A Savitzky-Golay filter along time over (T, D): second order over 13 frames, fewer in a short track."""
    count = len(pose)
    if count < 3:
        return np.asarray(pose)
    window = min(SMOOTHING, 2 * ((count - 1) // 2) + 1)
    half = window // 2
    powers = np.vander(np.arange(-half, half + 1), SMOOTHING_ORDER + 1, increasing=True)
    fit = np.linalg.pinv(powers)  # (order + 1, window): samples -> polynomial
    smooth = np.empty(pose.shape, np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(pose, window, axis=0)
    smooth[half : count - half] = windows @ fit[0]
    # The first and last few frames follow the polynomial through the outermost window.
    smooth[:half] = powers[:half] @ (fit @ pose[:window])
    smooth[count - half :] = powers[half + 1 :] @ (fit @ pose[-window:])
    return smooth.astype(pose.dtype)


def looped(rows: np.ndarray, count: int) -> np.ndarray:
    """The first `count` rows of a recording repeated forwards and backwards, so that no seam jumps."""
    there_and_back = np.concatenate([rows, rows[-2:0:-1]]) if len(rows) > 2 else rows
    return there_and_back[np.arange(count) % len(there_and_back)]


def turns(degrees: Sequence[float], frames: int) -> np.ndarray:
    """(frames,) degrees: from each given angle towards the next at one speed; one angle, or equal ones, stay.

    Each stretch begins exactly at its angle and ends a step before the next one, as in the published system.
    """
    way = float(np.abs(np.diff(degrees)).sum())
    if frames < 2 or way < LEAST_TURN:
        return np.full(frames, degrees[0], np.float64)
    step = way / (frames - 1)
    stretches = [
        np.arange(start, end, np.copysign(step, end - start))
        for start, end in itertools.pairwise(degrees)
        if start != end
    ]
    path = np.concatenate(stretches)[:frames]
    return np.pad(path, (0, frames - len(path)), mode="edge")
