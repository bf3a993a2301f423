"""A voice for the engines' tests."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def voice() -> tuple[np.ndarray, int]:
    """A second and a half at 16 kHz: bursts of noise, then silence."""
    rate = 16000
    sound = np.random.default_rng(2).standard_normal(rate * 3 // 2).astype(np.float32) * 0.2
    sound *= np.sin(2 * np.pi * 3 * np.arange(len(sound)) / rate) > -0.5
    sound[rate:] = 0
    return sound, rate
