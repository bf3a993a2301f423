"""Turns speech into what a mouth is compared with: its level over time, its silences and its beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 16000  # Hz
RATE = 100  # values a second
HOP = SAMPLE_RATE // RATE
WINDOW = 400  # samples, 25 ms
BLOCK = 1000  # values computed at a time, so that memory does not grow with the recording
FLOOR_DB = -100.0  # level of digital silence, dBFS

LOUD_PERCENTILE = 95  # of the level; the loudness that a recording is judged by
RANGE_DB = 40.0  # loudness counts down to this far below it
SILENT_DB = 30.0  # silence is this far below it, or below ...
SILENT_BELOW_DB = -60.0  # ... this level
SILENCE_S = 0.2  # shortest silence; the closure of a plosive is shorter
SILENCE_EDGE_S = 0.08  # not judged at both ends of a silence: lips part before a sound and shut after it

ONSET_SMOOTHING_S = 0.03
ONSET_WINDOW_S = 0.15  # a beat is the strongest onset within this time on both sides
ONSET_SHARE = 0.3  # of the 95th percentile of onset strength that a beat must reach


@dataclass(frozen=True, eq=False)
class Sound:
    """Level of a recording: dBFS (N,), `RATE` values a second, value i centred on i / `RATE` seconds."""

    level_db: np.ndarray
    duration: float

    @property
    def loud_db(self) -> float:
        return float(np.percentile(self.level_db, LOUD_PERCENTILE))

    @property
    def is_silent(self) -> bool:
        return self.loud_db < SILENT_BELOW_DB

    def silences(self) -> list[tuple[float, float]]:
        """(start, end) in seconds of every silence of at least `SILENCE_S`."""
        quiet = self.level_db < max(self.loud_db - SILENT_DB, SILENT_BELOW_DB)
        return [(a / RATE, b / RATE) for a, b in runs(quiet) if (b - a) / RATE >= SILENCE_S]

    def loudness(self, times: np.ndarray) -> np.ndarray:
        """dB above `RANGE_DB` below the loud level at `times` (seconds), (T,) ≥ 0."""
        above = np.maximum(self.level_db - (self.loud_db - RANGE_DB), 0)
        return np.interp(times, np.arange(len(above)) / RATE, above)

    def beats(self) -> np.ndarray:
        """Times in seconds of the onsets that stand out, (B,)."""
        above = np.maximum(self.level_db - (self.loud_db - RANGE_DB), 0)
        onset = np.maximum(np.diff(smooth(above, ONSET_SMOOTHING_S * RATE), prepend=above[:1]), 0)
        reach = round(ONSET_WINDOW_S * RATE)
        padded = np.pad(onset, reach)
        strongest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
        least = ONSET_SHARE * np.percentile(onset, 95)
        return np.flatnonzero((onset >= strongest) & (onset > max(least, 1e-6))) / RATE


def listen(samples: np.ndarray) -> Sound:
    """Level of mono samples (N,) in [−1, 1] at 16 kHz."""
    count = 1 + len(samples) // HOP
    level = np.empty(count)
    for first in range(0, count, BLOCK):
        last = min(count, first + BLOCK)
        begin, end = first * HOP - WINDOW // 2, (last - 1) * HOP + WINDOW // 2
        piece = np.zeros(end - begin, np.float32)
        left, right = max(begin, 0), min(end, len(samples))
        piece[left - begin : right - begin] = samples[left:right]
        power = np.lib.stride_tricks.sliding_window_view(np.square(piece), WINDOW)[::HOP].mean(axis=1)
        level[first:last] = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
    return Sound(level, len(samples) / SAMPLE_RATE)


def within(spans: list[tuple[float, float]], times: np.ndarray, edge: float = 0.0) -> np.ndarray:
    """Which of `times` lie in one of the spans shortened by `edge` seconds at both ends, bool (T,)."""
    inside = np.zeros(len(times), bool)
    for start, end in spans:
        inside |= (times >= start + edge) & (times < end - edge)
    return inside


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of every run of true values, end exclusive."""
    padded = np.concatenate([[False], np.asarray(mask, bool), [False]]).astype(np.int8)
    steps = np.flatnonzero(np.diff(padded))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing of (T,) values; sigma in samples; the edges are held."""
    reach = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
