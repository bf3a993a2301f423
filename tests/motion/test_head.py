"""Head pose: at rest at both ends, bounded, smooth, seeded, alike at any frame rate, nodding on stresses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sadtalker_ext.audio import Speech
from sadtalker_ext.errors import Cancelled, OptionsError
from sadtalker_ext.motion.head import LIMIT_DEG, SPREAD_DEG, eased, generate_head, ramp
from sadtalker_ext.motion.prosody import analyse
from sadtalker_ext.tracks import ARKIT, HEAD_POSE, MotionTrack

RATE = 16000


def babble(
    seconds: float, stresses: tuple[float, ...] = (), pauses: tuple[tuple[float, float], ...] = ()
) -> Speech:
    """A buzz in syllables, four a second, louder at `stresses`, silent in `pauses` and at both ends."""
    time = np.arange(int(seconds * RATE)) / RATE
    level = 0.08 * np.sin(np.pi * 4 * time) ** 2 + 0.004
    for stress in stresses:
        since = time - stress
        level += 0.7 * np.where((since >= 0) & (since < 0.25), np.abs(np.sin(np.pi * since / 0.25)) ** 0.5, 0)
    for start, end in (*pauses, (0, 0.2), (seconds - 0.2, seconds)):
        level[(time >= start) & (time < end)] = 0
    sound = np.random.default_rng(5).standard_normal(len(time)) * level * 0.3
    return Speech(sound.astype(np.float32), seconds)


def silent(seconds: float) -> Speech:
    return Speech(np.zeros(int(seconds * RATE), np.float32), seconds)


def pose(track: MotionTrack) -> np.ndarray:
    return np.stack([track.column(name) for name in HEAD_POSE])


SPEECH = babble(20.0, (1.3, 3.1, 5.2, 8.4, 10.3, 12.1, 15.0, 17.2), ((6.5, 7.3), (13.0, 13.8)))


def made(seed: int = 0, fps: float = 25.0, speech: Speech = SPEECH, **knobs: object) -> MotionTrack:
    frames = round(speech.duration * fps)
    return generate_head(speech, fps=fps, frames=frames, seed=seed, **knobs)  # type: ignore[arg-type]


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 13, 30, 500])
def test_any_length_starts_and_ends_exactly_at_rest(frames: int) -> None:
    track = generate_head(SPEECH, fps=25.0, frames=frames, seed=3)
    assert len(track) == frames
    np.testing.assert_array_equal(track.data[[0, -1]], 0)


def test_only_the_pose_is_filled() -> None:
    others = [i for i in range(ARKIT.dim) if i not in ARKIT.indices(["pose"])]
    assert made().data[:, others].max() == 0


@pytest.mark.parametrize("seed", range(6))
def test_spread_mean_limits_and_smoothness(seed: int) -> None:
    curves = pose(made(seed))
    np.testing.assert_allclose(curves.std(axis=1), SPREAD_DEG, rtol=0.2)
    np.testing.assert_allclose(curves.mean(axis=1), 0, atol=0.05)
    assert (np.abs(curves).max(axis=1) < LIMIT_DEG).all()
    assert np.abs(np.diff(curves, axis=1)).max() < 2.0  # degrees in a frame: 50 a second
    assert np.abs(np.diff(curves, n=2, axis=1)).max() < 0.8
    # Jitter would put most of the acceleration into alternating frames.
    acceleration = np.diff(curves, n=2, axis=1)
    assert (acceleration[:, 1:] * acceleration[:, :-1] < -1e-4).mean() < 0.1


def test_seed_decides() -> None:
    np.testing.assert_array_equal(made(7).data, made(7).data)
    assert np.abs(made(7).data - made(8).data).max() > 1


@pytest.mark.parametrize("fps", [10.0, 24.0, 29.97, 60.0])
def test_frame_rate_changes_sampling_not_motion(fps: float) -> None:
    at25, other = pose(made(2)), pose(made(2, fps=fps))
    time, times = np.arange(at25.shape[1]) / 25, np.arange(other.shape[1]) / fps
    for one, two in zip(at25, other, strict=True):
        moved = np.interp(time, times, two)
        inside = (time > 0.6) & (time < 19.2)
        assert np.abs(one - moved)[inside].max() < 0.35
        assert np.corrcoef(one, moved)[0, 1] > 0.99


def test_more_sound_does_not_change_what_was_before() -> None:
    longer = generate_head(SPEECH, fps=25.0, frames=498, seed=4)
    shorter = generate_head(SPEECH, fps=25.0, frames=490, seed=4)
    for axis in range(3):
        assert np.corrcoef(pose(longer)[axis, :450], pose(shorter)[axis, :450])[0, 1] > 0.98


def test_head_motion_scales_and_zero_is_none() -> None:
    spread = pose(made(1)).std(axis=1)
    np.testing.assert_allclose(pose(made(1, head_motion=0.5)).std(axis=1), spread / 2, rtol=0.05)
    assert (pose(made(1, head_motion=2.0)).std(axis=1) > 1.5 * spread).all()
    assert (np.abs(pose(made(1, head_motion=2.0))).max(axis=1) < LIMIT_DEG).all()
    assert np.abs(made(1, head_motion=0.0).data).max() == 0


def test_still_leaves_a_hint_of_sway() -> None:
    sway = np.abs(pose(made(1, still=True))).max()
    assert 0.05 < sway < 1.0


def test_quieter_while_nobody_speaks() -> None:
    listening = pose(made(1, speech=silent(20.0)))
    assert 0.3 < listening.std() / pose(made(1)).std() < 0.65


def test_slower_while_nobody_speaks() -> None:
    def pace(speech: Speech) -> float:
        yaw = np.stack([made(seed, speech=speech).column("headYaw")[25:-25] for seed in range(8)])
        return float(np.abs(np.diff(yaw, axis=1)).mean() / yaw.std())

    assert pace(silent(20.0)) < 0.7 * pace(SPEECH)


def test_head_goes_down_at_stressed_onsets() -> None:
    stresses = analyse(SPEECH.samples, 20.0).stress_times
    strong = (1.3, 3.1, 5.2, 8.4, 10.3, 12.1, 15.0, 17.2)
    assert all(np.abs(stresses - time).min() < 0.12 for time in strong)
    falls, chance = [], []
    for seed in range(30):
        pitch = made(seed).column("headPitch")
        for time in strong:
            falls.append(pitch[round((time + 0.2) * 25)] - pitch[round((time - 0.2) * 25)])
            chance.append(pitch[round((time + 1.05) * 25)] - pitch[round((time + 0.65) * 25)])
    assert np.mean(falls) < -1.0
    assert np.mean(falls) < np.mean(chance) - 1.0


def test_cancel_is_heard() -> None:
    def cancelled() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        made(check=cancelled)


def test_prosody_finds_phrases_and_survives_oddities() -> None:
    prosody = analyse(SPEECH.samples, 20.0)
    np.testing.assert_allclose(prosody.phrases, [[0.2, 6.5], [7.3, 13.0], [13.8, 19.8]], atol=0.15)
    assert prosody.activity[int(6.9 * 100)] < prosody.activity[300]
    for sound in (np.zeros(0), np.zeros(10), np.ones(4000), np.zeros(16000)):
        odd = analyse(sound.astype(np.float32), 0.7)
        assert len(odd.phrases) == len(odd.stresses) == 0
        assert odd.speaking == 0
        assert len(odd.activity) == 71
    assert analyse(SPEECH.samples, 30.0).phrases.max() < 20.1
    assert analyse(SPEECH.samples, 5.0).phrases.max() <= 5.0


def test_ease_is_symmetric_and_fits_short_clips() -> None:
    time = np.linspace(0, 3, 301)
    curve = eased(time, 3.0)
    np.testing.assert_allclose(curve, curve[::-1], atol=1e-12)
    assert curve[0] == 0
    assert curve[-1] == 0
    np.testing.assert_array_equal(curve[51:250], 1)
    assert eased(np.array([0, 0.05, 0.1]), 0.1)[1] == 1
    np.testing.assert_array_equal(eased(np.zeros(1), 0.0), 0)


def test_ramp_meets_its_keys_without_overshoot() -> None:
    curve = ramp((0, 20, -10), 101)
    assert curve.dtype == np.float32
    assert curve[0] == 0
    assert curve[50] == pytest.approx(20)
    assert curve[100] == pytest.approx(-10)
    assert curve.max() == pytest.approx(20)
    assert curve.min() == pytest.approx(-10)
    assert (np.diff(curve[:51]) >= 0).all()
    assert (np.diff(curve[50:]) <= 0).all()
    assert np.abs(np.diff(curve, n=2)).max() < 0.3


@pytest.mark.parametrize("keys", [(0, 1, 2, 3), (0, 10, 11, 40), (5, 5, 9), (0, 0), (-3, 8, 8, 8, 1)])
def test_ramp_is_monotone_between_keys(keys: tuple[float, ...]) -> None:
    curve = ramp(keys, 20 * (len(keys) - 1) + 1)
    for i, (low, high) in enumerate(pairwise(keys)):
        part = curve[20 * i : 20 * i + 21]
        assert part[0] == pytest.approx(low)
        assert part[-1] == pytest.approx(high)
        assert (np.diff(part) * np.sign(high - low) >= -1e-5).all()
        assert part.min() >= min(low, high) - 1e-4
        assert part.max() <= max(low, high) + 1e-4


def test_ramp_of_one_value_or_one_frame() -> None:
    np.testing.assert_array_equal(ramp([7.5], 4), 7.5)
    np.testing.assert_array_equal(ramp([1, 2, 3], 1), [1])
    np.testing.assert_array_equal(ramp([1, 2], 2), [1, 2])
    with pytest.raises(OptionsError):
        ramp([], 5)
    with pytest.raises(OptionsError):
        ramp([1.0, float("nan")], 5)
