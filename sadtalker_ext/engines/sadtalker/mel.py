"""16 kHz speech into the normalised mel windows that ExpNet and PoseVAE were trained on, one a frame."""

from __future__ import annotations

import numpy as np

from ...system.caches import kept
from ...system.mapped import forget

SAMPLE_RATE = 16000  # Hz
N_FFT = 800  # samples, 50 ms
HOP = 200  # samples, 12.5 ms
MEL_RATE = SAMPLE_RATE // HOP  # mel frames a second
BANDS = 80
LOW_HZ, HIGH_HZ = 55.0, 7600.0
PRE_EMPHASIS = 0.97
FLOOR = 1e-5  # magnitude, -100 dB
REFERENCE_DB, LEAST_DB = 20.0, -100.0
LARGEST = 4.0  # normalised values lie in -4..4

FPS = 25  # the networks' frame rate
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
STEPS = 16  # mel frames in a window
LEAD = 2  # video frames by which a window begins early
BLOCK = 4000  # mel frames computed at a time, 50 s


@kept(1)
def mel_basis() -> np.ndarray:
    """(80, 401) float32 triangles, equal in area, on Slaney's mel scale from 55 to 7600 Hz."""
    edges = _mel_to_hz(np.linspace(_hz_to_mel(LOW_HZ), _hz_to_mel(HIGH_HZ), BANDS + 2))
    bins = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    width = np.diff(edges)
    ramps = edges[:, None] - bins
    rising, falling = -ramps[:-2] / width[:-1, None], ramps[2:] / width[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


# Slaney's scale: linear to 1 kHz at 200/3 Hz a mel, then 27 steps to a factor of 6.4.
_LINEAR = 200.0 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR
_LOG_STEP = np.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    return hz / _LINEAR if hz < _KNEE_HZ else _KNEE_MEL + float(np.log(hz / _KNEE_HZ)) / _LOG_STEP


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _KNEE_MEL, mel * _LINEAR, _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL)))


def mel_spectrogram(samples: np.ndarray, length: int | None = None) -> np.ndarray:
    """(1 + length // 200, 80) float32 in -4..4 from mono samples (N,) at 16 kHz.

    length: samples to look at, N if None; silence follows a recording that is shorter.
    """
    length = len(samples) if length is None else length
    heard = min(length, len(samples))
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
    rows = np.empty((1 + length // HOP, BANDS), np.float32)
    for start in range(0, len(rows), BLOCK):  # the spectra of a long recording would not fit
        stop = min(len(rows), start + BLOCK)
        piece = _emphasised(samples[:heard], start * HOP - N_FFT // 2, (stop - 1) * HOP + N_FFT // 2)
        windows = np.lib.stride_tricks.sliding_window_view(piece, N_FFT)[::HOP]
        spectrum = np.abs(np.fft.rfft(windows * hann)).astype(np.float32)
        forget(samples)
        level = 20 * np.log10(np.maximum(FLOOR, spectrum @ mel_basis().T)) - REFERENCE_DB
        scaled = 2 * LARGEST * (level - LEAST_DB) / -LEAST_DB - LARGEST
        rows[start:stop] = np.clip(scaled, -LARGEST, LARGEST)
    return rows


def _emphasised(samples: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Samples begin..end-1 after pre-emphasis, (end - begin,) float32; zeros outside."""
    piece = np.zeros(end - begin, np.float32)
    left, right = max(begin, 0), min(end, len(samples))
    piece[left - begin : max(left, right) - begin] = samples[left:right]
    left = max(left, 1)  # nothing comes before the first
    if left < right:
        piece[left - begin : right - begin] -= np.float32(PRE_EMPHASIS) * samples[left - 1 : right - 1]
    return piece


def window_starts(frames: int) -> np.ndarray:
    """First mel frame of each video frame's window, before clamping to the recording, (frames,) int64."""
    # Truncated towards zero, as the networks were trained: the first two windows begin at -6 and -3.
    return (MEL_RATE * ((np.arange(frames) - LEAD) / FPS)).astype(np.int64)


def mel_windows(mel: np.ndarray, first: int, last: int) -> np.ndarray:
    """(last - first, 80, 16) float32 windows of the video frames first..last-1; edges are held.

    mel: rows of `mel_spectrogram`.
    """
    rows = window_starts(last)[first:, None] + np.arange(STEPS)
    return np.ascontiguousarray(mel[np.clip(rows, 0, len(mel) - 1)].transpose(0, 2, 1))


def silent_windows(frames: int) -> np.ndarray:
    """(frames, 80, 16) windows for a portrait without speech."""
    # All zero, and not the -4 of silence: so the published system idles, and its weights move faces.
    return np.zeros((frames, BANDS, STEPS), np.float32)
