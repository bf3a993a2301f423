"""The engine sadtalker follows videos: a head, blinks, a whole face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sadtalker_ext import Options, animate, make_motion, render_track
from sadtalker_ext.engines.sadtalker.coefficients import looped
from sadtalker_ext.engines.sadtalker.render.reference import video_coefficients
from sadtalker_ext.errors import TrackError, VideoError
from sadtalker_ext.tracks import ARKIT, BFM, MotionTrack
from sadtalker_ext.tracks.files import save_track
from sadtalker_ext.video import VideoWriter

pytest.importorskip("mediapipe")
POSE = slice(64, 70)
FRAMES = 10


@pytest.fixture(scope="session")
def acted(demo_portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of the demo portrait: the head turns, and the eyes shut in the middle."""
    blink = np.zeros(FRAMES, np.float32)
    blink[4:6] = 1
    track = MotionTrack.rest(FRAMES, 25.0, ARKIT).with_columns(
        {"headYaw": np.linspace(0, 9, FRAMES), "eyeBlinkLeft": blink, "eyeBlinkRight": blink}
    )
    path = tmp_path_factory.mktemp("acted") / "acted.mp4"
    return render_track(demo_portrait, track, path, Options(engine="instant")).path


@pytest.fixture
def moved(tiny: Path, face: np.ndarray, voice: Any, points: Any) -> Any:
    def make(**given: Any) -> MotionTrack:
        return make_motion(voice, Options(engine="sadtalker", points=points, **given), picture=face)

    return make


def recon() -> Any:
    from tiny_sadtalker import tiny_states

    from sadtalker_ext.engines.sadtalker.networks.recon import ReconNet
    from sadtalker_ext.engines.sadtalker.weights import loaded

    return loaded(ReconNet.shaped_like, dict(tiny_states()["recon"]))


def test_a_video_becomes_coefficients(acted: Path) -> None:
    rows = video_coefficients(acted, recon(), 99)
    assert rows.shape == (FRAMES, 70)
    assert np.isfinite(rows).all()
    assert np.ptp(rows, axis=0).max() > 0
    assert len(video_coefficients(acted, recon(), 3)) == 3


def test_a_head_is_followed_to_and_fro(acted: Path, moved: Any) -> None:
    plain, track = moved(), moved(ref_pose=str(acted))
    seen = looped(video_coefficients(acted, recon(), 99), len(plain))
    assert track.data[:, POSE] == pytest.approx(
        plain.data[:, POSE] + seen[:, POSE] - seen[:1, POSE], abs=1e-4
    )
    assert np.allclose(track.data[:, :64], plain.data[:, :64])
    steps = np.abs(np.diff(seen[:, POSE], axis=0)).max(axis=1)
    inside = steps[: FRAMES - 1].max()  # the reference jumped back to the start
    assert steps.max() <= inside + 1e-6


def test_blinks_are_followed_and_lips_are_not(acted: Path, moved: Any) -> None:
    from tiny_sadtalker import tiny_states

    plain, track = moved(blink_rate=0), moved(ref_blink=str(acted))
    towards = tiny_states()["expnet"]["mapping1.weight"][:, -1].numpy()
    apart = track.data[:, :64] - plain.data[:, :64]
    along = apart @ towards / (towards @ towards)
    assert apart == pytest.approx(np.outer(along, towards), abs=1e-3)  # nothing but lids
    assert along[4:6].max() > 0.5
    assert np.allclose(track.data[:, POSE], plain.data[:, POSE])


def test_a_whole_face_is_followed(acted: Path, moved: Any) -> None:
    track = moved(ref_face=str(acted))
    seen = looped(video_coefficients(acted, recon(), 99), len(track))
    assert track.data[:, :64] == pytest.approx(seen[:, :64], abs=1e-4)
    rest = track.data[0, POSE]
    assert track.data[:, POSE] == pytest.approx(rest + seen[:, POSE] - seen[:1, POSE], abs=1e-4)
    both = moved(ref_face=str(acted), ref_pose=str(acted))
    assert np.allclose(both.data, track.data)


def test_a_face_is_followed_into_a_video(
    acted: Path, tiny: Path, demo_portrait: Path, demo_speech: Path, tmp_path: Path
) -> None:
    options = Options(engine="sadtalker", end=0.2, ref_face=str(acted), crop="crop")
    result = animate(demo_portrait, demo_speech, tmp_path / "o.mp4", options)
    assert result.frames == 5
    assert result.metadata["options"]["ref_face"] == "acted.mp4"
    assert result.metadata["motion"]["lips"] == "followed from acted.mp4"


def test_motion_files_are_followed_as_videos_are(moved: Any, voice: Any, tmp_path: Path) -> None:
    """The engine instant's blinks, and another run's head, under these lips."""
    from tiny_sadtalker import tiny_states

    blink = np.zeros(FRAMES, np.float32)
    blink[3:5] = 0.8
    track = MotionTrack.rest(FRAMES, 25.0, ARKIT).with_columns(
        {"eyeBlinkLeft": blink, "eyeBlinkRight": blink}
    )
    blinks = str(save_track(track, tmp_path / "blinks.npz"))
    head = str(save_track(moved(pose_style=9, seed=5), tmp_path / "head.npz"))
    plain = moved(blink_rate=0)
    mixed = moved(ref_blink=blinks, ref_pose=head)
    towards = tiny_states()["expnet"]["mapping1.weight"][:, -1].numpy()
    once = FRAMES // 2  # then it fades into its start
    apart = mixed.data[:once, :64] - plain.data[:once, :64]
    assert apart == pytest.approx(np.outer(blink[:once], towards), abs=1e-4)
    other = moved(pose_style=9, seed=5).data[:, POSE]
    assert mixed.data[:, POSE] == pytest.approx(plain.data[:, POSE] + other - other[:1], abs=1e-4)
    whole = moved(ref_face=head)
    assert whole.data[:, :64] == pytest.approx(moved(pose_style=9, seed=5).data[:, :64], abs=1e-4)
    assert mixed.provenance["pose"] == "followed from head.npz"


@pytest.mark.parametrize("knob", ["ref_pose", "ref_face", "ref_blink"])
def test_motion_of_another_kind_is_refused(knob: str, moved: Any, tmp_path: Path) -> None:
    space = BFM if knob == "ref_blink" else ARKIT
    path = save_track(MotionTrack.rest(4, 25.0, space), tmp_path / "track.npz")
    with pytest.raises(TrackError, match=space.name):
        moved(**{knob: str(path)})
    path.write_bytes(b"PK nothing")
    with pytest.raises(TrackError, match="damaged"):
        moved(**{knob: str(path)})


@pytest.mark.parametrize("knob", ["ref_pose", "ref_face", "ref_blink"])
def test_a_video_without_a_face_is_refused(knob: str, moved: Any, tmp_path: Path) -> None:
    path = tmp_path / "grey.mp4"
    with VideoWriter(path, width=64, height=64, fps=25.0, frames=3) as writer:
        for _ in range(3):
            writer.write(np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(VideoError, match="face"):
        moved(**{knob: str(path)})
    with pytest.raises(VideoError):
        moved(**{knob: str(tmp_path / "nothing.mp4")})
