"""Reference videos: pose and blinks of a tracked face, gaps, loops, other frame rates, and bad videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import sadtalker_ext.face
import sadtalker_ext.video
from sadtalker_ext.errors import Cancelled, OptionsError, VideoError
from sadtalker_ext.motion.reference import closure, loop, track_reference
from sadtalker_ext.tracks import ARKIT, HEAD_POSE, MotionTrack


class Film:
    """A video whose face is known: what probing, reading, tracking and measuring it would give."""

    def __init__(self, frames: int, fps: float = 25.0) -> None:
        time = np.arange(frames) / fps
        self.fps = fps
        self.poses = np.stack(
            [9 + 6 * np.sin(time), 3 * np.cos(0.7 * time) - 4, 2 * np.sin(0.5 * time)], axis=1
        )
        self.apertures = np.full((frames, 2), 0.3)
        self.lost: set[int] = set()
        self.read = 0
        self.size: tuple[int, int] | None = None
        self.width, self.height = 640, 480

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        film = self

        def read_frames(
            path: object, *, fps: float, size: tuple[int, int] | None, check: object
        ) -> Iterator[np.ndarray]:
            film.size = size
            for index in range(int(len(film.poses) * fps / film.fps)):
                film.read += 1
                if callable(check):
                    check()
                yield np.full((2, 2, 3), round(index * film.fps / fps))

        class Tracker:
            def track(self, frames: Iterable[np.ndarray]) -> Iterator[object]:
                for frame in frames:
                    index = int(frame[0, 0, 0])
                    yield None if index in film.lost else SimpleNamespace(landmarks=index)

        facts = SimpleNamespace(has_video=True, fps=self.fps, width=self.width, height=self.height)
        monkeypatch.setattr(sadtalker_ext.video, "probe", lambda path: facts)
        monkeypatch.setattr(sadtalker_ext.video, "read_frames", read_frames)
        monkeypatch.setattr(sadtalker_ext.face, "FaceTracker", Tracker)
        monkeypatch.setattr(sadtalker_ext.face, "head_pose", lambda index: tuple(film.poses[index]))
        monkeypatch.setattr(sadtalker_ext.face, "eye_aperture", lambda index: tuple(film.apertures[index]))


@pytest.fixture
def film(monkeypatch: pytest.MonkeyPatch) -> Film:
    made = Film(200)
    made.install(monkeypatch)
    return made


def pose(track: MotionTrack) -> np.ndarray:
    return np.stack([track.column(name) for name in HEAD_POSE], axis=1)


def test_pose_is_relative_to_its_median(film: Film) -> None:
    track = track_reference("film.mp4", fps=25.0, channels="pose")
    assert len(track) == 200
    expected = film.poses - np.median(film.poses, axis=0)
    np.testing.assert_allclose(pose(track)[5:-5], expected[5:-5], atol=0.1)
    np.testing.assert_allclose(np.median(pose(track), axis=0), 0, atol=0.05)
    others = [i for i in range(ARKIT.dim) if i not in ARKIT.indices(["pose"])]
    assert track.data[:, others].max() == 0
    assert track.provenance["reference"] == "film.mp4"


def test_a_slip_of_the_tracker_leaves_no_trace(film: Film) -> None:
    clean = pose(track_reference("film.mp4", fps=25.0, channels="pose"))
    film.poses[60] += 40
    np.testing.assert_allclose(pose(track_reference("film.mp4", fps=25.0, channels="pose")), clean, atol=0.4)


def test_frames_without_a_face_are_filled_in(film: Film) -> None:
    clean = pose(track_reference("film.mp4", fps=25.0))
    film.lost = {0, 1, *range(70, 80), 199}
    gaps = track_reference("film.mp4", fps=25.0)
    np.testing.assert_allclose(pose(gaps), clean, atol=0.6)
    assert gaps.provenance["found"] == pytest.approx(187 / 200)


@pytest.mark.parametrize("fps", [12.5, 24.0, 30.0, 60.0])
def test_it_is_sampled_at_the_wanted_rate(film: Film, fps: float) -> None:
    track = track_reference("film.mp4", fps=fps, channels="pose")
    assert track.fps == fps
    assert track.duration == pytest.approx(8.0, abs=1 / fps)
    time = np.arange(len(track)) / fps
    yaw = np.interp(time, np.arange(200) / 25, film.poses[:, 0])
    assert np.corrcoef(track.column("headYaw"), yaw)[0, 1] > 0.999


def test_fast_videos_are_read_at_thirty_frames_and_large_ones_small(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = Film(240, fps=60.0)
    fast.width, fast.height = 3840, 2160
    fast.install(monkeypatch)
    track = track_reference("film.mp4", fps=60.0)
    assert fast.read == 120
    assert fast.size == (1280, 720)
    assert len(track) == 240


def test_blinks_are_measured_against_the_eyes_own_opening(film: Film) -> None:
    for start in (40, 90, 150):
        film.apertures[start : start + 6] *= np.array([0.7, 0.3, 0.2, 0.35, 0.6, 0.85])[:, None]
    film.apertures[:, 1] *= 0.6  # a narrower eye
    film.apertures += np.random.default_rng(0).normal(0, 0.004, film.apertures.shape)
    track = track_reference("film.mp4", fps=25.0, channels=["blink"])
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        shut = track.column(name)
        assert all(shut[start : start + 6].max() == 1 for start in (40, 90, 150))
        rest = np.ones(200, bool)
        for start in (40, 90, 150):
            rest[start : start + 6] = False
        assert shut[rest].max() < 0.05
    assert np.abs(pose(track)).max() == 0


def test_opening_may_drift_and_eyes_may_stay_shut() -> None:
    drifting = np.linspace(0.35, 0.2, 500)
    assert closure(drifting, 25.0).max() < 0.1
    shut = np.full(500, 0.3)
    shut[200:330] = 0.06
    np.testing.assert_array_equal(closure(shut, 25.0)[200:330], 1)
    np.testing.assert_array_equal(closure(np.zeros(3), 25.0), 1)


def test_exact_length_cuts_and_reads_no_further(film: Film) -> None:
    track = track_reference("film.mp4", fps=25.0, frames=50)
    assert len(track) == 50
    assert film.read <= 53
    # The median is that of what is used.
    expected = film.poses[:51] - np.median(film.poses[:51], axis=0)
    np.testing.assert_allclose(pose(track)[5:-5], expected[5:45], atol=0.15)


@pytest.mark.parametrize("frames", [201, 400, 1234])
def test_short_videos_loop_without_a_jump(film: Film, frames: int) -> None:
    once = pose(track_reference("film.mp4", fps=25.0))
    track = pose(track_reference("film.mp4", fps=25.0, frames=frames))
    assert len(track) == frames
    assert np.abs(once[-1] - once[0]).max() > 1  # which repeating alone would show
    assert np.abs(np.diff(track, axis=0)).max() < 0.8
    np.testing.assert_allclose(track[:180], once[:180], atol=1e-5)


def test_loop_of_tiny_tracks() -> None:
    one = MotionTrack.rest(1, 25.0).with_columns({"headYaw": 3.0})
    np.testing.assert_array_equal(loop(one, 7).column("headYaw"), 3)
    two = MotionTrack.rest(2, 25.0).with_columns({"headYaw": np.array([1.0, 2.0])})
    assert len(loop(two, 9)) == 9
    assert len(loop(two, 1)) == 1
    turning = MotionTrack.rest(40, 25.0).with_columns({"headYaw": np.arange(40.0)})
    np.testing.assert_array_equal(loop(turning, 40).data, turning.data)
    assert np.abs(np.diff(loop(turning, 200).column("headYaw"))).max() < 6


def test_no_face_is_a_sentence(film: Film) -> None:
    film.lost = set(range(200))
    with pytest.raises(VideoError, match=r"No face.*film\.mp4"):
        track_reference("film.mp4", fps=25.0)
    film.lost = set(range(3, 200))
    with pytest.raises(VideoError, match="3 of 200"):
        track_reference("film.mp4", fps=25.0)


def test_unknown_channels_are_refused(film: Film) -> None:
    for channels in ("lips", [], ["pose", "gaze"]):
        with pytest.raises(OptionsError, match="pose and blink"):
            track_reference("film.mp4", fps=25.0, channels=channels)


def test_cancel_is_heard(film: Film) -> None:
    def cancelled() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        track_reference("film.mp4", fps=25.0, check=cancelled)


def test_bad_videos_are_sentences(tmp_path: Path, demo_speech: Path) -> None:
    with pytest.raises(VideoError):
        track_reference(tmp_path / "none.mp4", fps=25.0)
    (tmp_path / "text.mp4").write_text("no video at all")
    with pytest.raises(VideoError):
        track_reference(tmp_path / "text.mp4", fps=25.0)
    with pytest.raises(VideoError, match="no video stream"):
        track_reference(demo_speech, fps=25.0)


def test_a_real_video_of_a_leaning_head(tmp_path: Path, demo_portrait: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("mediapipe")
    from PIL import Image

    picture = np.asarray(Image.open(demo_portrait).convert("RGB").resize((384, 384)))
    lean = 9 * np.sin(np.arange(30) / 5)
    path = tmp_path / "lean.mp4"
    with sadtalker_ext.video.VideoWriter(
        path, width=384, height=384, fps=10.0, frames=30, soundtrack=None, metadata={}
    ) as writer:
        for angle in lean:
            # OpenCV's positive angles turn the other way.
            matrix = cv2.getRotationMatrix2D((192, 192), -angle, 1.0)
            writer.write(cv2.warpAffine(picture, matrix, (384, 384), borderMode=cv2.BORDER_REPLICATE))
    track = track_reference(path, fps=10.0)
    assert len(track) == 30
    roll = track.column("headRoll")
    assert np.corrcoef(roll, lean)[0, 1] > 0.98
    assert np.polyfit(lean, roll, 1)[0] == pytest.approx(1, abs=0.12)
    assert np.abs(track.column("headYaw")).max() < 4
    assert track.column("eyeBlinkLeft").max() < 0.6
