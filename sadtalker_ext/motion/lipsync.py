"""Turns speech into the lips channel of a motion track, by the phones recognised or by VisemeNet.

Three roads: `words` (phones of English words, aligned), `allphone` (phones without words, any language)
and `visemes` (VisemeNet and signal processing). `auto` takes what the recogniser is sure of and says in the
track's provenance what it took and why; benchmarks/lips.py measures how well each closes the lips at /p b m/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .. import lips
from ..audio.features import loudness, smooth
from ..errors import OptionsError
from ..track import ARKIT, MotionTrack
from . import phones as recogniser
from .articulation import RATE, SILENT_LOUDNESS, Articulation, Closure, articulate

if TYPE_CHECKING:
    from ..audio import Speech

METHODS: tuple[str, ...] = ("auto", "phones", "visemes")

LEAD_S = 0.0  # how far ahead of the sound the mouth moves
PARTING_S = 0.045  # in which lips come together and part
HELD_FRAMES = 1.5  # shortest closure in frames, so that one frame at least shows it whole
HELD_LONGEST_S = 0.12  # what slow frame rates may make of a closure, lest the mouth is always shut
MOVEMENT_S = 0.012  # smoothing of everything but closures

SURE_NET = 0.15  # certainty of VisemeNet from which it may replace a recogniser that is lost
STRANGE_VOICE = -26.0  # recogniser's fit below which a voice is unlike any it knows (English: −20 to −9)
SURE_CLOSURE = 0.6  # VisemeNet output from which it closes lips where no phone was heard to
SAME_CLOSURE_S = 0.05  # closures nearer than this are one
CROSSFADE_S = 0.1  # between phones with and without words


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

    A frame shows the mouth as it is half-way through its time on screen. Closures are held long enough that
    none falls between two frames, down to about 12 frames a second.
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
        closure=_closed(articulation.closures, times, min(HELD_FRAMES / fps, HELD_LONGEST_S)),
        labiodental=track(articulation.labiodental),
        teeth=track(articulation.teeth),
        tongue=track(articulation.tongue),
    )
    return MotionTrack.rest(frames, fps).with_columns(columns).data


def _closed(closures: Sequence[Closure], times: np.ndarray, shortest: float) -> np.ndarray:
    """How firmly the lips are shut at each time, (T,) 0..1, by closures held `shortest` seconds or longer."""
    shut = np.zeros(len(times))
    for closure in closures:
        middle = (closure.start + closure.end) / 2
        half = max(closure.end - closure.start, shortest) / 2
        low, high = np.searchsorted(times, [middle - half - PARTING_S, middle + half + PARTING_S])
        away = np.maximum(0, np.abs(times[low:high] - middle) - half)
        ramp = np.clip(1 - away / PARTING_S, 0, 1)
        shut[low:high] = np.maximum(shut[low:high], closure.strength * ramp * ramp * (3 - 2 * ramp))
    return shut


def _articulation(
    samples: np.ndarray, method: str, check: Callable[[], None] | None
) -> tuple[Articulation, dict[str, object]]:
    if method == "visemes":
        return _visemes(samples, "asked for")
    if not recogniser.available():
        return _visemes(samples, "pocketsphinx is not installed")
    words = recogniser.recognise_words(samples, check=check)
    phones = recogniser.decode_phones(samples, check=check)
    fit = recogniser.fit_of_voice(words)
    if method == "auto":
        if not phones.phones:
            return _visemes(samples, "no phones were recognised")
        if fit < STRANGE_VOICE and _net_is_sure(samples):
            return _visemes(samples, "the voice is unlike those the recogniser knows", fit)
    loud = loudness(samples)
    trust = recogniser.trust_in_words(words, phones, len(loud))
    by_words = trust >= recogniser.TRUSTED
    spoken = loud > SILENT_LOUDNESS
    share = float(by_words[spoken].mean()) if spoken.any() else 0.0
    mean = float(trust[spoken].mean()) if spoken.any() else 0.0
    measured: dict[str, object] = {"trust": round(mean, 3), "words": round(share, 3), "fit": round(fit, 2)}
    if share == 1.0:
        why = "English words were recognised"
        return articulate(words.phones, loud), {"lips": "words", "why": why, **measured}
    heard = _with_net_closures(articulate(phones.phones, loud), samples)
    if share == 0.0:
        why = "no English words were recognised surely"
        return heard, {"lips": "allphone", "why": why, **measured}
    weight = smooth(by_words.astype(np.float64), CROSSFADE_S * RATE)
    why = "English words were recognised surely in part of the speech"
    mixed = heard.mixed(articulate(words.phones, loud), weight)
    return mixed, {"lips": "words and allphone", "why": why, **measured}


def _with_net_closures(heard: Articulation, samples: np.ndarray) -> Articulation:
    """Phones heard without words miss closures that VisemeNet is sure of: those of unfamiliar voices."""
    from .viseme_lips import closures_of, predict_closing

    def apart(closure: Closure, other: Closure) -> bool:
        return closure.start > other.end + SAME_CLOSURE_S or other.start > closure.end + SAME_CLOSURE_S

    sure = closures_of(predict_closing(samples), SURE_CLOSURE)
    new = [closure for closure in sure if all(apart(closure, other) for other in heard.closures)]
    return replace(heard, closures=tuple(sorted([*heard.closures, *new], key=lambda closure: closure.start)))


def _visemes(
    samples: np.ndarray, why: str, fit: float | None = None
) -> tuple[Articulation, dict[str, object]]:
    from .viseme_lips import articulate_visemes
    from .visemes import load_visemenet

    provenance: dict[str, object] = {"lips": "visemes", "why": why, "visemenet": load_visemenet().sha256}
    if fit is not None:
        provenance["fit"] = round(fit, 2)
    return articulate_visemes(samples), provenance


def _net_is_sure(samples: np.ndarray) -> bool:
    from .viseme_lips import certainty

    return certainty(samples) > SURE_NET
