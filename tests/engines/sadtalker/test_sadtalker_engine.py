"""The engine sadtalker from options to frames, with tiny networks: every mode, every knob, no crash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext import Options, animate, make_motion, render_track
from sadtalker_ext.engines import choose_engine
from sadtalker_ext.engines.sadtalker.actor import speaking
from sadtalker_ext.engines.sadtalker.crop import MODES
from sadtalker_ext.errors import OptionsError, TrackError
from sadtalker_ext.tracks import ARKIT, BFM, MotionTrack
from sadtalker_ext.tracks.files import load_track, save_track
from sadtalker_ext.video import probe, read_metadata

pytestmark = pytest.mark.usefixtures("tiny")
POSE = slice(64, 70)


@pytest.fixture
def options(points: Any) -> Options:
    return Options(engine="sadtalker", points=points, end=0.4, seed=3)


@pytest.fixture
def moved(face: np.ndarray, voice: Any, points: Any) -> Any:
    """A function from options to the motion of the whole voice."""

    def make(**given: Any) -> MotionTrack:
        options = Options(engine="sadtalker", points=points, **given)
        return make_motion(None if options.idle else voice, options, picture=face)

    return make


def frames_of(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(name)) for name in sorted(folder.glob("*.png"))])


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode(mode: str, still: bool, face: Any, voice: Any, options: Options, tmp_path: Path) -> None:
    result = animate(face, voice, tmp_path / "o.mp4", replace(options, crop=mode, still=still))
    made = probe(result.path)
    assert result.frames == made.frames == 10
    assert made.has_audio
    if "full" in mode:
        assert (made.width, made.height) == (120, 140)
    else:
        assert made.width == 256
        assert made.height % 2 == 0
    if mode == "resize":
        assert made.height == 256 * 140 // 120
    pose = result.track.data[:, POSE]
    assert np.ptp(pose, axis=0).max() == pytest.approx(0, abs=1e-6) if still else np.ptp(pose) > 0.01
    assert read_metadata(result.path)["engine"] == "sadtalker"


def test_whole_pictures_stay_as_they_are_around_the_face(
    face: Any, voice: Any, options: Options, tmp_path: Path
) -> None:
    result = animate(face, voice, f"{tmp_path}/o/", options)
    x0, y0, x1, y1 = result.metadata["region"]
    frames = frames_of(result.path)
    outside = np.ones(face.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    assert outside.any()
    assert (frames[:, outside] == face[outside]).all()
    assert (frames[:, ~outside] != face[~outside]).any()


def test_transparency_is_kept_in_whole_pictures(
    face: Any, voice: Any, options: Options, tmp_path: Path
) -> None:
    alpha = np.full((*face.shape[:2], 1), 255, np.uint8)
    alpha[:20] = 0
    result = animate(np.concatenate([face, alpha], axis=2), voice, f"{tmp_path}/o/", options)
    frames = frames_of(result.path)
    assert frames.shape[3] == 4
    assert (frames[..., 3] == alpha[..., 0]).all()


def test_large_faces(face: Any, voice: Any, options: Options, tmp_path: Path) -> None:
    result = animate(face, voice, f"{tmp_path}/o/", replace(options, size="512", crop="crop", end=0.1))
    assert frames_of(result.path).shape[2] == 512


def test_a_frame_does_not_depend_on_the_batch(
    face: Any, voice: Any, options: Options, tmp_path: Path
) -> None:
    alone = frames_of(animate(face, voice, f"{tmp_path}/1/", options).path)
    for size in (3, 64):
        result = animate(face, voice, f"{tmp_path}/{size}/", replace(options, batch_size=size))
        apart = np.abs(frames_of(result.path).astype(int) - alone)
        assert apart.shape == (10, 140, 120, 3)
        assert apart.mean() < 0.05


def test_same_seed_same_video_other_seed_other_motion(
    face: Any, voice: Any, options: Options, tmp_path: Path
) -> None:
    one = animate(face, voice, f"{tmp_path}/one/", options)
    again = animate(face, voice, f"{tmp_path}/again/", options)
    other = animate(face, voice, f"{tmp_path}/other/", replace(options, seed=4))
    assert np.array_equal(frames_of(one.path), frames_of(again.path))
    assert not np.allclose(one.track.data[:, POSE], other.track.data[:, POSE])


@pytest.mark.parametrize(("fps", "count"), [(12, 18), (25, 38), (60, 90)])
def test_other_rates_play_the_same_motion(fps: float, count: int, moved: Any) -> None:
    plain, track = moved(), moved(fps=fps)
    assert len(track) == count
    at = np.minimum(np.arange(count) / fps * 25, 37)
    for column in (0, 64, 66):
        want = np.interp(at, np.arange(38), plain.data[:, column])
        assert track.data[:, column] == pytest.approx(want, abs=1e-4)


def test_pose_styles_differ_and_all_are_there(moved: Any) -> None:
    first, last = moved(pose_style=0), moved(pose_style=45)
    assert not np.allclose(first.data[:, POSE], last.data[:, POSE])
    assert np.allclose(first.data[:, :64], last.data[:, :64])
    for value in (46, -1):  # the reference crashed at one and wrapped around at the other
        with pytest.raises(OptionsError, match="--pose-style"):
            Options(pose_style=value)


def test_gains(moved: Any) -> None:
    plain = moved(blink_rate=0, silence_gate=False).data
    still = moved(blink_rate=0, silence_gate=False, lip_gain=0, head_motion=0).data
    rest = still[0]
    assert np.ptp(still, axis=0).max() == pytest.approx(0, abs=1e-6)
    strong = moved(blink_rate=0, silence_gate=False, lip_gain=2, head_motion=0.5).data
    assert strong[:, :64] - rest[:64] == pytest.approx(2 * (plain[:, :64] - rest[:64]), abs=1e-4)
    assert strong[:, POSE] - rest[POSE] == pytest.approx(0.5 * (plain[:, POSE] - rest[POSE]), abs=1e-4)
    scaled = moved(blink_rate=0, silence_gate=False, expression_scale=1.5).data
    assert scaled[:, :64] == pytest.approx(1.5 * plain[:, :64], abs=1e-4)


def test_the_mouth_rests_in_silence_and_eyes_blink_on(moved: Any) -> None:
    """The last half second of the voice is silent."""
    rest = moved(lip_gain=0, head_motion=0, blink_rate=0).data[0, :64]
    quiet = moved(blink_rate=0).data[-5:, :64]
    assert quiet == pytest.approx(np.tile(rest, (5, 1)), abs=0.02)
    assert np.abs(moved(blink_rate=0, silence_gate=False).data[-5:, :64] - rest).max() > 0.05
    blinking = moved(blink_rate=3).data[:, :64] - moved(blink_rate=0).data[:, :64]
    ungated = (
        moved(blink_rate=3, silence_gate=False).data[:, :64]
        - moved(blink_rate=0, silence_gate=False).data[:, :64]
    )
    assert np.abs(blinking).max() > 0.05
    assert blinking == pytest.approx(ungated, abs=1e-4)


def test_who_speaks_is_heard(voice: Any) -> None:
    samples, rate = voice
    assert rate == 16000
    gate = speaking(samples, 38)
    assert gate.shape == (38,)
    assert gate[:22].min() > 0.9
    assert gate[-5:].max() < 0.1


def test_free_views(moved: Any) -> None:
    track = moved(yaw=(0, 10, -10), roll=(5,))
    assert track.column("viewYaw")[0] == 0
    assert track.column("viewYaw").max() == pytest.approx(10, abs=1)
    assert set(track.column("viewYawShare")) == set(track.column("viewRollShare")) == {1}
    assert (track.column("viewRoll") == 5).all()
    assert not track.column("viewPitchShare").any()
    for angles in ((20, 20), (0, 20, 20), (5,)):  # equal neighbours crashed the reference
        assert np.isfinite(moved(yaw=angles).data).all()


def test_views_turn_the_head(face: Any, voice: Any, options: Options, tmp_path: Path) -> None:
    here = replace(options, still=True, crop="crop", end=0.1, lip_gain=0, blink_rate=0)
    seen = [
        frames_of(animate(face, voice, f"{tmp_path}/{yaw}/", replace(here, yaw=(yaw,))).path)[0]
        for yaw in (-30, 30)
    ]
    assert np.abs(seen[0].astype(int) - seen[1]).mean() > 0.1


@pytest.mark.parametrize("seconds", [0.2, 0.84, 2.5])
def test_idle(seconds: float, moved: Any) -> None:
    """0.84 s are 21 frames, with which the reference's blinks crashed."""
    track = moved(idle=seconds)
    assert len(track) == np.ceil(seconds * 25 - 1e-6)
    assert np.isfinite(track.data).all()


