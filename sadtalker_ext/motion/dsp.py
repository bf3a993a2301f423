"""Turns speech into a rough articulation by signal processing alone: energies of a few bands, no training.

What the bands can tell: how open a vowel is (first formant over voice bar), spread against rounded
(spectral centre), hissing with teeth together. They cannot tell /b/ from /d/, so they close no lips.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from ..audio.features import N_BINS, SAMPLE_RATE, log_mel_blocks, smooth
from ..system.caches import kept

TRACKS = ("jaw", "width", "rounding", "teeth", "speech")

# Bands in Hz.
ALL = (150.0, 4000.0)
VOICE_BAR = (150.0, 420.0)
FIRST_FORMANT = (420.0, 1000.0)
HISS = (4000.0, 7600.0)
CENTRE_BANDS = 24  # between CENTRE, equally wide in log frequency: where the spectral centre is measured
CENTRE = (300.0, 3500.0)
ROUNDED_HZ, SPREAD_HZ = 650.0, 1700.0  # spectral centres of the two extremes

FLOOR_PERCENTILE, TOP_PERCENTILE = 8, 95
LEAST_RANGE = 2.0  # nepers of power; steadier sounds than this never count as loud
SPEECH_LEVEL = 0.12  # of the range from floor to top


def analyse(samples: np.ndarray) -> Mapping[str, np.ndarray]:
    """Tracks named by `TRACKS`, each (T,) at 100 Hz, of speech (N,) mono 16 kHz; T = 1 + N // 160.

    jaw, rounding, teeth, speech are 0..1, width −1..1; all 0 in silence.
    """
    # Block by block: all the bands of a long recording would weigh as much as the recording.
    wide, centres = [], []
    for _, block in log_mel_blocks(samples, _filterbank()):
        wide.append(block[:, :4].copy())
        centres.append(_centre(block[:, 4:]))
    whole, bar, formant, hiss = np.concatenate(wide).T
    centre = np.concatenate(centres)
    floor, top = np.percentile(whole, [FLOOR_PERCENTILE, TOP_PERCENTILE])
    span = max(float(top - floor), LEAST_RANGE)
    voice = np.clip((whole - floor - SPEECH_LEVEL * span) / ((1 - 1.8 * SPEECH_LEVEL) * span), 0, 1)
    speech = smooth((smooth(voice, 3) > SPEECH_LEVEL).astype(np.float64), 4)

    friction = _sigmoid(1.2 * (hiss - np.logaddexp(formant, bar) - 0.2))
    openness = _sigmoid(0.9 * (formant - bar + 0.3))
    jaw = np.clip(voice**1.1 * (0.25 + 0.95 * openness) * (1 - 0.75 * friction), 0, 1)

    spread = np.clip((centre - np.log(ROUNDED_HZ)) / np.log(SPREAD_HZ / ROUNDED_HZ), 0, 1)
    width = np.clip(1.6 * (spread - 0.45), -0.6, 0.9) * voice
    rounding = np.clip(2.2 * (0.38 - spread), 0, 1) * voice * (1 - friction)
    return {
        "jaw": smooth(jaw, 3),
        "width": smooth(width, 5),
        "rounding": smooth(rounding, 5),
        "teeth": smooth(friction * voice, 3),
        "speech": speech,
    }


def _centre(bands: np.ndarray) -> np.ndarray:
    """Natural logarithm of the spectral centre in Hz, (T,), of log energies (T, CENTRE_BANDS)."""
    weight = np.exp(bands - bands.max(axis=1, keepdims=True))
    return np.log((weight @ _centre_frequencies()) / weight.sum(axis=1))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


@kept(1)
def _filterbank() -> np.ndarray:
    """Rectangular bands over the power spectrum, (4 + CENTRE_BANDS, N_BINS)."""
    frequency = np.linspace(0, SAMPLE_RATE / 2, N_BINS)
    edges = np.geomspace(*CENTRE, CENTRE_BANDS + 1)
    bands = [ALL, VOICE_BAR, FIRST_FORMANT, HISS, *pairwise(edges)]
    # Narrow bands fall between two bins of the spectrum: a bin's share falls off over one bin's width.
    step = frequency[1]
    rows = [np.clip(np.minimum(frequency - low, high - frequency) / step + 0.5, 0, 1) for low, high in bands]
    return np.stack(rows).astype(np.float32)


def _centre_frequencies() -> np.ndarray:
    edges = np.geomspace(*CENTRE, CENTRE_BANDS + 1)
    return np.sqrt(edges[:-1] * edges[1:])
