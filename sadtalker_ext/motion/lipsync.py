"""Turns speech into the lips channel of a motion track, by phones, by VisemeNet or by a prior over codes.

Four sources: `words` (phones of English words, aligned), `allphone` (phones without words, any language),
`visemes` (VisemeNet and signal processing) and `codes` (a prior over codes, see `code_lips`). Measured
by benchmarks/lips.py, words are best where they are recognised surely, and elsewhere allphone and visemes
together are better than either: so does `auto`. The track's provenance says what was taken and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..audio import Speech
from ..audio.features import loudness, smooth
from ..errors import OptionsError
from ..host import Check, Report, nothing
from ..tracks import ARKIT, MotionTrack, lips
from . import phones as recogniser
from .articulation import RATE, Articulation, Closure, articulate, sounding
from .code_lips import code_lips
from .recognition import recognise
from .viseme_lips import articulate_visemes, reconciled

METHODS: tuple[str, ...] = ("auto", "phones", "visemes", "codes")

LEAD_S = 0.0  # how far ahead of the sound the mouth moves
PARTING_S = 0.075  # in which lips come together and part, fastest where they meet
HELD_FRAMES = 1.5  # shortest closure in frames, so that one frame at least shows it whole
HELD_LONGEST_S = 0.12  # what slow frame rates may make of a closure, lest the mouth is always shut
MOVEMENT_S = 0.012  # smoothing of everything but closures

# What VisemeNet's closure output must reach to confirm a closure, or to add one, to phones without words; and
# to add one to words. Chosen by the measure of benchmarks/lips.py on other sentences than there.
DOUBTFUL, SURE, SURE_OF_WORDS = 0.05, 0.5, 0.85
NET_SHARE = 0.5  # of VisemeNet's articulation where no words are recognised
CROSSFADE_S = 0.1  # between phones with and without words


def generate_lips(
    speech: Speech,
    *,
    fps: float,
    frames: int,
    method: str = "auto",
    manner: int = 0,
    mix: int | None = None,
    share: float = 0.0,
    check: Check = nothing,
    progress: Report = nothing,
) -> MotionTrack:
    """Lips for speech: `frames` rows at `fps` in the ARKit space, all but the lips channel at rest.

    method: `phones` (words or allphone; raises `DependencyError` without pocketsphinx), `visemes`,
    `codes`, or `auto`, what is best for this speech. manner, mix, share: how `codes` speaks, see
    `code_lips.CodePrior.shares`. Raises `OptionsError` for another method. `check` is called during
    recognition. The same speech always gives the same track.
    """
    if method not in METHODS:
        raise OptionsError(f"Lips can come from {', '.join(METHODS)}, not from {method!r}.")
    if method == "phones":
        recogniser.require()
    if speech.is_silent:
        rest = MotionTrack.rest(frames, fps)
        return MotionTrack(ARKIT, fps, rest.data, {"lips": "rest", "why": "nothing is said"})
    if method == "codes":
        return code_lips(
            speech, fps, frames, manner=manner, mix=mix, share=share, check=check, progress=progress
        )
    articulation, provenance = _articulation(speech.samples, method, check, progress)
    return MotionTrack(ARKIT, fps, sampled(articulation, fps=fps, frames=frames), provenance)


def sampled(articulation: Articulation, *, fps: float, frames: int) -> np.ndarray:
    """ARKit coefficients, float32 (frames, 55), of an articulation shown at `fps`.

    A frame shows the mouth as it is half-way through its time on screen. Closures are held long enough that
    none falls between two frames, down to about 12 frames a second.
    """
    times = (np.arange(frames) + 0.5) / fps + LEAD_S
    blur_s, shortest_s = max(MOVEMENT_S, 0.3 / fps), min(HELD_FRAMES / fps, HELD_LONGEST_S)
    columns = columns_at(articulation, times, blur_s=blur_s, shortest_s=shortest_s)
    data = np.zeros((frames, ARKIT.dim), np.float32)
    for name, values in columns.items():
        data[:, ARKIT.index(name)] = values
    return data


def columns_at(
    articulation: Articulation, times: np.ndarray, *, blur_s: float, shortest_s: float
) -> dict[str, np.ndarray]:
    """ARKit lip columns, each (T,), of an articulation at `times`, ascending seconds (T,).

    blur_s: smoothing of everything but closures. shortest_s: closures are held at least this long.
    """
    rows = np.arange(len(articulation.gap)) / RATE

    def track(values: np.ndarray) -> np.ndarray:
        return np.interp(times, rows, smooth(np.asarray(values, np.float64), blur_s * RATE), right=0.0)

    return lips.from_articulators(
        gap=track(articulation.gap),
        jaw=track(articulation.jaw),
        width=track(articulation.width),
        rounding=track(articulation.rounding),
        closure=closing(articulation.closures, times, shortest_s),
        labiodental=track(articulation.labiodental),
        teeth=track(articulation.teeth),
        tongue=track(articulation.tongue),
    )


def closing(closures: Sequence[Closure], times: np.ndarray, shortest: float) -> np.ndarray:
    """How firmly the lips are shut at each time, (T,) 0..1, by closures held `shortest` seconds or longer."""
    shut = np.zeros(len(times))
    for closure in closures:
        middle = (closure.start + closure.end) / 2
        half = max(closure.end - closure.start, shortest) / 2
        low, high = np.searchsorted(times, [middle - half - PARTING_S, middle + half + PARTING_S])
        away = np.maximum(0, np.abs(times[low:high] - middle) - half)
        ramp = np.clip(1 - away / PARTING_S, 0, 1)
        shut[low:high] = np.maximum(shut[low:high], closure.strength * ramp**2)
    return shut


def _articulation(
    samples: np.ndarray, method: str, check: Check, progress: Report
) -> tuple[Articulation, dict[str, object]]:
    if method == "visemes" or not recogniser.available():
        why = "asked for" if method == "visemes" else "pocketsphinx is not installed"
        return _by_net(samples)[0], {"lips": "visemes", "why": why, **_net_hash()}
    words, phones = recognise(samples, check=check, progress=progress)
    loud = loudness(samples)
    trust = recogniser.trust_in_words(words, phones, len(loud))
    by_words = trust >= recogniser.TRUSTED
    spoken = sounding(loud)
    share = float(by_words[spoken].mean()) if spoken.any() else 0.0
    provenance: dict[str, object] = {
        "why": _why(share),
        "trust": round(float(trust[spoken].mean()) if spoken.any() else 0.0, 3),
        "words": round(share, 3),
    }
    heard = _by_net(samples) if method == "auto" else None  # first, since it needs most memory
    names = ("words", "allphone")
    if heard is not None:
        names = ("words", "allphone with visemes")
        provenance |= _net_hash()
    # Each articulation of long speech is large: none is made in vain, and VisemeNet's goes once it is used.
    net, close = heard or (None, None)
    del heard
    surely = None if share == 0.0 else _surely(words.phones, loud, close)
    if surely is not None and share == 1.0:
        return surely, {"lips": names[0], **provenance}
    perhaps = _perhaps(phones.phones, loud, net, close, spoken)
    del net, close
    if surely is None:
        return perhaps, {"lips": names[1], **provenance}
    weight = smooth(by_words.astype(np.float64), CROSSFADE_S * RATE)
    return perhaps.mixed(surely, weight), {"lips": " and ".join(names), **provenance}


def _surely(phones: Sequence[recogniser.Phone], loud: np.ndarray, close: np.ndarray | None) -> Articulation:
    """The articulation where words are understood. close: VisemeNet's closure track, (T,), if it is asked."""
    spoken = articulate(phones, loud)
    if close is None:
        return spoken
    return replace(spoken, closures=reconciled(spoken.closures, close, doubtful=0.0, sure=SURE_OF_WORDS))


