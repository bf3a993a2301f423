"""Level, silences and beats of sounds that are made to have them."""

from __future__ import annotations

import numpy as np

from sadtalker_ext.evaluation.sound import SAMPLE_RATE, listen, runs, within


def tone(seconds: float, amplitude: float = 0.3) -> np.ndarray:
    return (
        amplitude * np.sin(2 * np.pi * 220 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    ).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def test_level_is_in_decibels_of_full_scale():
    sound = listen(tone(1.0, amplitude=0.1))
    assert sound.duration == 1.0
    np.testing.assert_allclose(sound.level_db[20:80], 20 * np.log10(0.1 / np.sqrt(2)), atol=0.1)


def test_level_does_not_depend_on_where_blocks_meet():
    noise = np.random.default_rng(1).normal(0, 0.1, 25 * SAMPLE_RATE).astype(np.float32)
    whole = listen(noise).level_db
    late = listen(noise[8 * SAMPLE_RATE :]).level_db
    np.testing.assert_allclose(whole[810:-10], late[10:-10], atol=1e-3)


def test_pauses_are_found_and_plosives_are_not():
    samples = np.concatenate([tone(1.0), silence(0.5), tone(0.7), silence(0.1), tone(0.7), silence(0.3)])
    spans = listen(samples).silences()
    np.testing.assert_allclose(spans, [(1.0, 1.5), (3.0, 3.3)], atol=0.03)


def test_a_noisy_pause_is_a_pause():
    noise = np.random.default_rng(0).normal(0, 0.002, 3 * SAMPLE_RATE).astype(np.float32)
    samples = np.concatenate([tone(1), silence(1), tone(1)]) + noise
    np.testing.assert_allclose(listen(samples).silences(), [(1.0, 2.0)], atol=0.03)


def test_digital_silence_is_silent_throughout():
    sound = listen(silence(1.0))
    assert sound.is_silent
    assert len(sound.silences()) == 1
    assert not listen(tone(1.0)).is_silent


def test_beats_are_the_onsets():
    samples = np.concatenate([silence(0.5)] + [np.concatenate([tone(0.3), silence(0.4)]) for _ in range(4)])
    np.testing.assert_allclose(listen(samples).beats(), [0.5, 1.2, 1.9, 2.6], atol=0.04)


def test_within_leaves_out_the_edges():
    times = (np.arange(10) + 0.5) / 10
    assert within([(0.2, 0.6)], times).tolist() == [False] * 2 + [True] * 4 + [False] * 4
    assert within([(0.2, 0.6)], times, edge=0.1).sum() == 2
    assert not within([], times).any()


def test_runs():
    assert runs(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
    assert runs(np.zeros(3, bool)) == []
