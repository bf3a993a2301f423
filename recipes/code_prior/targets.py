"""Turns phones with exact times, and a manner of speaking them, into the ten tracks of the mouth at 50 Hz."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recipes.code_prior.manners import MANNERS, Manner
from recipes.visemenet.targets import closures, mouth_tracks
from sadtalker_ext.audio.features import loudness, smooth
from sadtalker_ext.motion.articulation import (
    CLOSURE_MAX_S,
    CLOSURE_MIN_S,
    RATE,
    WIDEST_GAP,
    WIDEST_JAW,
    Articulation,
    Closure,
)
from sadtalker_ext.motion.code_layout import MOUTH, ROWS_A_SECOND, mouth_of
from sadtalker_ext.motion.lipsync import MOVEMENT_S, columns_at
from sadtalker_ext.motion.viseme_lips import PARTED

WIDE_OPEN = 0.7  # of the jaw track: what counts as a wide open vowel
WIDEST = 1.4  # of the opening, relative to that
SHORTEST_CLOSURE_S = 0.06  # so that one frame of a video at 25 frames a second shows it whole
LOUD_PERCENTILE = 85  # of loudness over a syllable's time: that of the speaker's loud vowels
SYLLABLE_ROWS = 7.0  # smoothing of loudness
LEAST_LOUD = 0.1


def articulation_of(
    phones: Sequence[tuple[float, str]], rows: int, level: np.ndarray, manner: Manner
) -> Articulation:
    """The movement of a mouth that speaks `phones` in a `manner`; `rows` at 100 Hz.

    level: (rows,) loudness, 1 at the speaker's loud vowels (see `relative_loudness`).
    """
    held = []
    for start, end in closures(phones, rows / RATE):
        seconds = min(CLOSURE_MAX_S, max(CLOSURE_MIN_S, manner.held * (end - start)))
        if seconds > end - start:
            start = (start + end - seconds) / 2
        elif end - start > 2 * CLOSURE_MAX_S:  # a silence before the release hides in long stops
            start = end - seconds
        held.append(Closure(start, start + seconds))
    return articulation_from(mouth_tracks(phones, rows), tuple(held), level, manner)


def articulation_from(
    tracks: np.ndarray, held: tuple[Closure, ...], level: np.ndarray, manner: Manner
) -> Articulation:
    """The movement that VisemeNet's eight tracks (T, 8), known or predicted, stand for in a `manner`."""
    jaw, width, rounding, _, labiodental, teeth, tongue, spoken = tracks.T.astype(np.float64)
    speech = np.clip(1.2 * smooth(spoken, 4), 0, 1)
    blur = manner.blur_s * RATE
    steady, by_level = manner.loudness
    size = manner.opening * (steady + by_level * level)
    opened = np.clip(smooth(jaw, blur) / WIDE_OPEN * size, 0, WIDEST)
    return Articulation(
        gap=WIDEST_GAP * (PARTED * manner.opening + (1 - PARTED) * opened) * speech,
        jaw=WIDEST_JAW * np.clip(opened - 0.05, 0, None) * speech,
        width=np.clip(manner.shape * smooth(width, blur), -1, 1) * speech,
        rounding=np.clip(manner.shape * smooth(rounding, blur), 0, 1) * speech,
        labiodental=labiodental * speech,
        teeth=teeth * speech,
        tongue=tongue * speech,
        closures=held,
    )


def relative_loudness(samples: np.ndarray) -> np.ndarray:
    """(T,) at 100 Hz of clean speech (N,) at 16 kHz: loudness over a syllable's time, 1 at loud vowels."""
    slow = smooth(loudness(samples), SYLLABLE_ROWS)
    return np.clip(slow / max(float(np.percentile(slow, LOUD_PERCENTILE)), LEAST_LOUD), 0, 1.15)


def mouth_targets(phones: Sequence[tuple[float, str]], rows: int, level: np.ndarray) -> np.ndarray:
    """(rows at 50 Hz, manners, tracks) float32 of `MOUTH`, row j at j / 50 seconds; rows, level at 100 Hz."""
    times = np.arange((rows + 1) // 2) / ROWS_A_SECOND
    spoken = []
    for manner in MANNERS:
        columns = columns_at(
            articulation_of(phones, rows, level, manner),
            times,
            blur_s=MOVEMENT_S,
            shortest_s=SHORTEST_CLOSURE_S,
        )
        spoken.append(np.stack([mouth_of(columns, name) for name in MOUTH], axis=1))
    return np.stack(spoken, axis=1).astype(np.float32)
