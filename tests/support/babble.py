"""A tiny talking mesh: random articulation, the vowels it would sound like, and vertices that follow it."""

from __future__ import annotations

import pickle
import wave
from pathlib import Path

import numpy as np

RATE = 16000
VERTICES = 40
ARTICULATORS = 3  # jaw, rounding, closure
SUBJECTS = ("Anna", "Ben")
FPS = 25.0
# Plans that train small networks on it in seconds.
STAGE1 = {"epochs": 8, "rate": 2e-3, "warmup": 10, "halve_every": 4, "log_every": 10, "seed": 3}
STAGE2 = {"epochs": 8, "rate": 1e-3, "warmup": 10, "log_every": 10, "seed": 3}


def articulation(seconds: float, fps: float, rng: np.random.Generator) -> np.ndarray:
    """(T, ARTICULATORS) in 0..1: a new target every 0.2 s or so, blended."""
    ticks = round(seconds * 100)
    raw = np.zeros((ticks, ARTICULATORS))
    start = 0
    while start < ticks:
        length = int(rng.integers(14, 28))
        target = (
            np.array([rng.random(), rng.random(), 0.0]) if rng.random() < 0.7 else np.array([0.05, 0.3, 1.0])
        )
        raw[start : start + length] = target
        start += length
    kernel = np.hanning(13)
    smooth = np.stack([np.convolve(column, kernel / kernel.sum(), mode="same") for column in raw.T], axis=1)
    frames = round(seconds * fps)
    return smooth[np.minimum((np.arange(frames) / fps * 100).astype(int), ticks - 1)]


def sound(curves: np.ndarray, fps: float, pitch: float, rng: np.random.Generator) -> np.ndarray:
    """(S,) float: a buzz whose formants move with jaw and rounding, silent while the lips are closed."""
    samples = round(len(curves) / fps * RATE)
    at = np.arange(samples) / RATE
    jaw, rounding, closure = (np.interp(at, np.arange(len(curves)) / fps, column) for column in curves.T)
    first, second = 250 + 600 * jaw, 2300 - 1500 * rounding
    wave = np.zeros(samples)
    for harmonic in range(1, int(4000 / pitch)):
        frequency = harmonic * pitch
        gain = sum(np.exp(-(((frequency - formant) / 130) ** 2)) for formant in (first, second))
        wave += gain * np.sin(2 * np.pi * frequency * at + harmonic)
    return 0.2 * wave * (1 - closure) * (0.3 + jaw) + 0.002 * rng.normal(size=samples)


def face(subject: int) -> tuple[np.ndarray, np.ndarray]:
    """A template (VERTICES, 3) in metres, and how each articulator moves it, (ARTICULATORS, 3·VERTICES)."""
    template = np.random.default_rng(10 + subject).normal(size=(VERTICES, 3)) * 0.08
    basis = np.random.default_rng(5).normal(size=(ARTICULATORS, 3 * VERTICES)) * 0.004
    return template, basis * (1 + 0.2 * subject)


def write_corpus(
    root: Path, sentences: int = 12, seconds: float = 2.0, fps: float = 25.0, seed: int = 0
) -> None:
    """In the layout of CodeTalker."""
    (root / "vertices_npy").mkdir(parents=True)
    (root / "wav").mkdir()
    rng = np.random.default_rng(seed)
    templates = {}
    for number, subject in enumerate(SUBJECTS):
        templates[subject], basis = face(number)
        for sentence in range(1, sentences + 1):
            curves = articulation(seconds, fps, rng)
            heard = sound(curves, fps, 110.0 + 60 * number, rng)
            stem = f"{subject}_sentence{sentence:02d}"
            vertices = templates[subject].reshape(-1) + curves @ basis
            np.save(root / "vertices_npy" / f"{stem}.npy", vertices.astype(np.float32))
            with wave.open(str(root / "wav" / f"{stem}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes((np.clip(heard, -1, 1) * 32000).astype("<i2").tobytes())
    (root / "templates.pkl").write_bytes(pickle.dumps(templates, protocol=2))
