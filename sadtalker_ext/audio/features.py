"""Turns 16 kHz speech into log-mel energies and a loudness envelope, 100 times a second."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..system.mapped import forget

SAMPLE_RATE = 16000  # Hz
HOP = 160  # samples between frames, 10 ms
FEATURE_RATE = SAMPLE_RATE // HOP  # frames a second
WINDOW = 400  # samples, 25 ms
N_FFT = 512
N_BINS = N_FFT // 2 + 1
PRE_EMPHASIS = 0.95
POWER_FLOOR = 1e-12  # keeps log-mel finite in digital silence: ln(1e-12) = -28
BLOCK = 1000  # frames computed at a time, 10 s: memory does not grow with the recording

MEAN_BLOCK = 1 << 20  # samples summed at a time

QUIETEST_ENERGY = 1e-10  # mean square below which a frame (-100 dBFS) counts as digital silence
LOUDNESS_LOW, LOUDNESS_HIGH = 10.0, 95.0  # percentiles of the frames' energy that become 0 and 1
LOUDNESS_LEAST_RANGE = 3.0  # nepers of power (13 dB); a steadier sound than this never reaches 1
LOUDNESS_WIDEST_RANGE = 9.2  # nepers of power (40 dB); digital silence is no deeper than this

_HANN = np.hanning(WINDOW).astype(np.float32)


def frame_count(samples: int) -> int:
    """Number of 100 Hz frames of a recording of `samples` samples: frame i is centred on sample i * HOP."""
    return 1 + samples // HOP


def log_mel(samples: np.ndarray, filterbank: np.ndarray) -> np.ndarray:
    """Natural logarithm of mel energies, (T, n_mels) float32 with T = 1 + N // HOP.

    `samples`: (N,) mono at 16 kHz; `filterbank`: (n_mels, N_BINS), applied to the power spectrum of 25 ms
    Hann windows after pre-emphasis. A constant offset of the signal is removed first.
    """
    blocks = list(log_mel_blocks(samples, filterbank))
    return np.concatenate([block for _, block in blocks])


def log_mel_blocks(
    samples: np.ndarray, filterbank: np.ndarray, block: int = BLOCK, context: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """`log_mel` in pieces, so that memory stays bounded: yields (first frame, rows).

    Piece k holds the frames from k * block - context to (k + 1) * block + context, as far as they exist; the
    frames that pieces share are equal.
    """
    samples, offset = _mono(samples)
    total = frame_count(len(samples))
    weights = np.ascontiguousarray(filterbank.T, dtype=np.float32)
    for start in range(0, total, block):
        first, last = max(0, start - context), min(total, start + block + context)
        yield first, np.log(_power(samples, offset, first, last) @ weights + np.float32(POWER_FLOOR))
        forget(samples)


def power_spectrum(samples: np.ndarray) -> np.ndarray:
    """Power spectrum that the mel filters see, (T, N_BINS) float32, 100 kB a second of recording."""
    samples, offset = _mono(samples)
    return _power(samples, offset, 0, frame_count(len(samples)))


def loudness(samples: np.ndarray) -> np.ndarray:
    """How loud each frame is within its recording, (T,) float32 from 0 (noise floor) to 1 (loud speech).

    The logarithm of the frames' energy, its 10th percentile taken to 0 and its 95th to 1; digital silence and
    sounds that never change give 0.
    """
    samples, offset = _mono(samples)
    total = frame_count(len(samples))
    energy = np.empty(total, np.float32)
    for start in range(0, total, BLOCK):
        stop = min(total, start + BLOCK)
        energy[start:stop] = np.square(_windows(samples, offset, start, stop)).mean(axis=1)
        forget(samples)
    if energy.max() <= QUIETEST_ENERGY:
        return np.zeros(total, np.float32)
    level = np.log(energy + np.float32(QUIETEST_ENERGY))
    high = np.percentile(level[energy > QUIETEST_ENERGY], LOUDNESS_HIGH)
    low = max(np.percentile(level, LOUDNESS_LOW), high - LOUDNESS_WIDEST_RANGE)
    return np.clip((level - low) / max(high - low, LOUDNESS_LEAST_RANGE), 0, 1).astype(np.float32)


def mean(samples: np.ndarray) -> float:
    """Mean of samples (N,), of which a long array is read piece by piece; 0 of none."""
    if len(samples) <= MEAN_BLOCK:
        return float(samples.mean(dtype=np.float64)) if len(samples) else 0.0
    total = 0.0
    for start in range(0, len(samples), MEAN_BLOCK):
        total += float(samples[start : start + MEAN_BLOCK].sum(dtype=np.float64))
        forget(samples)
    return total / len(samples)


def smooth(x: np.ndarray, sigma: float, axis: int = 0) -> np.ndarray:
    """Gaussian smoothing of `x` along `axis`; `sigma` in samples (0: unchanged). The edges are held."""
    x = np.asarray(x)
    if sigma <= 0 or x.shape[axis] == 0:
        return x
    reach = int(4 * sigma + 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(x.dtype if x.dtype.kind == "f" else np.float64)
    padding = [(0, 0)] * x.ndim
    padding[axis] = (reach, reach)
    padded = np.pad(x, padding, mode="edge")
    count = x.shape[axis]
    out = np.zeros(x.shape, kernel.dtype)
    for i, weight in enumerate(kernel):
        out += weight * _shifted(padded, i, count, axis)
    return out


def _shifted(padded: np.ndarray, start: int, count: int, axis: int) -> np.ndarray:
    index = [slice(None)] * padded.ndim
    index[axis] = slice(start, start + count)
    return padded[tuple(index)]


def _mono(samples: np.ndarray) -> tuple[np.ndarray, np.float32]:
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise ValueError(f"samples must be one channel, (N,), not {samples.shape}")
    if samples.dtype != np.float32:
        samples = samples.astype(np.float32)
    return samples, np.float32(mean(samples))


def _power(samples: np.ndarray, offset: np.float32, first: int, last: int) -> np.ndarray:
    spectrum = np.fft.rfft(_windows(samples, offset, first, last) * _HANN, N_FFT)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32)


def _windows(samples: np.ndarray, offset: np.float32, first: int, last: int) -> np.ndarray:
    """Pre-emphasised windows of the frames first..last-1, (last - first, WINDOW); zeros outside."""
    begin, end = first * HOP - WINDOW // 2, (last - 1) * HOP + WINDOW // 2
    piece = np.zeros(end - begin + 1, np.float32)  # one sample more in front, for the pre-emphasis
    left, right = max(begin - 1, 0), min(end, len(samples))
    if right > left:
        piece[left - begin + 1 : right - begin + 1] = samples[left:right] - offset
    emphasised = piece[1:] - np.float32(PRE_EMPHASIS) * piece[:-1]
    return np.lib.stride_tricks.sliding_window_view(emphasised, WINDOW)[::HOP]
