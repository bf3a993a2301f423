"""One portrait and speech become a video: lengths, sound, metadata, seeds, cancelling, leftovers."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext import Cancelled, CancelToken, Options, Progress, animate, make_motion, render_track
from sadtalker_ext.errors import AudioError, FaceNotFoundError, OptionsError, OutputError, TrackError
from sadtalker_ext.host import STAGES
from sadtalker_ext.tracks import ARKIT, MotionSpace, MotionTrack
from sadtalker_ext.video import probe, read_frames, read_metadata

FIVE = ((40, 52), (88, 52), (64, 76), (48, 96), (80, 96))  # eyes, nose, mouth corners of a 128-px face
SHORT = Options(end=0.6, points=FIVE, seed=3)


@pytest.fixture(scope="session")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn face of 128 px; five points place it, so that no detector is needed."""
    y, x = np.mgrid[:128, :128].astype(float)
    picture = np.full((128, 128, 3), (90, 120, 150), np.uint8)
    picture[((x - 64) / 42) ** 2 + ((y - 68) / 52) ** 2 < 1] = (224, 180, 150)
    for cx in (40, 88):
        picture[((x - cx) / 9) ** 2 + ((y - 52) / 5) ** 2 < 1] = (250, 250, 250)
        picture[((x - cx) / 4) ** 2 + ((y - 52) / 4) ** 2 < 1] = (40, 30, 20)
    picture[((x - 64) / 16) ** 2 + ((y - 96) / 4) ** 2 < 1] = (170, 70, 70)
    path = tmp_path_factory.mktemp("face") / "drawn face ü.png"
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture(scope="session")
def voice() -> tuple[np.ndarray, int]:
    """Two seconds of a buzzing, interrupted tone at 22.05 kHz, stereo: speech enough for lengths."""
    rate = 22050
    t = np.arange(2 * rate) / rate
    tone = 0.3 * np.sign(np.sin(2 * np.pi * 140 * t)) * (np.sin(2 * np.pi * 3 * t) > 0)
    return np.stack([tone, tone], axis=1).astype(np.float32), rate


def test_a_video_has_the_length_and_sound_of_the_speech(face, voice, tmp_path):
    seen: list[Progress] = []
    result = animate(face, voice, tmp_path / "out.mp4", SHORT, progress=seen.append)
    info = probe(result.path)
    assert (info.width, info.height) == (128, 128)
    assert result.frames == 15
    assert info.has_audio
    assert abs(info.audio_duration - result.duration) <= 1 / result.fps
    assert [stage for stage in STAGES if any(p.stage == stage for p in seen)] == list(STAGES)
    drawn = [p for p in seen if p.frame is not None]
    assert [p.done for p in drawn] == list(range(1, 16))
    assert all(p.frame is not None and p.frame.shape == (128, 128, 3) for p in drawn)


def test_metadata_tells_how_to_make_it_again_and_names_no_folder(face, voice, tmp_path):
    result = animate(face, voice, tmp_path / "out.mp4", SHORT)
    document = read_metadata(result.path)
    assert document["engine"] == "instant"
    assert document["seed"] == 3
    assert document["picture"] == face.name
    assert Options.from_dict(document["options"]) == SHORT
    assert str(tmp_path) not in str(document)
    assert set(document["motion"]) == {"lips", "pose", "eyes"}


def digest(folder: Path) -> str:
    names = sorted(folder.glob("*.png"))
    return hashlib.sha256(b"".join(np.asarray(Image.open(name)).tobytes() for name in names)).hexdigest()


def test_same_seed_same_frames_other_seed_other_frames(face, voice, tmp_path):
    options = Options(end=1.5, points=FIVE, seed=1)
    one = animate(face, voice, f"{tmp_path}/one/", options).path
    again = animate(face, voice, f"{tmp_path}/again/", options).path
    other = animate(face, voice, f"{tmp_path}/other/", Options(end=1.5, points=FIVE, seed=2)).path
    assert digest(one) == digest(again) != digest(other)


def test_a_quiet_first_frame_is_the_picture(face, tmp_path):
    out = animate(face, None, f"{tmp_path}/frames/", Options(idle=0.4, points=FIVE)).path
    first = np.asarray(Image.open(sorted(out.glob("*.png"))[0]).convert("RGB"))
    assert np.array_equal(first, np.asarray(Image.open(face).convert("RGB")))


def test_motion_then_render_equals_animate(face, voice, tmp_path):
    track = make_motion(voice, SHORT)
    direct = animate(face, voice, f"{tmp_path}/direct/", SHORT).path
    later = render_track(face, track, f"{tmp_path}/later/", SHORT, speech=voice).path
    assert digest(direct) == digest(later)


