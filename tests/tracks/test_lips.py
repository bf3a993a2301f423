"""The lip convention: what ARKit lip coefficients mean in face widths, and when the lips are in use."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.tracks import MotionTrack, lips


def track(frames: int = 3, fps: float = 25.0, **columns: object) -> MotionTrack:
    return MotionTrack.rest(frames, fps).with_columns(columns)  # type: ignore[arg-type]


def articulated(frames: int = 4, **given: object) -> MotionTrack:
    names = ("gap", "jaw", "width", "rounding", "closure", "labiodental", "teeth", "tongue")
    values = {name: np.zeros(frames) + np.asarray(given.get(name, 0.0)) for name in names}
    return MotionTrack.rest(frames, 25.0).with_columns(lips.from_articulators(**values))


def test_rest_is_shut() -> None:
    np.testing.assert_array_equal(lips.opening(track()), 0)


def test_jaw_and_lips_open_by_their_constants() -> None:
    assert lips.opening(track(jawOpen=0.5))[0] == pytest.approx(0.5 * lips.GAP_PER_JAW)
    upper = track(mouthUpperUpLeft=1.0, mouthUpperUpRight=1.0)
    assert lips.opening(upper)[0] == pytest.approx(lips.GAP_PER_UPPER)
    one_side = track(mouthLowerDownLeft=1.0)
    assert lips.opening(one_side)[0] == pytest.approx(lips.GAP_PER_LOWER / 2)


def test_mouth_close_takes_jaw_back_but_never_below_zero() -> None:
    assert lips.opening(track(jawOpen=0.5, mouthClose=0.5))[0] == 0
    assert lips.opening(track(jawOpen=0.2, mouthClose=0.9))[0] == 0


def test_press_shuts_whatever_else() -> None:
    pressed = track(jawOpen=1.0, mouthUpperUpLeft=1.0, mouthPressLeft=1.0, mouthPressRight=1.0)
    assert lips.opening(pressed)[0] == 0
    np.testing.assert_array_equal(lips.closure(pressed), 1)


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.03, 0.06, 0.1])
@pytest.mark.parametrize("jaw", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("teeth", [0.0, 1.0])
def test_articulators_give_exactly_the_wanted_gap(gap: float, jaw: float, teeth: float) -> None:
    made = articulated(gap=gap, jaw=jaw, teeth=teeth)
    np.testing.assert_allclose(lips.opening(made), gap, atol=1e-6)
    assert made.data.min() >= 0
    assert made.data.max() <= 1


def test_closure_and_labiodental_narrow_the_gap() -> None:
    np.testing.assert_allclose(lips.opening(articulated(gap=0.06, jaw=0.4, closure=0.75)), 0.015, atol=1e-6)
    narrowed = 0.06 * (1 - lips.LABIODENTAL_NARROWING)
    np.testing.assert_allclose(lips.opening(articulated(gap=0.06, labiodental=1.0)), narrowed, atol=1e-6)


def test_articulators_out_of_range_stay_in_range() -> None:
    wild = articulated(gap=9.0, jaw=3.0, width=-5.0, rounding=4.0, closure=2.0, labiodental=7.0, tongue=9.0)
    assert wild.data.min() >= 0
    assert wild.data.max() <= 1


def test_width_and_rounding_reach_their_columns() -> None:
    assert articulated(width=0.8).column("mouthStretchLeft")[0] == pytest.approx(0.8)
    assert articulated(width=-1.0).column("mouthPucker")[0] > 0.3
    assert articulated(rounding=0.9, jaw=0.5).column("mouthFunnel")[0] == pytest.approx(0.45)


@pytest.mark.parametrize("frames", [1, 2, 3, 10, 200])
@pytest.mark.parametrize("fps", [1.0, 25.0, 60.0])
def test_activity_is_zero_while_nothing_is_said(frames: int, fps: float) -> None:
    np.testing.assert_array_equal(lips.activity(track(frames, fps)), 0)


def test_activity_rises_before_speech_and_falls_after_it() -> None:
    jaw = np.zeros(100)
    jaw[40:50] = 0.4
    activity = lips.activity(track(100, 25.0, jawOpen=jaw))
    np.testing.assert_array_equal(activity[40:50], 1)
    assert activity[40 - int(lips.ATTACK_S * 25) - 1] == 0
    assert 0 < activity[38] < 1
    assert 0 < activity[55] < 1
    assert activity[50 + int(lips.RELEASE_S * 25)] == 0
    assert (np.diff(activity[:41]) >= 0).all()
    assert (np.diff(activity[49:]) <= 0).all()


def test_activity_bridges_short_pauses() -> None:
    jaw = np.zeros(60)
    jaw[10:20] = jaw[24:40] = 0.3
    activity = lips.activity(track(60, 25.0, jawOpen=jaw))
    assert activity[20:24].min() > 0.7


def test_a_press_alone_counts_as_use() -> None:
    pressed = track(5, 25.0, mouthPressLeft=1.0, mouthPressRight=1.0)
    np.testing.assert_array_equal(lips.activity(pressed), 1)
