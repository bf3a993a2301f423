"""Turns the lip opening seen in a video and its sound into measures of how well they belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sound import SILENCE_EDGE_S, Sound, within

MAX_LAG = 8  # frames to either side in which the best agreement is looked for
LEAST_FRAMES = 10  # fewer give no correlation
STILL = 1e-6  # standard deviation below which a signal does not move

# A mesh seldom sees closed lips as exactly closed. What it sees on them is estimated from the video: in
# speech with its pauses about a tenth of the frames show closed lips. But lips are never called closed that
# are further apart than MOST. docs/evaluation.md says how these were chosen.
CLOSED_FLOOR = 0.012  # fw; a gap below this is closed in any video
CLOSED_PERCENTILE = 10  # of the gaps of a video: lips that are closed, ...
CLOSED_SPREAD = 0.008  # fw ... and how much more the mesh may see on others
CLOSED_MOST = 0.018  # fw, about 2.5 mm on an adult's face
SMALLEST_PERCENTILE = 2
PARTED_ABOVE_CLOSED = 0.006  # fw above "closed" that a mouth must open to before it can close again


@dataclass(frozen=True)
class Agreement:
    """Correlation of what the lips do with what they should follow.

    r: Pearson's, without shifting. best_r: the greatest within ±`MAX_LAG` frames. lag: frames by which
    the lips are late there (negative: early).
    """

    r: float
    best_r: float
    lag: int
    lag_ms: float


@dataclass(frozen=True)
class Silence:
    """Lip opening in silences of at least 0.2 s, in face widths.

    rest: the opening of the picture itself. mean, p95: over `seconds` of silence.
    """

    seconds: float
    mean: float
    p95: float
    rest: float


def agreement(seen: np.ndarray, reference: np.ndarray, fps: float) -> Agreement | None:
    """How lips (T,) follow a reference (T,); NaN frames are left out.

    None when the reference does not move or too few frames are left; lips that do not move have r = 0.
    """
    count = min(len(seen), len(reference))
    seen, reference = seen[:count], reference[:count]
    by_lag = {lag: _correlation(seen, reference, lag) for lag in range(-MAX_LAG, MAX_LAG + 1)}
    known = {lag: r for lag, r in by_lag.items() if r is not None}
    if 0 not in known:
        return None
    # Of equally good lags the smallest: lips that do not move have no lag.
    best = max(known, key=lambda lag: (round(known[lag], 6), -abs(lag)))
    return Agreement(known[0], known[best], best, 1000 * best / fps)


def _correlation(seen: np.ndarray, reference: np.ndarray, lag: int) -> float | None:
    if abs(lag) >= len(seen):
        return None
    late = seen[max(lag, 0) : len(seen) + min(lag, 0)]
    early = reference[max(-lag, 0) : len(reference) - max(lag, 0)]
    use = np.isfinite(late) & np.isfinite(early)
    if use.sum() < LEAST_FRAMES or early[use].std() < STILL:
        return None
    if late[use].std() < STILL:
        return 0.0
    return float(np.corrcoef(late[use], early[use])[0, 1])


def closed_below(gap: np.ndarray) -> float:
    """The opening in face widths below which lips count as closed in this video; gap (T,), NaN ignored."""
    seen = gap[np.isfinite(gap)]
    usual = float(np.percentile(seen, CLOSED_PERCENTILE)) if len(seen) else 0.0
    return min(max(CLOSED_FLOOR, usual + CLOSED_SPREAD), CLOSED_MOST)


def smallest_gap(gap: np.ndarray) -> float:
    """The opening seen when the mouth is as shut as it gets, in face widths; gap (T,), NaN ignored."""
    seen = gap[np.isfinite(gap)]
    return float(np.percentile(seen, SMALLEST_PERCENTILE)) if len(seen) else 0.0


def closures_per_second(gap: np.ndarray, times: np.ndarray, sound: Sound) -> float | None:
    """How often per second of speech the lips come together, having been parted; None without speech.

    Closures that begin in a silence do not count.
    """
    closed = closed_below(gap)
    speaking = ~within(sound.silences(), times) & (times < sound.duration)
    if not speaking.any() or len(times) < 2:
        return None
    count = 0
    parted = False
    for opening, spoken in zip(gap, speaking, strict=True):
        if parted and opening < closed:
            parted = False
            count += bool(spoken)
        elif opening > closed + PARTED_ABOVE_CLOSED:
            parted = True
    return float(count / (speaking.sum() * (times[1] - times[0])))


def in_silence(gap: np.ndarray, times: np.ndarray, sound: Sound, rest: float | None = None) -> Silence | None:
    """The opening while nothing is said; None without a silence that is long enough.

    rest: the picture's own opening. None takes the first frame's where nothing is said yet, else the
    smallest of the video.
    """
    silences = sound.silences()
    use = within(silences, times, SILENCE_EDGE_S) & np.isfinite(gap)
    if not use.any() or len(times) < 2:
        return None
    if rest is None:
        first = int(np.flatnonzero(np.isfinite(gap))[0])
        rest = float(gap[first]) if within(silences, times)[first] else smallest_gap(gap)
    seconds = float(use.sum() * (times[1] - times[0]))
    return Silence(seconds, float(gap[use].mean()), float(np.percentile(gap[use], 95)), rest)