def test_a_track_is_rendered_at_another_frame_rate(face, tmp_path):
    track = MotionTrack.rest(10, 10.0)
    result = render_track(face, track, tmp_path / "out.mp4", Options(fps=30, points=FIVE))
    assert result.frames == 30
    assert len(list(read_frames(result.path))) == 30


def test_a_track_of_another_space_is_refused(face, tmp_path):
    space = MotionSpace("other", ("a",), {"lips": (0,)})
    with pytest.raises(TrackError, match="renders arkit tracks"):
        render_track(face, MotionTrack.rest(3, 25.0, space), tmp_path / "out.mp4")


def test_idle_needs_no_speech(face, tmp_path):
    result = animate(face, None, tmp_path / "out.mp4", Options(idle=0.5, points=FIVE))
    assert result.frames == 13
    assert not probe(result.path).has_audio


def test_explicit_angles_are_followed(voice):
    track = make_motion(voice, Options(yaw=(0, 8, -4), roll=(3, 3)))
    yaw = track.column("headYaw")
    assert yaw[0] == pytest.approx(0, abs=1e-3)
    assert yaw.max() == pytest.approx(8, abs=0.05)
    assert yaw[-1] == pytest.approx(-4, abs=1e-3)
    assert np.allclose(track.column("headRoll"), 3)


def test_expression_scale_spares_closures(demo_speech):
    plain = make_motion(demo_speech, Options(end=3, lips="visemes"))
    strong = make_motion(demo_speech, Options(end=3, lips="visemes", expression_scale=1.5))
    assert np.array_equal(plain.column("mouthPressLeft"), strong.column("mouthPressLeft"))
    assert strong.column("jawOpen").max() > plain.column("jawOpen").max()


def test_still_keeps_the_head_still(voice):
    moved, still = make_motion(voice, Options()), make_motion(voice, Options(still=True))
    assert np.abs(still.column("headYaw")).max() < 0.5 * np.abs(moved.column("headYaw")).max()