@pytest.mark.parametrize("count", [3, 20, 21, 22, 33])
def test_any_number_of_frames(count: int, face: Any, points: Any) -> None:
    sound = np.random.default_rng(0).standard_normal(count * 640).astype(np.float32)
    for fps in (25.0, 30.0):
        given = Options(engine="sadtalker", points=points, fps=fps, yaw=(0, 9))
        track = make_motion((sound, 16000), given, picture=face)
        assert len(track) == int(np.ceil(count / 25 * fps - 1e-6))


def test_the_end_of_a_recording_is_not_cut(face: Any, points: Any) -> None:
    """39 ms more than ten frames are an eleventh; the reference dropped them."""
    sound = np.ones(10 * 640 + 624, np.float32)
    given = Options(engine="sadtalker", points=points)
    assert len(make_motion((sound, 16000), given, picture=face)) == 11


def test_motion_is_saved_edited_mixed_and_drawn_again(
    face: Any, voice: Any, options: Options, tmp_path: Path
) -> None:
    direct = animate(face, voice, f"{tmp_path}/direct/", options)
    assert direct.track.space == BFM
    path = save_track(direct.track, tmp_path / "track.npz")
    track = load_track(path)
    later = render_track(face, track, f"{tmp_path}/later/", options, speech=voice)
    assert np.array_equal(frames_of(direct.path), frames_of(later.path))

    other = make_motion(voice, replace(options, seed=9), picture=face)
    mixed = track.with_channels(other, ["pose"])
    assert np.allclose(mixed.data[:, POSE], other.data[:, POSE])
    assert np.allclose(mixed.data[:, :64], track.data[:, :64])
    turned = mixed.with_columns({"viewYaw": 20.0, "viewYawShare": 1.0})
    changed = render_track(face, turned, f"{tmp_path}/changed/", options, speech=voice)
    assert len(frames_of(changed.path)) == 10
    with pytest.raises(TrackError, match="Only arkit"):
        save_track(track, tmp_path / "track.csv")


