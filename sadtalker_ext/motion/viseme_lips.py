"""Turns VisemeNet's tracks and those of plain signal processing into an articulation, for any language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..audio.features import loudness, smooth
from .articulation import (
    CLOSURE_MAX_S,
    CLOSURE_MIN_S,
    RATE,
    WIDEST_GAP,
    WIDEST_JAW,
    Articulation,
    Closure,
    sounding,
)
from .dsp import analyse
from .visemes import VISEMES

NET_SHARE = 0.5  # of the jaw; the rest is signal processing: measured better than either alone
PARTED = 0.3  # share of the widest gap that lips keep while speaking
CLOSE_FROM = 0.35  # network output from which lips count as closed
CLOSE_SURE = 0.5  # output at which a closure is complete
SAME_CLOSURE_S = 0.05  # closures nearer than this are one


def articulate_visemes(samples: np.ndarray, tracks: np.ndarray) -> Articulation:
    """The mouth's movement without knowing the phones; T = 1 + N // 160 rows.

    samples: (N,) mono 16 kHz. tracks: (T, 8) VisemeNet's of the same speech.
    """
    signal = dict(analyse(samples))

    def net(name: str) -> np.ndarray:
        return tracks[:, VISEMES.index(name)].astype(np.float64)

    speech = np.minimum(
        np.clip(1.2 * smooth(np.maximum(net("speech"), 0), 4), 0, 1),
        np.clip(1.6 * smooth(sounding(loudness(samples)).astype(np.float64), 8), 0, 1),
    )
    jaw = smooth(NET_SHARE * net("jaw") + (1 - NET_SHARE) * signal.pop("jaw"), 2.5)
    spoken = jaw[speech > 0.5]
    widest = max(float(np.percentile(spoken, 95)) if len(spoken) > 20 else 1.0, 0.25)
    opened = np.clip(jaw / widest, 0, 1.15)
    return Articulation(
        gap=WIDEST_GAP * (PARTED + (1 - PARTED) * opened) * speech,
        jaw=WIDEST_JAW * np.clip(opened - 0.05, 0, 1) * speech,
        width=np.clip(0.75 * net("width") + 0.25 * signal.pop("width"), -1, 1) * speech,
        rounding=np.clip(0.85 * net("round") + 0.15 * signal.pop("rounding"), 0, 1) * speech,
        labiodental=np.clip(1.2 * net("labiodental"), 0, 1) * speech,
        teeth=np.clip(0.6 * net("teeth") + 0.4 * signal.pop("teeth"), 0, 1) * speech,
        tongue=np.clip(net("tongue"), 0, 1) * speech,
        closures=closures_of(net("close") * np.minimum(1, 1.5 * speech)),
    )


def reconciled(
    closures: Sequence[Closure], close: np.ndarray, *, doubtful: float, sure: float
) -> tuple[Closure, ...]:
    """Closures by other means, without those that a closure track (T,) contradicts, with those it adds.

    doubtful: peaks of the track below this contradict a closure there; sure: peaks from this on add one.
    """

    def peak(closure: Closure) -> float:
        first, last = closure.start - SAME_CLOSURE_S, closure.end + SAME_CLOSURE_S
        return float(close[max(0, int(first * RATE)) : max(0, int(last * RATE) + 1)].max(initial=0))

    def together(one: Closure, other: Closure) -> bool:
        return one.start < other.end + SAME_CLOSURE_S and other.start < one.end + SAME_CLOSURE_S

    kept = [closure for closure in closures if peak(closure) >= doubtful]
    for new in closures_of(close, sure):
        if not any(together(new, closure) for closure in kept):
            kept.append(new)
    return tuple(sorted(kept, key=lambda closure: closure.start))


def closures_of(close: np.ndarray, least: float = 0.0) -> tuple[Closure, ...]:
    """Closures where a closure track (T,) at `RATE` rises over `CLOSE_FROM`, as firm as its peak is sure.

    least: peaks below this are left out.
    """
    over = np.flatnonzero(np.diff(np.concatenate([[0], (close > CLOSE_FROM).astype(int), [0]])))
    closures: list[Closure] = []
    for first, last in over.reshape(-1, 2):
        peak = first + int(np.argmax(close[first:last]))
        if close[peak] < least:
            continue
        strength = float(np.clip((close[peak] - CLOSE_FROM) / (CLOSE_SURE - CLOSE_FROM), 0, 1)) ** 0.5
        start, end = first / RATE, last / RATE
        held = min(CLOSURE_MAX_S, max(CLOSURE_MIN_S, end - start))
        middle = min(max(peak / RATE, start + held / 2), max(start + held / 2, end - held / 2))
        closures.append(Closure(middle - held / 2, middle + held / 2, strength))
    return tuple(closures)