def _perhaps(
    phones: Sequence[recogniser.Phone],
    loud: np.ndarray,
    net: Articulation | None,
    close: np.ndarray | None,
    spoken: np.ndarray,
) -> Articulation:
    """The articulation where no words are understood. net, close: VisemeNet's, if it is asked."""
    heard = articulate(phones, loud)
    if net is None or close is None:
        return heard
    closures = reconciled(heard.closures, close, doubtful=DOUBTFUL, sure=SURE)
    return replace(heard.mixed(net, net_share(phones, spoken)), closures=closures)


def net_share(phones: Sequence[recogniser.Phone], spoken: np.ndarray) -> np.ndarray:
    """VisemeNet's share over time: all where there is sound and the recogniser, lost in noise, hears none."""
    unheard = spoken.astype(np.float64)
    for phone in phones:
        if phone.name != recogniser.SILENCE:
            unheard[round(phone.start * RATE) : round(phone.end * RATE)] = 0
    return NET_SHARE + (1 - NET_SHARE) * smooth(unheard, CROSSFADE_S * RATE)


def _why(share: float) -> str:
    if share == 1.0:
        return "English words were recognised"
    if share == 0.0:
        return "no English words were recognised surely"
    return "English words were recognised surely in part of the speech"


def _by_net(samples: np.ndarray) -> tuple[Articulation, np.ndarray]:
    """The articulation by VisemeNet and its closure track, (T,) 0..1."""
    from .visemes import VISEMES, predict_visemes

    tracks = predict_visemes(samples)
    return articulate_visemes(samples, tracks), tracks[:, VISEMES.index("close")]


def _net_hash() -> dict[str, object]:
    from .visemes import load_visemenet

    return {"visemenet": load_visemenet().sha256}