@pytest.mark.parametrize("stage", STAGES)
def test_cancelling_at_any_stage_leaves_nothing(face, voice, tmp_path, stage):
    token = CancelToken()

    def stop(progress: Progress) -> None:
        if progress.stage == stage and (stage != "render" or progress.done == 3):
            token.cancel()

    with pytest.raises(Cancelled):
        animate(face, voice, tmp_path / "out.mp4", SHORT, progress=stop, cancel=token)
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_a_callback_leaves_nothing(face, voice, tmp_path):
    def fail(progress: Progress) -> None:
        if progress.done == 2:
            raise RuntimeError("not our fault")

    with pytest.raises(RuntimeError):
        animate(face, voice, tmp_path / "out.mp4", SHORT, progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_an_unnamed_output_goes_to_the_host_under_a_free_name(face, voice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = animate(face, voice, None, SHORT).path, animate(face, voice, None, SHORT).path
    assert first.name == "drawn face ü.mp4"
    assert second.name == "drawn face ü-2.mp4"


def test_mistakes_are_found_before_any_work(face, voice, tmp_path):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        animate(face, voice, out, SHORT)
    assert out.read_bytes() == b"precious"
    with pytest.raises(OptionsError, match="one of the inputs"):
        animate(face, out, out, Options(overwrite=True, points=FIVE))
    with pytest.raises(AudioError, match="--idle"):
        animate(face, None, tmp_path / "new.mp4", SHORT)
    with pytest.raises(OptionsError, match="not both"):
        animate(face, voice, tmp_path / "new.mp4", Options(idle=1))


def test_no_face_names_the_five_point_way(voice, tmp_path):
    pytest.importorskip("mediapipe")
    with pytest.raises(FaceNotFoundError, match="--points"):
        animate(np.full((128, 128, 3), 127, np.uint8), voice, tmp_path / "out.mp4", Options(end=0.6))
    assert list(tmp_path.iterdir()) == []


def test_prepared_portraits_are_kept_and_released(face, voice, tmp_path, monkeypatch):
    from sadtalker_ext import pipeline
    from sadtalker_ext.engines.instant.actor import InstantActor

    prepared = []
    prepare = InstantActor.prepare
    monkeypatch.setattr(InstantActor, "prepare", lambda actor: prepared.append(1) or prepare(actor))
    pipeline.release()
    animate(face, voice, tmp_path / "a.mp4", SHORT)
    animate(face, voice, tmp_path / "b.mp4", SHORT)
    assert prepared == [1]
    pipeline.release()
    animate(face, voice, tmp_path / "c.mp4", SHORT)
    assert prepared == [1, 1]


def test_faces_are_searched_once_a_picture(demo_portrait, voice, tmp_path, monkeypatch):
    from sadtalker_ext import pipeline
    from sadtalker_ext.face import detection

    searched = []
    search = detection.search
    monkeypatch.setattr(
        detection, "search", lambda *given, **named: searched.append(1) or search(*given, **named)
    )
    pipeline.release()
    for name in ("a.mp4", "b.mp4"):
        animate(demo_portrait, voice, tmp_path / name, Options(end=0.2))
    assert searched == [1]
    pipeline.release()
    animate(demo_portrait, voice, tmp_path / "c.mp4", Options(end=0.2))
    assert searched == [1, 1]


def motion_of_speech(speech, options):
    from sadtalker_ext.host import Run
    from sadtalker_ext.pipeline import motion_of
    from sadtalker_ext.request import Request

    run = Run()
    return motion_of(Request(None, speech, options=options), run), run.notices


def test_a_sound_without_speech_is_told_of(demo_speech):
    hum = (0.01 * np.sin(np.arange(32000) * 2 * np.pi * 50 / 16000)).astype(np.float32)
    track, notices = motion_of_speech((hum, 16000), Options(engine="instant", lips="visemes"))
    assert track.column("jawOpen").max() < 0.01
    assert ["No speech was found" in told for told in notices] == [True]
    _, notices = motion_of_speech(demo_speech, Options(engine="instant", lips="visemes", end=1.5))
    assert notices == []
    _, notices = motion_of_speech((hum * 0, 16000), Options(engine="instant"))
    assert ["Nothing can be heard" in told for told in notices] == [True]


@pytest.mark.parametrize("given", ["npz", "csv", "in memory"])
def test_a_face_lives_on_when_the_sound_lasts_longer_than_its_motion(face, voice, tmp_path, given):
    from sadtalker_ext.tracks.files import save_track

    track = make_motion(voice, Options(end=0.8, lips="visemes"))
    if given != "in memory":
        save_track(track, tmp_path / f"m.{given}")
        track = tmp_path / f"m.{given}"
    sound = np.tile(voice[0], (2, 1)), voice[1]
    made = render_track(face, track, f"{tmp_path}/out/", Options(points=FIVE), speech=sound)
    assert made.frames == 100
    assert [told for told in made.notices if "motion ends" in told] == [
        "The motion ends after 0.8 s, the sound after 4 s; from there on the face is quietly present."
    ]
    late = made.track.data[45:]
    assert np.abs(np.diff(made.track.column("headYaw")[30:95])).min() > 0
    assert late[:, ARKIT.indices(["blink"])].max() > 0.9
    assert late[:, ARKIT.indices(["lips"])].max() == 0  # silent, whatever was said last
    pictures = [np.asarray(Image.open(name)) for name in sorted((tmp_path / "out").glob("*.png"))[30:95]]
    assert sum(np.array_equal(one, two) for one, two in pairwise(pictures)) < 5


def test_a_motion_that_outlasts_the_sound_is_cut_with_a_word(face, voice, tmp_path):
    track = MotionTrack.rest(100, 25.0)
    made = render_track(face, track, tmp_path / "o.mp4", Options(points=FIVE), speech=voice)
    assert made.frames == 50
    assert "The motion lasts 4.0 s; it ends with the sound, 2.0 s." in made.notices


@pytest.mark.parametrize("more", [0, 1, 4])
def test_a_motion_as_long_as_the_sound_stays_as_it_is(face, voice, tmp_path, more):
    track = make_motion(voice, Options(lips="visemes"))
    made = render_track(face, track.fitted(50 - more), tmp_path / "o.mp4", Options(points=FIVE), speech=voice)
    assert made.notices == ()
    assert np.array_equal(made.track.data, track.fitted(50 - more).fitted(50).data)


def test_a_motion_of_which_more_is_missing_goes_on_with_a_word(face, voice, tmp_path):
    track = make_motion(voice, Options(lips="visemes")).fitted(45)
    made = render_track(face, track, tmp_path / "o.mp4", Options(points=FIVE), speech=voice)
    assert made.notices == (
        "The motion ends after 1.8 s, the sound after 2 s; from there on the face is quietly present.",
    )
    assert np.ptp(made.track.column("headYaw")[45:]) > 0


def test_lips_rest_where_a_mouth_stays_shut(face, voice, tmp_path):
    talking = animate(face, voice, tmp_path / "talk.mp4", SHORT)
    shut = animate(face, voice, tmp_path / "shut.mp4", Options(end=0.6, points=FIVE, seed=3, mouth="shut"))
    lips = talking.track.space.indices(["lips"])
    assert np.abs(talking.track.data[:, lips]).max() > 0
    assert (shut.track.data[:, lips] == 0).all()
    assert (np.delete(shut.track.data, lips, 1) == np.delete(talking.track.data, lips, 1)).all()
    again = render_track(
        face, talking.track, tmp_path / "again.mp4", Options(end=0.6, points=FIVE, mouth="shut")
    )
    assert (again.track.data[:, lips] == 0).all()
