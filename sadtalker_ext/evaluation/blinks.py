"""Turns eye apertures over time into blinks: how many, how long, how far shut, both eyes together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sound import runs

OPEN_PERCENTILE = 75  # of the aperture: the open eye; blinks take far less than a quarter of the time
OPEN_WINDOW_S = 6.0  # over which an eye counts as open is judged, so that a lifted head is no blink
LEAST_OPEN = 0.08  # aperture over eye width; eyes that never open further are not judged
BLINK_BELOW = 0.55  # of the open aperture: a blink goes below this ...
EDGE_BELOW = 0.8  # ... and lasts while the aperture is below this
LONGEST_S = 0.8  # longer is a closed eye, not a blink


@dataclass(frozen=True)
class Blinks:
    """count, per_minute. duration_ms: median. shut: mean smallest aperture reached, as a share of the open
    eye's. synchrony: correlation of the two eyes over all blinks (None without a blink)."""

    count: int
    per_minute: float
    duration_ms: float | None
    shut: float | None
    synchrony: float | None


def blinks(eyes: np.ndarray, fps: float) -> Blinks | None:
    """Blinks in apertures (T, 2) of the two eyes; NaN where not seen. None when no open eye is seen."""
    seen = np.isfinite(eyes).all(axis=1)
    if seen.sum() < 2:
        return None
    index = np.arange(len(eyes))
    filled = np.stack([np.interp(index, index[seen], eyes[seen, eye]) for eye in (0, 1)], axis=1)
    if np.percentile(filled.mean(axis=1), OPEN_PERCENTILE) < LEAST_OPEN:
        return None
    relative = filled / np.maximum(_open_level(filled, fps), 1e-6)
    both = relative.mean(axis=1)
    spans = [
        (start, end)
        for start, end in runs((both < EDGE_BELOW) & seen)
        if both[start:end].min() < BLINK_BELOW and (end - start) / fps <= LONGEST_S
    ]
    minutes = len(eyes) / fps / 60
    if not spans:
        return Blinks(0, 0.0, None, None, None)
    near = np.zeros(len(eyes), bool)
    for start, end in spans:
        near[max(0, start - 1) : end + 1] = True
    left, right = relative[near].T
    moving = left.std() > 0 and right.std() > 0
    return Blinks(
        count=len(spans),
        per_minute=len(spans) / minutes,
        duration_ms=float(np.median([1000 * (end - start) / fps for start, end in spans])),
        shut=float(np.mean([both[start:end].min() for start, end in spans])),
        synchrony=float(np.corrcoef(left, right)[0, 1]) if moving else 0.0,
    )


def _open_level(apertures: np.ndarray, fps: float) -> np.ndarray:
    """Aperture of the open eyes around each frame, (T, 2)."""
    reach = max(1, round(OPEN_WINDOW_S * fps / 2))
    centres = np.arange(0, len(apertures), max(1, reach // 4))
    around = (apertures[max(0, centre - reach) : centre + reach + 1] for centre in centres)
    levels = np.stack([np.percentile(part, OPEN_PERCENTILE, axis=0) for part in around])
    index = np.arange(len(apertures))
    return np.stack([np.interp(index, centres, levels[:, eye]) for eye in (0, 1)], axis=1)
