"""Turns speech into the lips channel of a motion track, by the phones recognised or by VisemeNet.

Three roads: `words` (phones of English words, aligned), `allphone` (phones without words, any language)
and `visemes` (VisemeNet and signal processing). `auto` takes what the recogniser is sure of and says in the
track's provenance what it took and why; benchmarks/lips.py measures how well each closes the lips at /p b m/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import lips
from ..audio.features import loudness, smooth
from ..errors import OptionsError
from ..track import ARKIT, MotionTrack
from . import phones as recogniser
from .articulation import RATE, Articulation, Closure, articulate

if TYPE_CHECKING:
    from ..audio import Speech

METHODS: tuple[str, ...] = ("auto", "phones", "visemes")

LEAD_S = 0.0  # how far ahead of the sound the mouth moves
CLOSING_S, OPENING_S = 0.055, 0.055  # in which lips come together and part
REACH_S = 0.04  # most that a frame looks to either side for a closure, so that 10 frames a second still speak
MOVEMENT_S = 0.012  # smoothing of everything but closures


def generate_lips(
    speech: Speech,
    *,
    fps: float,
    frames: int,
    method: str = "auto",
    check: Callable[[], None] | None = None,
) -> MotionTrack:
    """Lips for speech: `frames` rows at `fps` in the ARKit space, all but the lips channel at rest.

    method: `phones` (needs pocketsphinx, raises `DependencyError` without), `visemes`, or `auto`, the better
    for this speech. Raises `OptionsError` for another method. `check` is called during recognition.
    The same speech always gives the same track.
    """
    if method not in METHODS:
        raise OptionsError(f"Lips can come from {', '.join(METHODS)}, not from {method!r}.")
    if method == "phones":
        recogniser.require()
    if speech.is_silent:
        rest = MotionTrack.rest(frames, fps)
        return MotionTrack(ARKIT, fps, rest.data, {"lips": "rest", "why": "nothing is said"})
    articulation, provenance = _articulation(speech.samples, method, check)
    return MotionTrack(ARKIT, fps, sampled(articulation, fps=fps, frames=frames), provenance)


def sampled(articulation: Articulation, *, fps: float, frames: int) -> np.ndarray:
    """ARKit coefficients, float32 (frames, 55), of an articulation shown at `fps`.

    A frame shows the mouth as it is half-way through its time on screen, but the strongest closure of
    all that time, so that none falls between two frames.
    """
    times = (np.arange(frames) + 0.5) / fps + LEAD_S
    blur = max(MOVEMENT_S, 0.3 / fps) * RATE
    rows = np.arange(len(articulation.gap)) / RATE

    def track(values: np.ndarray) -> np.ndarray:
        return np.interp(times, rows, smooth(np.asarray(values, np.float64), blur), right=0.0)

    columns = lips.from_articulators(
        gap=track(articulation.gap),
        jaw=track(articulation.jaw),
        width=track(articulation.width),
        rounding=track(articulation.rounding),
        closure=_closed(articulation.closures, times, min(0.5 / fps, REACH_S)),
        labiodental=track(articulation.labiodental),
        teeth=track(articulation.teeth),
        tongue=track(articulation.tongue),
    )
    return MotionTrack.rest(frames, fps).with_columns(columns).data


def _closed(closures: tuple[Closure, ...], times: np.ndarray, reach: float) -> np.ndarray:
    """How firmly the lips are shut, (T,) 0..1, at the closures' strongest within ±`reach` of each time."""
    shut = np.zeros(len(times))
    for closure in closures:
        low = int(np.searchsorted(times, closure.start - CLOSING_S - reach))
        high = int(np.searchsorted(times, closure.end + OPENING_S + reach))
        at = times[low:high]
        before = np.maximum(0, closure.start - at - reach) / CLOSING_S
        after = np.maximum(0, at - closure.end - reach) / OPENING_S
        ramp = np.clip(1 - np.maximum(before, after), 0, 1)
        shut[low:high] = np.maximum(shut[low:high], closure.strength * ramp * ramp * (3 - 2 * ramp))
    return shut


def _articulation(
    samples: np.ndarray, method: str, check: Callable[[], None] | None
) -> tuple[Articulation, dict[str, object]]:
    if method == "visemes" or not recogniser.available():
        from .viseme_lips import articulate_visemes

        why = "asked for" if method == "visemes" else "pocketsphinx is not installed"
        return articulate_visemes(samples), {"lips": "visemes", "why": why}
    words = recogniser.recognise_words(samples, check=check)
    return articulate(words.phones, loudness(samples)), {"lips": "words"}