def test_auto_takes_the_best_engine_and_the_one_that_draws_a_track(
    face: Any, points: Any, options: Options, tmp_path: Path
) -> None:
    assert choose_engine(Options()).name == "sadtalker"
    auto = replace(options, engine="auto", end=None)
    assert render_track(face, MotionTrack.rest(2, 25.0, ARKIT), tmp_path / "a.mp4", auto).engine == "instant"
    drawn = render_track(face, MotionTrack.rest(2, 25.0, BFM), tmp_path / "b.mp4", auto)
    assert drawn.engine == "sadtalker"
    with pytest.raises(TrackError, match="renders bfm tracks"):
        render_track(face, MotionTrack.rest(2, 25.0, ARKIT), tmp_path / "c.mp4", options)


def test_motion_needs_the_picture(voice: Any, options: Options) -> None:
    with pytest.raises(OptionsError, match="give a picture"):
        make_motion(voice, options)


def test_a_second_portrait_uses_the_networks_that_are_there(
    face: Any, voice: Any, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sadtalker_ext.engines.sadtalker.weights import Sources

    read: list[str] = []
    state = Sources.state
    monkeypatch.setattr(Sources, "state", lambda self, name: read.append(name) or state(self, name))
    make_motion(voice, options, picture=face)
    make_motion(voice, options, picture=face[:, ::-1])
    make_motion(voice, options, picture=face)
    assert sorted(read) == ["expnet", "posevae", "recon"]  # what draws is not needed for motion alone


def test_faces_at_the_pictures_edge(face: Any, voice: Any, options: Options, tmp_path: Path) -> None:
    """A face that touches the edge lost its chin in the reference, or was pasted elsewhere."""
    for number, (dx, dy) in enumerate([(-40, 0), (45, 0), (0, -50), (0, 50), (45, 50), (-44, -54)]):
        assert options.points is not None
        points = tuple((x + dx, y + dy) for x, y in options.points)
        for mode in ("full", "crop", "extfull"):
            given = replace(options, points=points, crop=mode, end=0.1)
            result = animate(face, voice, f"{tmp_path}/{number}{mode}/", given)
            assert result.frames == 3


def test_a_mouth_that_stays_shut_leaves_head_and_blinks(
    face: np.ndarray, voice: Any, options: Options, tmp_path: Path
) -> None:
    talking = animate(face, voice, tmp_path / "talk.mp4", options).track.data
    shut = animate(face, voice, tmp_path / "shut.mp4", replace(options, mouth="shut")).track.data
    assert (shut[:, POSE] == talking[:, POSE]).all()
    assert np.ptp(talking[:, :64], axis=0).max() > 0
    # What is left of the expression is one direction, that in which the eyes shut.
    strength = np.linalg.svd(shut[:, :64] - shut[0, :64], compute_uv=False)
    assert strength[1] < 1e-4 * max(1.0, strength[0])
