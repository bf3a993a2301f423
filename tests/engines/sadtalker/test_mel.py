"""Sound into the mel windows of SadTalker's networks."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.engines.sadtalker import mel


def test_a_tone_lies_in_its_band() -> None:
    time = np.arange(16000) / 16000
    peaks = []
    for hz in (200, 1000, 4000):
        rows = mel.mel_spectrogram(0.5 * np.sin(2 * np.pi * hz * time))
        assert rows.shape == (81, 80)
        peaks.append(int(rows[40].argmax()))
        middle = mel.mel_basis()[peaks[-1]] @ np.fft.rfftfreq(800, 1 / 16000)
        assert middle / mel.mel_basis()[peaks[-1]].sum() == pytest.approx(hz, rel=0.1)
    assert peaks == sorted(set(peaks))


def test_values_are_bounded_and_silence_is_the_least() -> None:
    assert (mel.mel_spectrogram(np.zeros(3200)) == -4).all()
    loud = mel.mel_spectrogram(np.random.default_rng(0).standard_normal(3200) * 1e6)
    assert loud.max() == 4


def test_long_recordings_are_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.random.default_rng(0).standard_normal(16000)
    whole = mel.mel_spectrogram(sound)
    monkeypatch.setattr(mel, "BLOCK", 7)
    assert mel.mel_spectrogram(sound, 16640)[:78] == pytest.approx(whole[:78], abs=1e-4)
    assert len(mel.mel_spectrogram(sound, 16640)) == 84
    assert mel.mel_spectrogram(sound, 3200) == pytest.approx(mel.mel_spectrogram(sound[:3200]), abs=1e-4)
    assert mel.mel_spectrogram(sound) == pytest.approx(whole, abs=1e-4)


def test_windows_are_steps_apart_and_held_at_the_ends() -> None:
    rows = np.arange(81, dtype=np.float32)[:, None].repeat(80, 1)
    windows = mel.mel_windows(rows, 0, 25)
    assert windows.shape == (25, 80, 16)
    assert list(windows[:4, 0, 0]) == [0, 0, 0, 3]
    assert list(windows[0, 0]) == [0] * 7 + list(range(1, 10))
    assert windows[24, 0, -1] == 80
    assert np.array_equal(mel.mel_windows(rows, 9, 12), windows[9:12])
    assert not mel.silent_windows(3).any()
    assert mel.silent_windows(3).shape == (3, 80, 16)
