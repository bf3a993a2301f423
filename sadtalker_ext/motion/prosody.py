"""Turns speech into what head, brows and eyes follow: activity, stressed onsets and phrases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..audio.features import FEATURE_RATE, loudness, smooth

VOICED = 0.3  # loudness above which a frame counts as speech
LONGEST_GAP_S = 0.25  # silences up to this long belong to the phrase around them
SHORTEST_PHRASE_S = 0.15  # anything shorter is a click or a breath
ACTIVITY_SIGMA_S = 0.3  # how gradually the body reacts to speech starting and stopping
SYLLABLE_SIGMA_S = 0.04  # smooths phones, keeps syllables
TROUGH_S = 0.2  # a syllable's rise is measured from the quietest moment this long before its peak
LEAST_RISE = 0.08  # of loudness, for a peak to be a syllable
EXCESS, RISE = 0.6, 1.2  # loudness above the sentence's, and rise, that each make a full stress
SENTENCE_S = 1.0  # a syllable's stress is measured against the mean of this much speech on either side
STRESS_SPACING_S = 0.4  # stresses closer than this are one


@dataclass(frozen=True, eq=False)
class Prosody:
    """How a recording is spoken, 100 times a second (`RATE`).

    seconds: duration of the motion to be made. activity: (N,) 0..1, how much is being said around a moment,
    N covering 0..seconds. stress_times: (K,) seconds of stressed onsets, rising. stresses: (K,) 0..1.
    phrases: (P, 2) start and end in seconds, in order.
    """

    seconds: float
    activity: np.ndarray
    stress_times: np.ndarray
    stresses: np.ndarray
    phrases: np.ndarray

    @property
    def speaking(self) -> float:
        """Share of the time that is speech, 0..1."""
        return float((self.phrases[:, 1] - self.phrases[:, 0]).sum() / self.seconds)


RATE = FEATURE_RATE  # moments a second at which motion is made, before it is sampled at the video's rate


def analyse(samples: np.ndarray, seconds: float) -> Prosody:
    """Prosody of 16 kHz mono `samples` (N,), cut or continued with silence to `seconds` > 0."""
    moments = int(np.ceil(seconds * RATE)) + 1
    level = np.zeros(moments, np.float32)
    if len(samples):
        heard = loudness(samples)[:moments]
        level[: len(heard)] = heard
    phrases = _phrases(level > VOICED)
    times = np.arange(moments) / RATE
    talking = np.zeros(moments, np.float32)
    for start, end in phrases:
        talking[(times >= start) & (times <= end)] = 1
    stress_times, stresses = _stresses(level, talking > 0)
    return Prosody(
        seconds=seconds,
        activity=smooth(talking, ACTIVITY_SIGMA_S * RATE),
        stress_times=stress_times,
        stresses=stresses,
        phrases=np.minimum(phrases, seconds),
    )


def streams(seed: int, purpose: int, count: int) -> list[np.random.Generator]:
    """Independent random generators: what one of them draws, and how often, leaves the others alone.

    So a clip that is a moment longer, or another frame rate, does not change the motion before.
    """
    children = np.random.SeedSequence([seed, purpose]).spawn(count)
    return [np.random.default_rng(child) for child in children]


def _phrases(voiced: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(np.int8), [0]])))
    starts, ends = edges[0::2] / RATE, edges[1::2] / RATE
    if len(starts) == 0:
        return np.zeros((0, 2))
    apart = starts[1:] - ends[:-1] > LONGEST_GAP_S
    phrases = np.stack([starts[np.r_[True, apart]], ends[np.r_[apart, True]]], axis=1)
    return phrases[phrases[:, 1] - phrases[:, 0] >= SHORTEST_PHRASE_S]


def _stresses(level: np.ndarray, talking: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    curve = smooth(level, SYLLABLE_SIGMA_S * RATE)
    peaks = np.flatnonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:])) + 1
    peaks = peaks[talking[peaks] & (curve[peaks] > VOICED)]
    if len(peaks) == 0:
        return np.zeros(0), np.zeros(0)
    back = int(TROUGH_S * RATE)
    before = np.lib.stride_tricks.sliding_window_view(np.pad(curve, (back, 0), mode="edge"), back + 1)[peaks]
    rise = curve[peaks] - before.min(axis=1)
    onsets = peaks - back + 1 + np.argmax(np.diff(before, axis=1), axis=1)
    strength = (curve[peaks] - _sentence_mean(level, talking)[peaks]) / EXCESS + rise / RISE
    keep = rise > LEAST_RISE
    onsets, strength = onsets[keep] / RATE, np.clip(strength[keep], 0, 1)
    chosen: list[int] = []
    for i in range(len(onsets)):
        if chosen and onsets[i] - onsets[chosen[-1]] < STRESS_SPACING_S:
            if strength[i] > strength[chosen[-1]]:
                chosen[-1] = i
        else:
            chosen.append(i)
    return onsets[chosen], strength[chosen]


def _sentence_mean(level: np.ndarray, talking: np.ndarray) -> np.ndarray:
    """Mean loudness of the speech around each moment; silences do not count."""
    reach = int(SENTENCE_S * RATE)
    sums = [np.cumsum(np.pad(x, (reach + 1, reach)), dtype=np.float64) for x in (level * talking, talking)]
    total, count = (s[2 * reach + 1 :] - s[: -2 * reach - 1] for s in sums)
    return total / np.maximum(count, 1)
