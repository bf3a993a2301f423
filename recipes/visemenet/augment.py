"""Turns clean synthetic speech into what a microphone might hear of a person: normalised log-mel features."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from recipes.visemenet.corpus import Utterance
from sadtalker_ext.audio.features import HOP, N_BINS, N_FFT, POWER_FLOOR, SAMPLE_RATE, power_spectrum, smooth
from sadtalker_ext.motion.visemes import SpectrumMeter, normalise

N_MELS = 40
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0
WARPS = np.exp(
    np.linspace(np.log(0.84), np.log(1.19), 21)
)  # of the frequency axis, like a longer or shorter vocal tract
FREQUENCIES = np.arange(N_BINS) * SAMPLE_RATE / N_FFT  # Hz
NOISE_SEED_SECONDS = 4.0


@lru_cache(maxsize=1)
def filterbank() -> np.ndarray:
    """(N_MELS, N_BINS) mel filters; they travel with the network, which needs no librosa."""
    import librosa

    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=LOWEST_HZ, fmax=HIGHEST_HZ)
    return bank.astype(np.float32)


@lru_cache(maxsize=1)
def warped_filterbanks() -> np.ndarray:
    """(len(WARPS), N_MELS, N_BINS): each reads a spectrum as if frequencies were multiplied by the warp."""
    banks = []
    for warp in WARPS:
        source = np.arange(N_BINS) / warp
        low = np.minimum(source.astype(int), N_BINS - 2)
        share = np.clip(source - low, 0, 1)
        resample = np.zeros((N_BINS, N_BINS), np.float32)
        resample[np.arange(N_BINS), low] = 1 - share
        resample[np.arange(N_BINS), low + 1] += share
        banks.append(filterbank() @ resample)
    return np.stack(banks)


def clean_features(utterance: Utterance, spectrum: np.ndarray) -> np.ndarray:
    """Normalised log-mel of the utterance as it is, (T, N_MELS)."""
    wave = utterance.samples.astype(np.float32) / 32768
    return _finish(np.log(power_spectrum(wave) @ filterbank().T + POWER_FLOOR), spectrum)


def _finish(mel: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    meter = SpectrumMeter(N_MELS)
    meter.add(mel)
    return normalise(mel, meter.reference(spectrum)).astype(np.float32)


def augmented(
    utterance: Utterance, rng: np.random.Generator, others: list[Utterance], spectrum: np.ndarray
) -> tuple[np.ndarray, tuple[tuple[float, str], ...]]:
    """(T, N_MELS) features of the utterance spoken and recorded differently, and its phones' new times."""
    wave = utterance.samples.astype(np.float32) / 32768
    wave, phones = _respeak(wave, utterance.phones, rng)
    wave, phones = _pad(wave, phones, rng)
    wave *= np.exp(
        np.interp(np.arange(len(wave)), np.linspace(0, len(wave), 7), rng.normal(0, 0.35, 7))
    ).astype(np.float32)
    if rng.random() < 0.5:
        wave = _reverberate(wave, rng)
    if rng.random() < 0.06:
        limit = np.abs(wave).max() * rng.uniform(0.1, 0.5)
        wave = np.clip(wave, -limit, limit)
    power = power_spectrum(wave)
    if rng.random() < 0.5:
        power = _breathe(power, rng)
    power *= _colour(rng, tilt=5.0, ripple=5.0)
    level = np.percentile(power.mean(axis=1), 90) + 1e-12
    power += _noise(power.shape, rng, others) * level * 10 ** (-_snr_db(rng) / 10)
    if rng.random() < 0.12:
        power = _denoise(power, rng)
    if rng.random() < 0.2:
        power *= _band_limit(rng)
    power *= 10 ** (rng.uniform(-35, 10) / 10)
    bank = warped_filterbanks()[rng.integers(len(WARPS))] if rng.random() < 0.8 else filterbank()
    mel = np.log(power @ bank.T + 10 ** rng.uniform(-11, -9))
    return _finish(mel.astype(np.float32), spectrum), phones


def noise_only(seconds: float, rng: np.random.Generator, spectrum: np.ndarray) -> np.ndarray:
    """Features of a recording in which nobody speaks."""
    frames = 1 + int(seconds * SAMPLE_RATE) // HOP
    drift = np.exp(smooth(rng.normal(0, rng.uniform(0, 4), (frames, 1)), 15.0))
    power = _noise((frames, N_BINS), rng, []) * drift * 10 ** rng.uniform(-7, 1)
    return _finish(np.log(power @ filterbank().T + POWER_FLOOR).astype(np.float32), spectrum)


def _respeak(
    wave: np.ndarray, phones: tuple[tuple[float, str], ...], rng: np.random.Generator
) -> tuple[np.ndarray, tuple[tuple[float, str], ...]]:
    """Play faster or slower (which moves pitch and formants too), unsteadily as a living voice."""
    factor = float(np.clip(np.exp(rng.normal(0, 0.12)), 0.75, 1.35))
    speed = np.full(int(len(wave) / factor), factor)
    grid = np.arange(len(speed))
    knots = np.arange(0, len(speed) + 3200, 3200)
    slow = np.interp(grid, knots, rng.normal(0, 0.025, len(knots)))
    speed = speed * (1 + slow)
    if rng.random() < 0.6:  # jitter: pitch that wobbles from period to period
        knots = np.arange(0, len(speed) + 160, 160)
        speed *= 1 + np.interp(grid, knots, rng.normal(0, rng.uniform(0.005, 0.03), len(knots)))
    position = np.concatenate([[0.0], np.cumsum(speed)])
    position = position[position < len(wave) - 1]
    spoken = np.interp(position, np.arange(len(wave)), wave).astype(np.float32)
    times = np.interp([t * SAMPLE_RATE for t, _ in phones], position, np.arange(len(position))) / SAMPLE_RATE
    return spoken, tuple((float(t), name) for t, (_, name) in zip(times, phones, strict=True))


