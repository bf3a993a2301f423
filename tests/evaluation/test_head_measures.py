"""Head statistics and beat alignment of motions that are known."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.evaluation.head import beat_alignment, head_motion
from sadtalker_ext.evaluation.sound import SAMPLE_RATE, listen

FPS = 25.0


def test_a_sine_has_its_own_statistics():
    time = np.arange(500) / FPS
    pose = np.stack([4 * np.sin(2 * np.pi * 0.5 * time), np.sin(2 * np.pi * 6 * time), 0 * time], axis=1)
    found = head_motion(pose, FPS)
    assert found is not None
    yaw, pitch, roll = found["yaw"], found["pitch"], found["roll"]
    assert yaw.sd == pytest.approx(4 / np.sqrt(2), rel=0.01)
    assert yaw.range == pytest.approx(8, rel=0.01)
    assert yaw.speed == pytest.approx(8, rel=0.02)  # 4 × 4 degrees a period of 2 s
    assert yaw.fast < 0.001
    assert pitch.fast > 0.99
    assert (roll.sd, roll.range, roll.speed, roll.jitter) == (0, 0, 0, 0)


def test_jitter_is_the_second_difference_of_noise():
    noise = np.random.default_rng(0).normal(0, 0.2, (5000, 3))
    found = head_motion(noise + np.arange(5000)[:, None] * 0.1, FPS)  # a steady turn is no jitter
    assert found is not None
    assert found["yaw"].jitter == pytest.approx(0.2 * np.sqrt(6), rel=0.03)


def test_missing_frames_are_bridged_but_not_too_many():
    pose = np.zeros((100, 3))
    pose[40:60] = np.nan
    assert head_motion(pose, FPS) is not None
    pose[10:70] = np.nan
    assert head_motion(pose, FPS) is None


def clicks(at: list[float], duration: float):
    samples = np.zeros(round(duration * SAMPLE_RATE), np.float32)
    for start in at:
        begin = round(start * SAMPLE_RATE)
        samples[begin : begin + 3200] = 0.3 * np.sin(np.arange(3200) * 0.15)
    return listen(samples)


def test_a_head_that_rests_on_the_beats_scores_high():
    sound = clicks([0.5 + i for i in range(12)], 13.0)
    time = np.arange(325) / FPS
    speed = 0.3 + 0.2 * np.cos(2 * np.pi * time)  # slowest at .5, 1.5, …
    on_beat = beat_alignment(speed, FPS, sound)
    off_beat = beat_alignment(np.roll(speed, 12), FPS, sound)
    assert on_beat is not None
    assert off_beat is not None
    assert on_beat.count == 12
    assert on_beat.score > 0.9
    assert off_beat.score < 0.1
    # By chance the distance to the nearest rest is uniform in 0..0.5 s.
    assert on_beat.chance == pytest.approx(0.1 * np.sqrt(2 * np.pi), abs=0.03)


def test_a_still_head_has_no_beats():
    sound = clicks([1.0, 2.0], 4.0)
    assert beat_alignment(np.full(100, 0.01), FPS, sound) is None
    assert beat_alignment(np.full(100, np.nan), FPS, sound) is None
    assert beat_alignment(0.3 + 0.2 * np.cos(np.arange(100) / 4), FPS, clicks([], 4.0)) is None
