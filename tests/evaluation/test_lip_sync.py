"""Agreement, closures and silence measured on lips whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.evaluation.lip_sync import (
    CLOSED_FLOOR,
    CLOSED_MOST,
    agreement,
    closed_below,
    closures_per_second,
    in_silence,
)
from sadtalker_ext.evaluation.sound import SAMPLE_RATE, listen

FPS = 25.0


def times(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) / FPS


def wander(count: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, count + 8)
    return 0.04 + 0.02 * np.convolve(noise, np.ones(9) / 3, "valid")[:count]


def speech(*spans: tuple[float, float], duration: float):
    samples = np.zeros(round(duration * SAMPLE_RATE), np.float32)
    hum = 0.2 * np.sin(np.arange(len(samples)) * 0.1)
    for start, end in spans:
        part = slice(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
        samples[part] = hum[part]
    return listen(samples)


@pytest.mark.parametrize("lag", [-5, -1, 0, 3, 8])
def test_a_known_lag_is_found(lag):
    reference = wander(208)
    seen = np.roll(reference, lag)
    found = agreement(seen[8:-8], reference[8:-8], FPS)
    assert found is not None
    assert found.lag == lag
    assert found.lag_ms == pytest.approx(lag * 40)
    assert found.best_r == pytest.approx(1.0)
    assert found.r == pytest.approx(1.0) if lag == 0 else found.r < 0.95


def test_noise_lowers_the_agreement_as_it_should():
    reference = wander(4000)
    noise = np.random.default_rng(5).normal(0, reference.std(), 4000)
    found = agreement(reference + noise, reference, FPS)
    assert found is not None
    assert found.r == pytest.approx(np.sqrt(0.5), abs=0.03)


def test_lips_that_do_not_move_do_not_follow():
    found = agreement(np.full(100, 0.03), wander(100), FPS)
    assert found is not None
    assert (found.r, found.best_r, found.lag) == (0.0, 0.0, 0)


def test_nothing_to_follow_is_no_agreement():
    assert agreement(wander(100), np.full(100, 0.03), FPS) is None
    assert agreement(wander(5), wander(5), FPS) is None
    assert agreement(np.full(100, np.nan), wander(100), FPS) is None


def test_frames_without_a_face_are_left_out():
    reference = wander(200)
    seen = reference.copy()
    seen[50:90] = np.nan
    found = agreement(seen, reference, FPS)
    assert found is not None
    assert found.r == pytest.approx(1.0)
    assert found.lag == 0


def test_what_counts_as_closed_follows_the_small_gaps_within_bounds():
    shut_at_zero = np.r_[np.zeros(50), np.full(50, 0.06)]
    shut_at_a_bias = np.r_[np.full(50, 0.007), np.full(50, 0.06), np.nan]
    never_shut = np.full(100, 0.05)
    assert closed_below(shut_at_zero) == CLOSED_FLOOR
    assert closed_below(shut_at_a_bias) == pytest.approx(0.015)
    assert closed_below(never_shut) == CLOSED_MOST


def test_closures_are_counted_per_second_of_speech():
    gap = np.full(250, 0.05)  # ten seconds, the last four silent
    for start in (20, 50, 80, 81, 82, 120, 180, 210):  # 80 to 82 are one closure; 180 and 210 are in silence
        gap[start] = 0.002
    heard = speech((0, 6), duration=10)
    assert closures_per_second(gap, times(250), heard) == pytest.approx(4 / 6, rel=0.03)


def test_trembling_at_the_threshold_is_no_closure():
    gap = CLOSED_MOST + 0.002 * np.where(np.arange(100) % 2, 1, -1)
    gap[:50] = 0.05
    assert closures_per_second(gap, times(100), speech((0, 4), duration=4)) == pytest.approx(0.25)


def test_opening_in_silence():
    gap = np.full(200, 0.05)
    heard = speech((1, 4), (5, 8), duration=8)
    gap[:25], gap[100:125] = 0.004, 0.01
    gap[[98, 99, 100, 124]] = 0.07  # lips still closing, and parting again before the sound
    found = in_silence(gap, times(200), heard)
    assert found is not None
    assert found.seconds == pytest.approx(1.64, abs=0.1)  # two of 1 s without 80 ms at each end
    assert found.p95 == pytest.approx(0.01)
    assert found.rest == pytest.approx(0.004)
    given = in_silence(gap, times(200), heard, rest=0.03)
    assert given is not None
    assert given.rest == 0.03


def test_rest_is_not_read_from_a_first_frame_that_speaks():
    gap = np.full(100, 0.05)
    gap[60:90] = 0.003
    found = in_silence(gap, times(100), speech((0, 2.3), (3.7, 4), duration=4))
    assert found is not None
    assert found.rest == pytest.approx(0.003)


def test_without_silence_nothing_is_said_about_it():
    assert in_silence(np.full(50, 0.02), times(50), speech((0, 2), duration=2)) is None
