"""Whole videos are measured: ours, other tools', and those that cannot be."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from sadtalker_ext.audio import SAMPLE_RATE, load_speech
from sadtalker_ext.errors import VideoError
from sadtalker_ext.evaluation import evaluate
from sadtalker_ext.evaluation import judge as judging
from sadtalker_ext.face import mean_face, topology
from sadtalker_ext.motion.phones import Phone
from sadtalker_ext.tracks import MotionTrack, lips
from sadtalker_ext.tracks.trace import encode_opening
from sadtalker_ext.video import VideoWriter

FPS = 25
FRAMES = 100
WIDTH, HEIGHT = 96, 80
REGION = [30, 20, 70, 60]


def gaps() -> np.ndarray:
    """Lip openings of four seconds: at rest in the first and the last, a closure every 0.4 s between."""
    gap = np.where(np.arange(FRAMES) % 10 < 2, 0.0, 0.05 + 0.02 * np.sin(np.arange(FRAMES) / 2.3))
    gap[:25] = gap[75:] = 0.004
    return gap


@pytest.fixture
def mesh_tracker(monkeypatch):
    """A tracker that sees the mean face with the mouth opened as `gaps` says, whatever the frames show."""
    opened = iter(gaps())

    def track(frames):
        for _ in frames:
            points = mean_face().points.astype(np.float64).copy() * 40
            points -= points.min(axis=0)
            points += [30, 20, 0]
            points[list(topology.LIPS_INNER_LOWER)] = points[list(topology.LIPS_INNER_UPPER)]
            width = np.linalg.norm(points[topology.LEFT_CHEEK] - points[topology.RIGHT_CHEEK])
            points[list(topology.LIPS_INNER_LOWER), 1] += next(opened, 0.004) * width
            yield SimpleNamespace(landmarks=points)

    monkeypatch.setattr(judging, "_tracker", lambda: track)


def speech() -> np.ndarray:
    samples = np.zeros(FRAMES * SAMPLE_RATE // FPS, np.float32)
    samples[SAMPLE_RATE : 3 * SAMPLE_RATE] = 0.3 * np.sin(np.arange(2 * SAMPLE_RATE) * 0.09)
    return samples


def write(path, *, frames=FRAMES, sound=True, metadata=None, format=None):
    still = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    heard = load_speech((speech()[: frames * SAMPLE_RATE // FPS], SAMPLE_RATE)) if sound else None
    with VideoWriter(
        path,
        width=WIDTH,
        height=HEIGHT,
        fps=FPS,
        frames=frames,
        soundtrack=heard,
        metadata=metadata or {},
        format=format,
    ) as writer:
        for number in range(frames):
            frame = still.copy()
            frame[20:60, 30:70] = 10 + number % 200
            writer.write(frame)
    return path


def said() -> list[Phone]:
    """Bilabials at the closures of `gaps` and open vowels between them."""
    starts = [t / 10 for t in range(12, 30, 4)]
    return [Phone("B", t, t + 0.06) for t in starts] + [Phone("AA", t + 0.2, t + 0.3) for t in starts]


def test_everything_is_measured_on_our_own_video(tmp_path, mesh_tracker):
    metadata = {"software": "sadtalker-ext", "region": REGION, "lips": encode_opening(gaps(), FPS)}
    report = evaluate(write(tmp_path / "a.mp4", metadata=metadata), phones=said())
    assert report.frames == FRAMES
    assert report.fps == FPS
    assert report.seen == 1.0
    assert report.maker == "sadtalker-ext"
    assert report.timing is not None
    assert abs(report.timing.length_error) <= 1
    lips_found = report.lips
    assert lips_found.command is not None
    assert lips_found.command.r > 0.99
    assert lips_found.command.lag == 0
    assert lips_found.loudness is not None
    assert lips_found.silence is not None
    assert lips_found.silence.p95 < 0.01
    assert lips_found.closures_per_second == pytest.approx(5 / 2, rel=0.25)
    assert lips_found.phones is not None
    assert lips_found.phones.closed is not None
    assert lips_found.phones.open is not None
    assert lips_found.phones.closed.share == 1.0
    assert lips_found.phones.open.share == 1.0
    assert report.background is not None
    assert report.background.region_known
    assert report.background.changed == 0
    assert report.head is not None
    assert report.head["yaw"].sd == pytest.approx(0, abs=1e-6)
    assert report.notices == ()


def test_lips_two_frames_late_are_found_out(tmp_path, mesh_tracker):
    early = np.roll(gaps(), -2)
    report = evaluate(write(tmp_path / "a.mp4", metadata={"lips": encode_opening(early, FPS)}), phones=False)
    assert report.lips.command is not None
    assert report.lips.command.lag == 2
    assert report.lips.command.r < 0.9
    assert "off" in next(line for line in report.table().splitlines() if "follow the command" in line)


def test_a_track_takes_the_place_of_the_metadata(tmp_path, mesh_tracker):
    """Also at another frame rate, and with the picture's own mouth where the lips rest."""
    twice = np.repeat(gaps(), 2)
    columns = lips.from_articulators(
        gap=np.where(twice == 0.004, 0, twice),
        closure=np.zeros_like(twice),
        **dict.fromkeys(("jaw", "width", "rounding", "labiodental", "teeth", "tongue"), np.zeros_like(twice)),
    )
    track = MotionTrack.rest(2 * FRAMES, 2 * FPS).with_columns(columns)
    wrong = {"lips": encode_opening(np.linspace(0, 0.1, FRAMES), FPS)}
    report = evaluate(write(tmp_path / "a.mp4", metadata=wrong), track=track, phones=False)
    assert report.lips.command is not None
    assert report.lips.command.r > 0.95
    assert report.lips.command.lag == 0


