"""Inputs that many tests share: the demo portrait and speech, and the larger samples where they exist."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "sadtalker_ext" / "assets" / "demo"
SAMPLES = ROOT.parent / "shared" / "samples"


@pytest.fixture(scope="session")
def demo_portrait() -> Path:
    return DEMO / "portrait.png"


@pytest.fixture(scope="session")
def demo_speech() -> Path:
    return DEMO / "speech.wav"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder with `images/` and `audio/`; tests that need it skip where it is absent."""
    if not SAMPLES.is_dir():
        pytest.skip("the shared samples are not on this machine")
    return SAMPLES
