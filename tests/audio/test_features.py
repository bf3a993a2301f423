"""Log-mel and loudness: the numbers of frames, invariances, and that pieces equal the whole."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.audio import features
from sadtalker_ext.audio.features import (
    BLOCK,
    HOP,
    N_BINS,
    SAMPLE_RATE,
    frame_count,
    log_mel,
    log_mel_blocks,
    loudness,
    smooth,
)

TONE_HZ = 1000.0


@pytest.fixture
def bank() -> np.ndarray:
    """Ten filters, each over its own share of the bins."""
    filters = np.zeros((10, N_BINS), np.float32)
    for i in range(10):
        filters[i, 1 + 25 * i : 26 + 25 * i] = 1 / 25
    return filters


def _bursts(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE)
    envelope = np.sin(np.arange(count) / SAMPLE_RATE * 2 * np.pi * 2) > 0
    return (rng.normal(0, 0.1, count) * (0.01 + envelope)).astype(np.float32)


@pytest.mark.parametrize("samples", [0, 1, HOP - 1, HOP, 320, 16000, 16001])
def test_one_frame_a_hop_and_one_more(samples: int, bank: np.ndarray) -> None:
    wave = _bursts(2.0)[:samples]
    assert log_mel(wave, bank).shape == (1 + samples // HOP, 10) == (frame_count(samples), 10)
    assert loudness(wave).shape == (frame_count(samples),)
    assert np.isfinite(log_mel(wave, bank)).all()


def test_a_tone_lands_in_its_filter_at_its_time(bank: np.ndarray) -> None:
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    wave = np.where(t > 0.5, np.sin(2 * np.pi * TONE_HZ * t), 0).astype(np.float32)
    mel = log_mel(wave, bank)
    expected = int((TONE_HZ / SAMPLE_RATE * 512 - 1) // 25)
    assert (mel[55:95].argmax(axis=1) == expected).all()
    assert mel[55:95, expected].min() > mel[:45, expected].max() + 5


def test_gain_adds_a_constant(bank: np.ndarray) -> None:
    wave = _bursts(1.0)
    difference = log_mel(wave * 4, bank) - log_mel(wave, bank)
    np.testing.assert_allclose(difference, np.log(16), atol=1e-3)


def test_an_offset_changes_nothing(bank: np.ndarray) -> None:
    wave = _bursts(1.0)
    np.testing.assert_allclose(log_mel(wave + np.float32(0.25), bank), log_mel(wave, bank), atol=0.02)


def test_pieces_equal_the_whole(bank: np.ndarray) -> None:
    wave = _bursts(23.4)
    power = features.power_spectrum(wave)
    whole = np.log(power @ bank.T + features.POWER_FLOOR)
    np.testing.assert_allclose(log_mel(wave, bank), whole, atol=1e-5)
    starts = []
    for first, piece in log_mel_blocks(wave, bank, BLOCK, context=46):
        starts.append(first)
        np.testing.assert_allclose(piece, whole[first : first + len(piece)], atol=1e-5)
    assert starts == [0, BLOCK - 46, 2 * BLOCK - 46]


def test_two_channels_are_refused(bank: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one channel"):
        log_mel(np.zeros((100, 2), np.float32), bank)


def test_loudness_is_the_same_at_any_level() -> None:
    wave = _bursts(4.0)
    envelope = loudness(wave)
    assert envelope.min() >= 0
    assert envelope.max() <= 1
    np.testing.assert_allclose(loudness(wave * 0.05), envelope, atol=0.01)
    loud = np.sin(np.arange(len(envelope)) / 100 * 2 * np.pi * 2) > 0.3
    quiet = np.sin(np.arange(len(envelope)) / 100 * 2 * np.pi * 2) < -0.3
    assert envelope[loud].mean() > 0.8
    assert envelope[quiet].mean() < 0.2


@pytest.mark.parametrize(
    "wave", [np.zeros(8000, np.float32), np.full(8000, 0.5, np.float32), np.zeros(0, np.float32)]
)
def test_loudness_of_silence_is_nothing(wave: np.ndarray) -> None:
    assert loudness(wave).max() == 0


def test_speech_after_long_silence_is_loud() -> None:
    wave = np.concatenate([np.zeros(30 * SAMPLE_RATE, np.float32), _bursts(1.0)])
    envelope = loudness(wave)
    assert envelope[:2900].max() == 0
    assert envelope[3000:].max() == 1


def test_smooth_keeps_constants_sums_and_axes() -> None:
    assert np.allclose(smooth(np.full(20, 3.0), 2.0), 3.0)
    impulse = np.zeros((41, 2), np.float32)
    impulse[20, 1] = 1
    out = smooth(impulse, 3.0)
    assert out.dtype == np.float32
    assert out[:, 0].max() == 0
    assert out[:, 1].sum() == pytest.approx(1, abs=1e-5)
    assert out[:, 1].argmax() == 20
    position = np.arange(41) - 20
    assert np.sqrt((out[:, 1] * position**2).sum()) == pytest.approx(3.0, rel=0.02)
    np.testing.assert_allclose(smooth(impulse.T, 3.0, axis=1), out.T)
    assert smooth(impulse, 0.0) is impulse
    assert smooth(np.zeros((0, 3)), 2.0).shape == (0, 3)