def test_a_silent_video_of_another_tool(tmp_path, mesh_tracker):
    report = evaluate(write(tmp_path / "a.mp4", sound=False))
    assert report.timing is None
    assert report.maker is None
    assert report.beats is None
    found = report.lips
    assert (found.command, found.loudness, found.silence, found.closures_per_second, found.phones) == (
        None,
    ) * 5
    assert any("no sound" in notice for notice in report.notices)
    assert any("motion track" in notice for notice in report.notices)


@pytest.mark.parametrize(("level", "changed"), [(120, 0.0), (121, 1.0)])
def test_lossless_frames_are_compared_exactly_with_the_picture(tmp_path, mesh_tracker, level, changed):
    from PIL import Image

    picture = tmp_path / "picture.png"
    pixels = np.full((HEIGHT, WIDTH, 4), (level, level, level, 255), np.uint8)
    pixels[:10] = (200, 0, 0, 0)  # transparent, so that nobody knows what is shown there
    Image.fromarray(pixels).save(picture)
    folder = write(tmp_path / "frames", sound=False, metadata={"region": REGION}, format="png")
    found = evaluate(folder, picture=picture).background
    assert found is not None
    assert found.exact
    assert found.reference == "picture"
    assert found.changed == changed
    assert found.largest == level - 120


def test_a_seam_around_the_face_is_told(tmp_path, mesh_tracker):
    from PIL import Image

    picture = tmp_path / "picture.png"
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 120, np.uint8)).save(picture)
    folder = write(tmp_path / "frames", frames=30, sound=False, metadata={"region": REGION}, format="png")
    report = evaluate(folder, picture=picture)
    assert report.seam is not None
    assert report.seam.index > 5
    assert report.seam.softening == pytest.approx(1)
    row = next(line for line in report.table().splitlines() if line.startswith("gradient"))
    assert row.endswith("off")
    assert evaluate(folder).seam is None