def _pad(
    wave: np.ndarray, phones: tuple[tuple[float, str], ...], rng: np.random.Generator
) -> tuple[np.ndarray, tuple[tuple[float, str], ...]]:
    """Silence around the speech."""
    before, after = (int(rng.uniform(0, s) * SAMPLE_RATE) for s in (0.6, 0.8))
    end = len(wave) / SAMPLE_RATE
    moved = [(t + before / SAMPLE_RATE, name) for t, name in phones]
    return np.pad(wave, (before, after)), ((0.0, ""), *moved, (end + before / SAMPLE_RATE, ""))


def _reverberate(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy.signal import fftconvolve

    length = int(rng.uniform(0.03, 0.4) * SAMPLE_RATE)
    tail = rng.normal(0, 1, length) * np.exp(-np.arange(length) / (length / 5))
    tail *= rng.uniform(0.05, 0.45) / np.sqrt(np.square(tail).sum())
    tail[0] = 1
    return fftconvolve(wave, tail)[: len(wave)].astype(np.float32)


def _breathe(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace a share of the harmonics, more of the high ones, by breath noise with the same formants."""
    envelope = np.exp(smooth(np.log(power + 1e-12), rng.uniform(3.5, 6.0), axis=1))
    breath = envelope * rng.standard_exponential(power.shape, dtype=np.float32) * 1.5
    knee, steepness = rng.uniform(300, 5000), rng.uniform(300, 1500)
    share = rng.uniform(0.3, 1.0) / (1 + np.exp(-(FREQUENCIES - knee) / steepness)).astype(np.float32)
    share = np.maximum(share, rng.uniform(0, 0.4) if rng.random() < 0.7 else rng.uniform(0.4, 0.95)).astype(
        np.float32
    )
    return (1 - share) * power + share * breath


def _colour(rng: np.random.Generator, tilt: float, ripple: float) -> np.ndarray:
    """(N_BINS,) power gains: a tilt in dB an octave about 1 kHz and smooth ripples in dB."""
    octaves = np.log2(np.maximum(FREQUENCIES, 50.0) / 1000)
    knots = np.linspace(0, N_BINS - 1, 11)
    decibels = np.clip(rng.normal(0, tilt / 3), -tilt, tilt) * octaves
    decibels += np.interp(np.arange(N_BINS), knots, rng.normal(0, ripple, len(knots)))
    return (10 ** (np.clip(decibels, -30, 30) / 10)).astype(np.float32)


def _snr_db(rng: np.random.Generator) -> float:
    return float(rng.uniform(5, 20) if rng.random() < 0.3 else rng.uniform(20, 55))


def _noise(shape: tuple[int, int], rng: np.random.Generator, others: list[Utterance]) -> np.ndarray:
    """(T, N_BINS) noise power, of mean 1: coloured, a drone, or people talking further away."""
    kind = rng.random()
    noise = rng.standard_exponential(shape, dtype=np.float32) * _colour(rng, tilt=9.0, ripple=4.0)
    if kind < 0.2 and others:
        babble = np.zeros(shape, np.float32)
        for _ in range(int(rng.integers(2, 6))):
            other = others[rng.integers(len(others))].samples
            part = np.resize(other, (shape[0] - 1) * HOP).astype(np.float32) / 32768
            talk = power_spectrum(part)
            babble += talk / (talk.mean() + 1e-12)
        noise = babble + 0.1 * noise / noise.mean()
    elif kind < 0.3:
        pitch = rng.uniform(45, 500)
        lines = np.zeros(N_BINS, np.float32)
        for harmonic in range(1, int(rng.integers(2, 25))):
            place = harmonic * pitch * N_FFT / SAMPLE_RATE
            lines += np.exp(-0.5 * ((np.arange(N_BINS) - place) / 1.2) ** 2).astype(
                np.float32
            ) / harmonic ** rng.uniform(0, 2)
        swell = np.exp(smooth(rng.normal(0, 3, (shape[0], 1)), 25.0)).astype(np.float32)
        noise = lines * swell + 0.02 * noise / noise.mean()
    return noise / (noise.mean() + 1e-12)


def _denoise(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What noise suppression leaves: a spectral floor taken away, holes where speech was quiet."""
    floor = np.percentile(power, rng.uniform(5, 25), axis=0)
    return np.maximum(power - rng.uniform(1, 3) * floor, power * 10 ** rng.uniform(-4, -1)).astype(np.float32)


def _band_limit(rng: np.random.Generator) -> np.ndarray:
    """(N_BINS,) gains of a telephone, a codec or a small loudspeaker."""
    low, high = rng.uniform(30, 350), rng.uniform(3300, 7800)
    gain = 1 / (1 + np.exp(-(FREQUENCIES - low) / 30)) / (1 + np.exp((FREQUENCIES - high) / 100))
    return np.maximum(gain, 10 ** rng.uniform(-6, -3)).astype(np.float32)
