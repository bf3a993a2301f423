"""Motion tracks: mixing, resampling, fitting, smoothing, equality, and what a track says of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sadtalker_ext.errors import TrackError
from sadtalker_ext.tracks import ARKIT, BFM, BIWI_VERTICES, MotionSpace, MotionTrack, vertex_space


def wave(frames: int = 50, fps: float = 25.0) -> MotionTrack:
    time = np.arange(frames) / fps
    return MotionTrack.rest(frames, fps).with_columns(
        {"jawOpen": 0.5 + 0.5 * np.sin(2 * np.pi * time), "headYaw": 10 * np.cos(2 * np.pi * 0.5 * time)}
    )


@pytest.mark.parametrize(
    "data",
    [np.zeros((0, 55)), np.zeros((5, 54)), np.zeros(55), np.full((2, 55), np.nan), np.full((2, 55), np.inf)],
)
def test_bad_data_is_refused(data: np.ndarray) -> None:
    with pytest.raises(TrackError):
        MotionTrack(ARKIT, 25.0, data)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_bad_rates_are_refused(fps: float) -> None:
    with pytest.raises(TrackError, match="frame rate"):
        MotionTrack.rest(3, fps)
    with pytest.raises(TrackError, match="frame rate"):
        wave().resampled(fps)


def test_data_becomes_contiguous_float32() -> None:
    track = MotionTrack(ARKIT, 25.0, np.zeros((55, 4)).T)
    assert track.data.dtype == np.float32
    assert track.data.flags.c_contiguous
    assert len(track) == 4
    assert track.duration == pytest.approx(0.16)


def test_with_columns_leaves_the_original_alone() -> None:
    track = MotionTrack.rest(3, 25.0)
    changed = track.with_columns({"jawOpen": np.array([0.1, 0.2, 0.3]), "headRoll": 5.0})
    assert track.data.max() == 0
    np.testing.assert_allclose(changed.column("jawOpen"), [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(changed.column("headRoll"), [5, 5, 5])


def test_with_channels_takes_only_those_and_loops_what_is_short() -> None:
    short = MotionTrack.rest(4, 25.0).with_columns({"headYaw": np.arange(4.0), "jawOpen": 0.7})
    mixed = MotionTrack.rest(10, 25.0).with_channels(short, ["pose"])
    np.testing.assert_array_equal(mixed.column("headYaw"), [0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
    assert mixed.column("jawOpen").max() == 0
    half = MotionTrack.rest(4, 25.0).with_channels(short, ["pose"], blend=0.5)
    np.testing.assert_allclose(half.column("headYaw"), [0, 0.5, 1, 1.5])


def test_with_channels_resamples_to_its_own_rate() -> None:
    mixed = MotionTrack.rest(60, 30.0).with_channels(wave(50, 25.0), ["pose"])
    time = np.arange(58) / 30
    np.testing.assert_allclose(mixed.column("headYaw")[:58], 10 * np.cos(np.pi * time), atol=0.05)


def test_spaces_do_not_mix() -> None:
    other = MotionSpace("other", ("a",), {"pose": (0,)})
    with pytest.raises(TrackError, match=r"other.*arkit"):
        wave().with_channels(MotionTrack.rest(3, 25.0, other), ["pose"])


@pytest.mark.parametrize("fps", [12.5, 24.0, 29.97, 50.0, 60.0])
def test_resampling_keeps_duration_and_motion(fps: float) -> None:
    track = wave(50, 25.0)
    other = track.resampled(fps)
    assert abs(other.duration - track.duration) <= 1 / fps
    inside = np.arange(len(other)) / fps <= (len(track) - 1) / 25
    time = np.arange(len(other))[inside] / fps
    np.testing.assert_allclose(other.column("headYaw")[inside], 10 * np.cos(np.pi * time), atol=0.05)
    np.testing.assert_array_equal(other.data[0], track.data[0])


def test_resampling_there_and_back_over_a_double_rate_is_exact() -> None:
    track = wave()
    np.testing.assert_allclose(track.resampled(50.0).resampled(25.0).data, track.data, atol=1e-6)
    assert track.resampled(25.0) is track


def test_fitted_cuts_and_holds() -> None:
    track = wave(5)
    np.testing.assert_array_equal(track.fitted(3).data, track.data[:3])
    longer = track.fitted(8)
    np.testing.assert_array_equal(longer.data[5:], np.repeat(track.data[-1:], 3, axis=0))
    assert len(track.fitted(0)) == 1


def test_smoothing_keeps_constants_and_only_touches_its_channels() -> None:
    rng = np.random.default_rng(0)
    track = MotionTrack(ARKIT, 25.0, rng.random((100, ARKIT.dim)))
    calm = track.smoothed(0.2, ["pose"])
    assert np.diff(calm.column("headYaw")).std() < 0.3 * np.diff(track.column("headYaw")).std()
    np.testing.assert_array_equal(calm.column("jawOpen"), track.column("jawOpen"))
    flat = MotionTrack.rest(3, 25.0).with_columns({"headYaw": 4.0}).smoothed(1.0)
    np.testing.assert_allclose(flat.column("headYaw"), 4.0, rtol=1e-6)
    assert track.smoothed(0) is track


def test_tracks_are_equal_when_they_move_alike() -> None:
    track = wave()
    same = replace(wave(), provenance={"generator": "another"})
    assert track == same
    assert hash(track) == hash(same)
    assert len({track, same}) == 1
    assert track == replace(track, data=np.where(track.data == 0, np.float32(-0.0), track.data))
    assert hash(track) == hash(replace(track, data=-track.data))  # of what is cheap only


@pytest.mark.parametrize(
    "other",
    [
        wave(49),
        wave(fps=30.0),
        wave().with_columns({"tongueOut": 0.1}),
        MotionTrack.rest(50, 25.0, BFM),
        "wave",
    ],
    ids=["length", "rate", "data", "space", "type"],
)
def test_tracks_differ_by_what_is_seen(other: object) -> None:
    assert wave() != other
    assert other != wave()


@pytest.mark.parametrize("space", [ARKIT, vertex_space(BIWI_VERTICES)], ids=str)
def test_a_track_says_in_a_few_lines_what_it_is(space: MotionSpace) -> None:
    provenance = {"generator": "words", "seed": 7, "text": "a" * 10_000, **{f"knob{n}": n for n in range(99)}}
    track = MotionTrack(space, 25.0, np.zeros((50, space.dim)), provenance)
    shown = repr(track)
    assert len(shown) < 400
    assert "\n" not in shown
    for part in (space.name, "50 frames", f"{space.dim} coefficients", "25 frames/s", "2.00 s", "words"):
        assert part in shown


def test_a_motion_turns_into_the_next_without_a_jump() -> None:
    first = MotionTrack.rest(10, 25.0).with_columns({"headYaw": 8.0, "jawOpen": 0.6})
    sway = np.linspace(0, 3, 50)
    after = MotionTrack.rest(50, 25.0).with_columns({"headYaw": 1 + sway, "eyeBlinkLeft": 0.4})
    both = first.continued(after)
    assert len(both) == 60
    np.testing.assert_array_equal(both.data[:10], first.data)
    np.testing.assert_allclose(both.column("headYaw")[10:], 8 + sway, atol=1e-5)  # from where it is
    assert both.column("jawOpen")[30:].max() == 0
    np.testing.assert_allclose(both.column("eyeBlinkLeft")[30:], 0.4)
    assert np.abs(np.diff(both.column("jawOpen"))).max() < 0.1
    assert ((both.data[:, :52] >= 0) & (both.data[:, :52] <= 1)).all()
    for other in (MotionTrack.rest(5, 25.0, BFM), MotionTrack.rest(5, 30.0)):
        with pytest.raises(TrackError):
            first.continued(other)
