"""Blinks, gaze and brows: shapes, rates, where they fall, who looks where, and what the knobs do."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.audio import Speech
from sadtalker_ext.motion.eyes import BLINK_S, LARGEST_GAZE, blink_shape, generate_eyes, look
from sadtalker_ext.tracks import ARKIT, MotionTrack

RATE = 16000
PAUSES = (4.0, 8.0, 12.0, 16.0)


def babble(seconds: float) -> Speech:
    """Syllables, four a second, of uneven loudness, with a pause of 0.7 s at each of `PAUSES`."""
    time = np.arange(int(seconds * RATE)) / RATE
    level = np.sin(np.pi * 4 * time) ** 2 * (0.3 + 0.7 * np.sin(np.pi * 0.37 * time) ** 8) + 0.004
    for start in PAUSES:
        level[(time >= start) & (time < start + 0.7)] = 0
    level[time < 0.2] = 0
    sound = np.random.default_rng(5).standard_normal(len(time)) * level * 0.3
    return Speech(sound.astype(np.float32), seconds)


SPEECH = babble(20.0)


def made(seed: int = 0, fps: float = 25.0, seconds: float = 20.0, **knobs: object) -> MotionTrack:
    return generate_eyes(SPEECH, fps=fps, frames=round(seconds * fps), seed=seed, **knobs)  # type: ignore[arg-type]


def blinks(track: MotionTrack) -> list[np.ndarray]:
    """The closures of each blink, frame by frame."""
    shut = track.column("eyeBlinkLeft")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (shut > 0).astype(int), [0]])))
    return [shut[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def starts(track: MotionTrack) -> np.ndarray:
    shut = track.column("eyeBlinkLeft")
    return np.flatnonzero((shut[1:] > 0) & (shut[:-1] == 0)) / track.fps


@pytest.mark.parametrize("frames", [1, 2, 3, 6, 10, 20, 45, 500])
def test_any_length_starts_and_ends_exactly_at_rest(frames: int) -> None:
    for seed in range(5):
        track = generate_eyes(SPEECH, fps=25.0, frames=frames, seed=seed)
        assert len(track) == frames
        np.testing.assert_array_equal(track.data[[0, -1]], 0)


def test_ranges_and_channels() -> None:
    track = made()
    assert track.data.min() >= 0
    assert track.data.max() <= 1
    assert track.data[:, ARKIT.indices(["lips", "pose", "cheeks"])].max() == 0
    assert track.column("eyeSquintLeft").max() == 0
    np.testing.assert_array_equal(track.column("eyeBlinkLeft"), track.column("eyeBlinkRight"))


def test_a_blink_takes_six_frames_and_closes_faster_than_it_opens() -> None:
    found = [shape for seed in range(20) for shape in blinks(made(seed))]
    assert len(found) > 60
    for shape in found:
        assert len(shape) == 6
        assert shape.max() == 1
        assert shape[0] < 0.3
        assert shape[-1] < 0.3
        assert np.argmax(shape) < 3
    time = np.linspace(-0.1, 0.4, 501)
    curve = blink_shape(time)
    np.testing.assert_array_equal(curve[(time <= 0) | (time >= BLINK_S)], 0)
    assert np.argmax(curve > 0.99) - np.argmax(curve > 0) < np.argmax(curve[::-1] > 0.99) - np.argmax(
        curve[::-1] > 0
    )


@pytest.mark.parametrize("fps", [5.0, 10.0, 12.0, 15.0, 24.0, 29.97, 30.0, 50.0, 60.0])
def test_every_blink_shows_the_eye_shut_at_any_frame_rate(fps: float) -> None:
    for seed in range(6):
        shapes = blinks(made(seed, fps))
        assert shapes
        assert min(shape.max() for shape in shapes) > 0.99


def test_blink_rate() -> None:
    def per_minute(rate: float) -> float:
        return float(np.mean([len(starts(made(seed, blink_rate=rate))) for seed in range(60)]) * 3)

    assert per_minute(0) == 0
    assert 15 <= per_minute(1) <= 20
    assert 1.6 < per_minute(2) / per_minute(1) < 2.4


def test_intervals_have_a_refractory_period_but_for_doubles() -> None:
    gaps = np.concatenate([np.diff(starts(made(seed))) for seed in range(150)])
    double = gaps < 0.5
    assert 0.02 < double.mean() < 0.15
    assert gaps[double].min() > BLINK_S
    assert gaps[~double].min() >= 0.6
    assert gaps.std() > 0.8  # not a metronome


def test_blinks_prefer_the_ends_of_phrases() -> None:
    when = np.concatenate([starts(made(seed)) for seed in range(100)])
    near = np.abs(when[:, None] - (np.array(PAUSES) + 0.1)).min(axis=1) < 0.3
    assert near.mean() > 2 * (0.6 * len(PAUSES) / 20)


def test_gaze_holds_and_jumps() -> None:
    track = made(brows=0.0, blink_rate=0.0)
    across = (track.column("eyeLookOutLeft") - track.column("eyeLookInLeft"))[15:-15]
    moving = np.abs(np.diff(across)) > 1e-6
    assert 0.02 < moving.mean() < 0.2
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], moving.astype(int), [0]]))))[::2]
    assert runs.max() <= 2  # a jump takes one or two frames
    assert 0.005 < across.std() < 0.12


def test_left_and_right_are_the_persons_own() -> None:
    to_the_right = look(np.array([5.0]), np.array([-4.0]))
    assert to_the_right["eyeLookOutLeft"][0] == to_the_right["eyeLookInRight"][0] > 0.1
    assert to_the_right["eyeLookInLeft"][0] == to_the_right["eyeLookOutRight"][0] == 0
    assert to_the_right["eyeLookDownLeft"][0] == to_the_right["eyeLookDownRight"][0] > 0.1
    assert to_the_right["eyeLookUpLeft"][0] == 0
    far = look(np.array([-80.0]), np.array([0.0]))
    assert 0.9 * LARGEST_GAZE < far["eyeLookInLeft"][0] <= LARGEST_GAZE


def test_eyes_stay_with_the_viewer_while_the_head_turns() -> None:
    turn = 10 * np.sin(np.arange(500) / 40)
    head = MotionTrack.rest(500, 25.0).with_columns({"headYaw": turn, "headPitch": -turn / 2})
    track = made(head=head)
    across = track.column("eyeLookOutLeft") - track.column("eyeLookInLeft")
    up = track.column("eyeLookUpLeft") - track.column("eyeLookDownLeft")
    assert np.corrcoef(across, turn)[0, 1] < -0.8
    assert np.corrcoef(up, turn)[0, 1] > 0.8


def test_knobs_switch_things_off_one_at_a_time() -> None:
    full, without_gaze, without_brows = made(), made(gaze=0.0), made(brows=0.0)
    blink, gaze, brows = (ARKIT.indices(names) for names in (["blink"], ["gaze"], ["brows", "eyes"]))
    assert without_gaze.data[:, gaze].max() == 0
    assert without_brows.data[:, brows].max() == 0
    np.testing.assert_array_equal(full.data[:, brows], without_gaze.data[:, brows])
    np.testing.assert_array_equal(full.data[:, gaze], without_brows.data[:, gaze])
    np.testing.assert_array_equal(full.data[:, blink], made(gaze=0.0, brows=0.0).data[:, blink])
    still = made(still=True)
    np.testing.assert_array_equal(full.data[:, blink], still.data[:, blink])
    assert still.data[:, brows].max() == 0
    assert 0 < still.data[:, gaze].max() < 0.15


def test_brows_rise_slightly_and_not_all_the_time() -> None:
    raised = np.stack([made(seed).column("browInnerUp") for seed in range(10)])
    assert 0.15 < raised.max() < 0.6
    assert 0.02 < (raised > 0.03).mean() < 0.5
    assert np.abs(np.diff(raised, axis=1)).max() < 0.2


def test_seed_decides() -> None:
    np.testing.assert_array_equal(made(3).data, made(3).data)
    assert np.abs(made(3).data - made(4).data).max() > 0.5


@pytest.mark.parametrize("fps", [24.0, 29.97, 60.0])
def test_frame_rate_changes_sampling_not_motion(fps: float) -> None:
    np.testing.assert_allclose(starts(made(6, fps)), starts(made(6)), atol=0.5 / 25 + 1 / fps)


def test_silence_still_blinks() -> None:
    quiet = Speech(np.zeros(30 * RATE, np.float32), 30.0)
    track = generate_eyes(quiet, fps=25.0, frames=750, seed=1)
    assert len(starts(track)) >= 4
    assert track.column("browInnerUp").max() == 0
