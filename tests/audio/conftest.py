"""Sounds that the tests make for themselves: a known signal, and ffmpeg to put it into any container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio.decode import write_au
from sadtalker_ext.system.ffmpeg import file_url, run

MakeSound = Callable[..., Path]
Tone = Callable[..., np.ndarray]


def _tone(seconds: float, rate: int, frequency: float = 440.0, level: float = 0.5) -> np.ndarray:
    """A sine whose loudness swings three times a second, so that a shift in time shows; (N,) float32."""
    time = np.arange(round(seconds * rate)) / rate
    swing = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)
    return (level * swing * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.fixture
def tone() -> Tone:
    """tone(seconds, rate, frequency=440, level=0.5)"""
    return _tone


@pytest.fixture
def make_sound(tmp_path: Path) -> MakeSound:
    """make_sound(samples (N, C), rate, name, *ffmpeg options) writes a media file and returns its path."""

    def make(samples: np.ndarray, rate: int, name: str, *options: str) -> Path:
        raw = tmp_path / "make_sound.au"
        write_au(raw, samples[:, None] if samples.ndim == 1 else samples, rate)
        target = tmp_path / name
        arguments = ["-loglevel", "error", "-i", file_url(raw), *options, "-y", file_url(target)]
        status, _, messages = run(arguments)
        raw.unlink()
        assert status == 0, messages
        return target

    return make
