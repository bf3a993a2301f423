"""Turns lip openings and the phones of the speech into shares: closed at /p b m/, open at open vowels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..motion.phones import Phone
from .lip_sync import closed_below
from .sound import Sound, within

BILABIALS = frozenset({"P", "B", "M"})
OPEN_VOWELS = frozenset({"AA", "AE", "AO", "AW", "AY"})  # the jaw is low in all of them
OPEN_FROM = 0.025  # fw, about 3.5 mm on an adult's face
EDGE_S = 0.02  # a phone's frames are those half-way on screen within it, or this much before or after
ENGLISH_FROM = 0.56  # agreement of two ways to hear phones; see docs/evaluation.md for what languages reach
NAMES_RATE = 100  # a second, of phones compared
SILENT = "SIL"
SHIFT_STEP_S = 0.05  # chance is the mean over all shifts in time by multiples of this ...
LEAST_SHIFT_S = 0.3  # ... from this on, wrapping round at the end


@dataclass(frozen=True)
class Share:
    """Share of phones at which the lips did what the phone needs.

    count: phones. chance: the same share with all phones shifted in time, the mean over many shifts.
    chance_speaking: the same without the shifted phones that fall into silence.
    """

    count: int
    share: float
    chance: float
    chance_speaking: float

    @property
    def margin(self) -> float:
        return self.share - self.chance

    @property
    def margin_speaking(self) -> float:
        return self.share - self.chance_speaking


@dataclass(frozen=True)
class Articulation:
    """closed: lips at /p b m/. open: lips at open vowels. source: where the phones come from."""

    closed: Share | None
    open: Share | None
    source: str


def articulation(
    gap: np.ndarray, fps: float, phones: Sequence[Phone], sound: Sound, source: str
) -> Articulation:
    """Shares over all phones of the two kinds; gap (T,) in face widths, NaN where not seen."""
    with np.errstate(invalid="ignore"):
        closed, opened = gap < closed_below(gap), gap >= OPEN_FROM
    return Articulation(
        share([phone for phone in phones if phone.name in BILABIALS], closed, fps, sound),
        share([phone for phone in phones if phone.name in OPEN_VOWELS], opened, fps, sound),
        source,
    )


def share(phones: Iterable[Phone], hit: np.ndarray, fps: float, sound: Sound) -> Share | None:
    """Share of phones during which any frame is a hit, bool (T,), and what chance gives.

    None without phones, or when the sound is too short to shift them.
    """
    spans = np.array([(phone.start, phone.end) for phone in phones])
    duration = min(sound.duration, len(hit) / fps)
    shifts = np.arange(LEAST_SHIFT_S, duration - LEAST_SHIFT_S, SHIFT_STEP_S)
    if not len(spans) or not len(shifts):
        return None
    hits = np.concatenate([[0], np.cumsum(hit)])
    silences = sound.silences()
    anywhere: list[float] = []
    speaking: list[np.ndarray] = []
    for shift in shifts:
        start = (spans[:, 0] + shift) % duration
        moved = np.column_stack([start, start + spans[:, 1] - spans[:, 0]])
        met = _met(moved, hits, fps)
        anywhere.append(float(met.mean()))
        speaking.append(met[~within(silences, moved.mean(axis=1))])
    in_speech = np.concatenate(speaking)
    return Share(
        count=len(spans),
        share=float(_met(spans, hits, fps).mean()),
        chance=float(np.mean(anywhere)),
        chance_speaking=float(in_speech.mean()) if len(in_speech) else float(np.mean(anywhere)),
    )


def _met(spans: np.ndarray, hits: np.ndarray, fps: float) -> np.ndarray:
    """Whether a hit lies in each span of seconds (N, 2); hits: running count, (T + 1,)."""
    last = len(hits) - 2
    first = np.ceil((spans[:, 0] - EDGE_S) * fps - 0.5).astype(int)
    end = np.floor((spans[:, 1] + EDGE_S) * fps - 0.5).astype(int)
    # At low frame rates no frame may be half-way inside; the one on screen at the phone's middle counts.
    middle = np.floor(spans.mean(axis=1) * fps).astype(int)
    first, end = np.where(end < first, middle, first), np.where(end < first, middle, end)
    first, end = np.clip(first, 0, last), np.clip(end, 0, last)
    return hits[end + 1] > hits[first]


def agreeing(one: Sequence[Phone], other: Sequence[Phone]) -> float:
    """Share of the time in which both hear a phone and it is the same, 0..1.

    High when a language model of English understands what an ear without one hears as well.
    """
    last = max((phone.end for phone in (*one, *other)), default=0.0)
    first_names, second_names = _names(one, last), _names(other, last)
    both = (first_names != SILENT) & (second_names != SILENT)
    return float((first_names == second_names)[both].mean()) if both.any() else 0.0


def _names(phones: Sequence[Phone], last: float) -> np.ndarray:
    names = np.full(round(last * NAMES_RATE) + 1, SILENT, dtype="<U4")
    for phone in phones:
        names[round(phone.start * NAMES_RATE) : round(phone.end * NAMES_RATE)] = phone.name
    return names