def test_the_report_is_plain_json_and_a_table(tmp_path, mesh_tracker):
    metadata = {"region": REGION, "lips": encode_opening(gaps(), FPS)}
    report = evaluate(write(tmp_path / "a.mp4", metadata=metadata), phones=said())
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["lips"]["phones"]["closed"]["share"] == 1.0
    assert values["head"]["yaw"]["sd"] == 0.0
    table = report.table()
    assert table.splitlines()[0].startswith("a.mp4: 96x80, 100 frames at 25 a second")
    for part in (
        "wanted",
        "lips follow the command",
        "closed at /p b m/",
        "blinks",
        "changed outside the face",
    ):
        assert part in table
    assert table.isascii()


def test_no_face_is_a_sentence(tmp_path):
    pytest.importorskip("mediapipe")
    with pytest.raises(VideoError, match=r"No face .* grey\.mp4"):
        evaluate(write(tmp_path / "grey.mp4", frames=10))


def test_sound_alone_and_missing_files_are_sentences(tmp_path, demo_speech):
    with pytest.raises(VideoError, match="no video"):
        evaluate(demo_speech)
    with pytest.raises(VideoError):
        evaluate(tmp_path / "missing.mp4")


def test_it_can_be_cancelled(tmp_path, mesh_tracker):
    class Stop(Exception):
        pass

    calls = iter(range(100))

    def check():
        if next(calls) == 20:
            raise Stop

    path = write(tmp_path / "a.mp4")
    with pytest.raises(Stop):
        evaluate(path, check=check)


def test_a_rendered_face_is_tracked_again(tmp_path, demo_portrait, demo_speech):
    """The whole way: portrait and speech to a video, the video to numbers that show lips on command."""
    pytest.importorskip("mediapipe")
    from sadtalker_ext import Options, animate

    path = tmp_path / "talk.mp4"
    animate(demo_portrait, demo_speech, path, Options(end=3.0, lips="visemes", seed=1))
    report = evaluate(path, picture=demo_portrait, phones=False)
    assert report.seen == 1.0
    assert report.frames == 75
    assert report.lips.command is not None
    assert report.lips.command.r > 0.8
    assert abs(report.lips.command.lag) <= 1
    assert report.background is not None
    assert report.background.reference == "picture"
    assert report.background.region_known
    assert report.background.changed == 0


def test_of_two_faces_the_one_that_talks_is_measured(tmp_path, demo_portrait, demo_speech):
    pytest.importorskip("mediapipe")
    from PIL import Image

    from sadtalker_ext import Options, animate

    portrait = Image.open(demo_portrait).convert("RGB").crop((90, 0, 370, 300))
    both = Image.new("RGB", (520, 300), (90, 90, 90))
    both.paste(portrait, (0, 0))
    both.paste(portrait.resize((224, 240)), (290, 30))
    picture, path = tmp_path / "both.png", tmp_path / "talk.mp4"
    both.save(picture)
    animate(picture, demo_speech, path, Options(end=2.0, face=2, lips="visemes", still=True))
    report = evaluate(path, picture=picture, phones=False)
    assert report.lips.command is not None
    assert report.lips.command.r > 0.8


STRANGE = [
    {"face": [1e300, 0, 2e300, 5], "region": [0, 0, 1e300, 5]},
    {"face": [200, 200, 250, 250], "region": [-500, -500, -400, -400]},
    {"face": [-90, -90, -20, -20], "region": [10, 10, 5, 5]},
    {"face": ["a", {}, [], None], "region": "everywhere"},
    {"face": [True, False, True, True], "region": [True] * 4},
    {"lips": {"fps": 1e-300, "opening": encode_opening(np.ones(5), FPS)["opening"]}},
    {"lips": {"fps": [25], "opening": "////"}},
    {"lips": [1], "software": ["\x1b[31m"], "engine": {"a": "\x1b"}, "version": "\x1b]0;x\x07" * 500},
]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("metadata", STRANGE, ids=range(len(STRANGE)))
def test_strange_metadata_is_passed_over(tmp_path, mesh_tracker, metadata):
    path = write(tmp_path / "frames", frames=30, sound=False, metadata=metadata, format="png")
    report = evaluate(path, phones=False)
    assert report.frames == 30
    assert report.seen == 1
    assert report.table().replace("\n", "").isprintable()
    assert len(report.table()) < 5000
