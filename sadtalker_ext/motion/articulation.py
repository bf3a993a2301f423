"""Turns phones with times into the movement of lips, jaw and tongue, by visemes and dominance functions.

Every phone pulls each articulator towards its target with a strength that rises before the phone and
falls after it; the articulator follows the weighted mean of all pulls (Cohen and Massaro, 1993, eq. 1-5).
Closed lips are events with exact times rather than a target, because a mean never reaches an extreme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ..audio.features import smooth
from .phones import SILENCE, Phone

RATE = 100  # rows a second of every track here
WIDEST_GAP = 0.085  # face widths between the lips at a loud open vowel
WIDEST_JAW = 0.62  # jawOpen there


@dataclass(frozen=True)
class Viseme:
    """Where a phone puts the mouth. `gap`, `jaw`: share of the widest; `width` −1..1; the rest 0..1.

    `pull` is how firmly gap, jaw, teeth and tongue are held to their targets, `shape_pull` how width and
    rounding are.
    """

    gap: float
    jaw: float
    width: float
    rounding: float
    teeth: float = 0.3
    tongue: float = 0.2
    labiodental: float = 0.0
    pull: float = 1.0
    shape_pull: float = 1.0


_TABLE: tuple[tuple[str, Viseme], ...] = (
    ("AA", Viseme(1.00, 0.95, 0.00, 0.05)),
    ("AE", Viseme(0.95, 0.85, 0.35, 0.00, teeth=0.4)),
    ("AY", Viseme(0.92, 0.88, 0.20, 0.00)),
    ("AW", Viseme(0.95, 0.90, -0.05, 0.20)),
    ("AO", Viseme(0.80, 0.75, -0.20, 0.50)),
    ("AH", Viseme(0.62, 0.55, 0.05, 0.05, pull=0.7, shape_pull=0.5)),
    ("EH", Viseme(0.70, 0.62, 0.35, 0.00, teeth=0.4)),
    ("EY", Viseme(0.60, 0.50, 0.55, 0.00, teeth=0.5)),
    ("ER", Viseme(0.48, 0.40, -0.10, 0.35, pull=0.8, shape_pull=0.8)),
    ("IH", Viseme(0.48, 0.35, 0.45, 0.00, teeth=0.5, pull=0.7, shape_pull=0.8)),
    ("IY", Viseme(0.42, 0.25, 0.80, 0.00, teeth=0.6, pull=0.9, shape_pull=1.1)),
    ("OW", Viseme(0.58, 0.50, -0.40, 0.85, shape_pull=2.2)),
    ("OY", Viseme(0.62, 0.55, -0.10, 0.55, shape_pull=1.5)),
    ("UH", Viseme(0.42, 0.35, -0.25, 0.65, shape_pull=1.5)),
    ("UW", Viseme(0.36, 0.25, -0.50, 1.00, shape_pull=2.5)),
    ("W", Viseme(0.30, 0.18, -0.45, 1.00, shape_pull=2.8)),
    ("R", Viseme(0.38, 0.30, -0.10, 0.40, pull=0.6, shape_pull=0.8)),
    ("Y", Viseme(0.36, 0.22, 0.60, 0.05, teeth=0.5, pull=0.7, shape_pull=0.8)),
    ("P B M", Viseme(0.34, 0.15, 0.00, 0.05, teeth=0.0, pull=0.25, shape_pull=0.25)),
    ("F V", Viseme(0.36, 0.16, 0.10, 0.00, teeth=0.6, labiodental=1.0, pull=0.8, shape_pull=0.4)),
    ("TH DH", Viseme(0.38, 0.25, 0.15, 0.00, teeth=0.7, tongue=1.0, pull=0.7, shape_pull=0.4)),
    ("T D N", Viseme(0.40, 0.24, 0.20, 0.00, teeth=0.6, tongue=0.7, pull=0.5, shape_pull=0.25)),
    ("L", Viseme(0.46, 0.38, 0.15, 0.00, teeth=0.4, tongue=0.9, pull=0.6, shape_pull=0.3)),
    ("S Z", Viseme(0.36, 0.10, 0.40, 0.00, teeth=1.0, pull=0.9, shape_pull=0.6)),
    ("SH ZH CH JH", Viseme(0.40, 0.15, -0.15, 0.60, teeth=0.9, pull=0.9, shape_pull=1.6)),
    ("K G NG", Viseme(0.46, 0.35, 0.12, 0.00, teeth=0.35, pull=0.4, shape_pull=0.15)),
    ("HH", Viseme(0.50, 0.40, 0.05, 0.00, pull=0.15, shape_pull=0.1)),
)
VISEMES: Mapping[str, Viseme] = MappingProxyType(
    {phone: viseme for phones, viseme in _TABLE for phone in phones.split()}
)
BILABIALS = frozenset({"P", "B", "M"})
REDUCIBLE = frozenset({"AH", "IH", "UH", "EH", "ER"})  # vowels that shrink when short

# Seconds in which a pull rises before a phone and falls after it.
BEFORE_S, AFTER_S = 0.11, 0.07
SHAPE_BEFORE_S, SHAPE_AFTER_S = 0.17, 0.09  # rounding is prepared early
CORE = 0.3  # share of a phone in which its pull is full
FALLOFF = 1.4  # exponent of the pull's decay
REACH_S = 0.45  # where a pull has become nothing
REST_PULL = 0.02  # towards rest, always: what is left where no phone is near
FULL_VOWEL_S = 0.08  # shorter reducible vowels open less
LOUD_PERCENTILE = 85  # of loudness over time: that of the speaker's loud vowels
LEAST_LOUD = 0.1
LOUDNESS_SPAN = (0.75, 0.4)  # opening of vowels: first + second × loudness

# Share of a phone, from its start, in which the lips are shut: what follows is release and breath.
HELD_SHARE = MappingProxyType({"P": 0.7, "B": 0.85, "M": 1.0})
CLOSURE_MIN_S, CLOSURE_MAX_S = 0.05, 0.13

PAUSE_S = 0.12  # shorter silences belong to the phones around them
FIRM_PAUSE_S = 0.2  # from this length on a silence brings the mouth to rest
PAUSE_PULL = 4.0
PAUSE_FALL_S = 0.05
PAUSE_MARGIN_S = 0.04
PARTED = 0.22  # share of the widest gap that lips keep in a short pause
PARTED_S = 0.35  # after this long in a pause the lips come together…
REST_S = 0.3  # …within this time
SILENT_LOUDNESS = 0.1  # below this nothing is said…
SILENT_SHARE = 0.3  # …or below this share of the median, where noise leaves little between it and speech


@dataclass(frozen=True)
class Closure:
    """Lips shut from `start` to `end` seconds; `strength` 0..1 says how surely."""

    start: float
    end: float
    strength: float = 1.0


@dataclass(frozen=True, eq=False)
class Articulation:
    """Tracks at `RATE` rows a second, each (T,), and closures.

    gap: face widths, what the lips would have without closures. jaw, rounding, labiodental, teeth, tongue:
    0..1. width: −1..1.
    """

    gap: np.ndarray
    jaw: np.ndarray
    width: np.ndarray
    rounding: np.ndarray
    labiodental: np.ndarray
    teeth: np.ndarray
    tongue: np.ndarray
    closures: tuple[Closure, ...]

    def mixed(self, other: Articulation, weight: np.ndarray) -> Articulation:
        """This where `weight` (T,) is 0, `other` where it is 1; closures of the one that weighs more."""
        names = ("gap", "jaw", "width", "rounding", "labiodental", "teeth", "tongue")
        tracks = {name: getattr(self, name) * (1 - weight) + getattr(other, name) * weight for name in names}

        def side(closure: Closure) -> float:
            return float(weight[min(len(weight) - 1, int((closure.start + closure.end) / 2 * RATE))])

        kept = [c for c in self.closures if side(c) < 0.5] + [c for c in other.closures if side(c) >= 0.5]
        return replace(self, **tracks, closures=tuple(sorted(kept, key=lambda c: c.start)))


def articulate(phones: Sequence[Phone], loudness: np.ndarray) -> Articulation:
    """The mouth's movement while `phones` (in time order) are spoken.

    loudness: (T,) 0..1 at `RATE`; the result has as many rows. Where it stays silent nothing moves.
    """
    rows = len(loudness)
    level = _relative_loudness(loudness)
    pulls, shape_pulls = np.full(rows, REST_PULL), np.full(rows, REST_PULL)
    sums = {name: np.zeros(rows) for name in ("gap", "jaw", "teeth", "tongue", "width", "rounding")}
    labiodental = np.zeros(rows)
    for number, phone in enumerate(phones):
        if phone.name == SILENCE:
            window, pull, parted = _pause(phone, rows, number in (0, len(phones) - 1))
            pulls[window] += pull
            shape_pulls[window] += pull
            sums["gap"][window] += pull * parted * WIDEST_GAP
            continue
        viseme = VISEMES[phone.name]
        window, seconds = _window(phone, rows)
        middle = min(rows - 1, int((phone.start + phone.end) / 2 * RATE))
        size = LOUDNESS_SPAN[0] + LOUDNESS_SPAN[1] * level[middle] if viseme.gap > 0.4 else 1.0
        short = min(1.0, max(0.55, phone.duration / FULL_VOWEL_S)) if phone.name in REDUCIBLE else 1.0
        pull = viseme.pull * _dominance(seconds, phone, BEFORE_S, AFTER_S)
        shape_pull = viseme.shape_pull * _dominance(seconds, phone, SHAPE_BEFORE_S, SHAPE_AFTER_S)
        pulls[window] += pull
        shape_pulls[window] += shape_pull
        sums["gap"][window] += pull * viseme.gap * size * (0.45 + 0.55 * short) * WIDEST_GAP
        sums["jaw"][window] += pull * viseme.jaw * size * short * WIDEST_JAW
        sums["teeth"][window] += pull * viseme.teeth
        sums["tongue"][window] += pull * viseme.tongue
        sums["width"][window] += shape_pull * viseme.width
        sums["rounding"][window] += shape_pull * viseme.rounding
        if viseme.labiodental:
            held = np.clip(1 - _outside(seconds, phone.start, phone.end) / 0.055, 0, 1)
            labiodental[window] = np.maximum(labiodental[window], held * held * (3 - 2 * held))
    voiced = _voiced(loudness)
    tracks: dict[str, np.ndarray] = {}
    while sums:  # one after the other: of long speech each is large
        name, total = sums.popitem()
        total /= shape_pulls if name in ("width", "rounding") else pulls
        tracks[name] = smooth(total, 1.5)
        tracks[name] *= voiced
    return Articulation(**tracks, labiodental=labiodental * voiced, closures=closures_of(phones))


def closures_of(phones: Sequence[Phone]) -> tuple[Closure, ...]:
    """When the lips are shut for /p b m/: as long as each is held, between the two CLOSURE limits."""
    closures: list[Closure] = []
    for phone in phones:
        if phone.name not in BILABIALS:
            continue
        held = min(CLOSURE_MAX_S, max(CLOSURE_MIN_S, HELD_SHARE[phone.name] * phone.duration))
        start = phone.start if held <= phone.duration else (phone.start + phone.end - held) / 2
        if phone.duration > 2 * CLOSURE_MAX_S:  # a silence before the release hides in long stops
            start = phone.end - held
        closures.append(Closure(start, start + held))
    return tuple(closures)


def _window(phone: Phone, rows: int) -> tuple[slice, np.ndarray]:
    """Rows that a phone can reach, and their times in seconds."""
    low = min(rows, max(0, int((phone.start - REACH_S) * RATE)))
    high = max(low, min(rows, int((phone.end + REACH_S) * RATE) + 1))
    return slice(low, high), np.arange(low, high) / RATE


def _outside(seconds: np.ndarray, start: float, end: float) -> np.ndarray:
    return np.maximum(0, np.maximum(start - seconds, seconds - end))


def _dominance(seconds: np.ndarray, phone: Phone, before_s: float, after_s: float) -> np.ndarray:
    offset = seconds - (phone.start + phone.end) / 2
    away = np.maximum(0, np.abs(offset) - CORE * phone.duration / 2)
    return np.exp(-((away / np.where(offset < 0, before_s, after_s)) ** FALLOFF))


def _pause(phone: Phone, rows: int, at_edge: bool) -> tuple[slice, np.ndarray, np.ndarray]:
    """Rows of a silence, its pull on them, and the share of the widest gap that the lips keep."""
    window, seconds = _window(phone, rows)
    pull = PAUSE_PULL * np.exp(-((_outside(seconds, *_inner(phone)) / PAUSE_FALL_S) ** FALLOFF))
    pull *= np.clip((phone.duration - PAUSE_S) / (FIRM_PAUSE_S - PAUSE_S), 0, 1)
    if at_edge:
        return window, pull, np.zeros(len(seconds))
    into = np.minimum(seconds - phone.start, phone.end - seconds)
    together = np.clip((into - PARTED_S) / REST_S, 0, 1) if phone.duration > 2 * PARTED_S else 0 * into
    return window, pull, PARTED * (1 - together)


def _inner(pause: Phone) -> tuple[float, float]:
    """Where a pause pulls fully: sounds still end in its beginning, and are prepared before its end."""
    margin = min(PAUSE_MARGIN_S, 0.3 * pause.duration)
    return pause.start + margin, pause.end - margin


def _relative_loudness(loudness: np.ndarray) -> np.ndarray:
    """Loudness over a syllable's time, 1 at the speaker's loud vowels."""
    slow = smooth(loudness, 7)
    return np.clip(slow / max(float(np.percentile(slow, LOUD_PERCENTILE)), LEAST_LOUD), 0, 1.15)


def _voiced(loudness: np.ndarray) -> np.ndarray:
    """1 near sound, 0 in silence of the signal itself: phones heard in nothing do nothing."""
    sound = sounding(loudness).astype(np.float64)
    return np.clip(np.maximum(2 * smooth(sound, 5), smooth(sound, 12)), 0, 1)


def sounding(loudness: np.ndarray) -> np.ndarray:
    """Where there is more than the background, bool (T,); loudness: (T,) 0..1."""
    heard = loudness[loudness > 0]
    usual = float(np.median(heard)) if len(heard) else 1.0
    return loudness > min(SILENT_LOUDNESS, SILENT_SHARE * usual)
