"""Frames into files: durations, rates, sizes, colours, sound, alpha, formats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import Speech, load_speech
from sadtalker_ext.errors import OutputError
from sadtalker_ext.system.ffmpeg import Ffmpeg, file_url, run
from sadtalker_ext.video import VideoWriter, probe, read_frames

MakeSpeech = Callable[..., Speech]
WriteVideo = Callable[..., Path]
Pictures = Callable[..., Iterator[np.ndarray]]


def shift(heard: np.ndarray, truth: np.ndarray) -> tuple[int, float]:
    """(samples by which `heard` comes late, correlation there), by the best of ±40 ms."""
    size = 2 * max(len(heard), len(truth))
    both = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(truth, size)), size)
    scores = np.roll(both, 640)[:1281] / (np.linalg.norm(heard) * np.linalg.norm(truth))
    return int(scores.argmax()) - 640, float(scores.max())


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("fps", [1, 12, 23.976, 25, 29.97, 60])
def test_video_and_sound_are_equally_long(
    tmp_path: Path, write_video: WriteVideo, make_speech: MakeSpeech, fps: float, suffix: str
) -> None:
    speech = make_speech(2.37)
    count = math.ceil(speech.duration * fps)
    path = write_video(tmp_path / f"a{suffix}", count, fps=fps, frames=count, soundtrack=speech)
    info = probe(path)
    assert info.frames == count
    assert info.fps == pytest.approx(fps, rel=1e-4)
    assert info.audio_duration == pytest.approx(speech.duration, abs=0.002)
    assert abs(info.duration - info.audio_duration) <= 1 / fps
    assert sum(1 for _ in read_frames(path)) == count


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize(
    ("rate", "channels"), [(8000, 1), (16000, 1), (22050, 2), (44100, 2), (48000, 6), (96000, 8), (192000, 2)]
)
def test_soundtrack_is_the_original(
    tmp_path: Path, write_video: WriteVideo, make_speech: MakeSpeech, rate: int, channels: int, suffix: str
) -> None:
    speech = make_speech(1.1, rate, channels)
    path = write_video(tmp_path / f"a{suffix}", 28, soundtrack=speech)
    info = probe(path)
    assert info.audio_channels == channels
    assert info.audio_rate == (48000 if suffix == ".webm" else min(rate, 96000))
    heard = load_speech(path)
    assert heard.duration == pytest.approx(speech.duration, abs=0.003)
    lag, score = shift(heard.samples, speech.samples)
    assert abs(lag) <= 16  # 1 ms
    assert score > 0.95


@pytest.mark.parametrize(
    "name", ["a.wav", "a.mp3", "a.m4a", "a.ogg", "a.opus", "a.flac", "sound 50%d 'ü'.mp4"]
)
def test_part_of_a_file_as_soundtrack(
    tmp_path: Path, write_video: WriteVideo, make_speech: MakeSpeech, name: str
) -> None:
    whole = make_speech(3, 48000, 2)
    assert whole.original is not None
    source = tmp_path / name
    raw = np.ascontiguousarray(whole.original, dtype="<f4").tobytes()
    arguments = ["-f", "f32le", "-ar", "48000", "-ac", "2", "-i", "pipe:0", "-metadata", "title=private"]
    with Ffmpeg([*arguments, file_url(source)], stdin=True) as process:
        process.write(memoryview(raw))
        assert process.finish() == 0, process.messages()
    speech = load_speech(source, start=0.61, end=2.13)
    path = write_video(tmp_path / "out.mp4", 38, soundtrack=speech)
    lag, score = shift(load_speech(path).samples, speech.samples)
    assert abs(lag) <= 16
    assert score > 0.95
    assert probe(path).audio_duration == pytest.approx(1.52, abs=0.002)
    assert "private" not in str(probe(path).metadata)  # the source's own tags stay out


def test_broken_numbers_in_a_float_file_do_not_stop_the_encoder(
    tmp_path: Path, write_video: WriteVideo, make_speech: MakeSpeech
) -> None:
    sound = make_speech(1, 44100).original
    assert sound is not None
    sound = sound.copy()
    sound[3000:3100] = np.nan
    sound[9000] = np.inf
    source = tmp_path / "nan.wav"
    arguments = ["-f", "f32le", "-ar", "44100", "-ac", "1", "-i", "pipe:0", "-c:a", "pcm_f32le"]
    with Ffmpeg([*arguments, file_url(source)], stdin=True) as process:
        process.write(memoryview(sound.astype("<f4").tobytes()))
        assert process.finish() == 0
    speech = load_speech(source)
    heard = load_speech(write_video(tmp_path / "a.mp4", 25, soundtrack=speech))
    lag, score = shift(heard.samples, speech.samples)
    assert abs(lag) <= 16
    assert score > 0.95


def test_idle_video_has_no_sound(tmp_path: Path, write_video: WriteVideo) -> None:
    from sadtalker_ext.audio import silence

    info = probe(write_video(tmp_path / "a.mp4", 25, soundtrack=silence(1)))
    assert info.has_video
    assert not info.has_audio


COLOURS = [(255, 255, 255), (0, 0, 0), (200, 40, 90), (20, 180, 60), (240, 200, 170), (128, 128, 128)]


@pytest.mark.parametrize(("suffix", "tolerance"), [(".mp4", 2), (".webm", 4)])
@pytest.mark.parametrize("size", [(192, 64), (640, 480), (1280, 720)])
def test_colours_survive(tmp_path: Path, size: tuple[int, int], suffix: str, tolerance: int) -> None:
    width, height = size
    drawn = np.repeat(np.array(COLOURS, np.uint8), width // len(COLOURS) + 1, axis=0)[None, :width]
    drawn = np.repeat(drawn, height, axis=0)
    with VideoWriter(tmp_path / f"a{suffix}", width=width, height=height, fps=25) as writer:
        for _ in range(3):
            writer.write(drawn)
    error = np.abs(next(read_frames(writer.path)).astype(int) - drawn).max(axis=(0, 2))
    band = width // len(COLOURS) + 1
    middles = np.arange(len(COLOURS)) * band + band // 2  # borders ring, as in every lossy video
    assert error[middles].max() <= tolerance


def test_colour_tags_are_written(tmp_path: Path, write_video: WriteVideo) -> None:
    _, _, messages = run(["-i", file_url(write_video(tmp_path / "a.mp4", 2))])
    assert "yuv420p(tv, bt709" in messages
    assert "h264" in messages


def test_index_comes_first_so_that_browsers_start_at_once(tmp_path: Path, write_video: WriteVideo) -> None:
    data = write_video(tmp_path / "a.mp4", 5).read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("size", [(63, 48), (64, 47), (33, 21), (1, 1)])
def test_odd_sizes_repeat_the_edge(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    frame = np.full((height, width, 3), (210, 60, 50), np.uint8)
    with VideoWriter(tmp_path / "a.mp4", width=width, height=height, fps=25, crf=1) as writer:
        writer.write(frame)
    seen = next(read_frames(writer.path))
    assert seen.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(seen.astype(int) - (210, 60, 50)).max() <= 4  # no black or green line at the edge
    assert len(writer.notices) == 1
    assert "even" in writer.notices[0]


@pytest.mark.parametrize("suffix", [".webm", ".gif", "/"])
def test_formats_that_keep_odd_sizes(tmp_path: Path, write_video: WriteVideo, suffix: str) -> None:
    path = write_video(f"{tmp_path}/a{suffix}", 3, width=63, height=47)
    assert (probe(path).width, probe(path).height) == (63, 47)
    assert next(read_frames(path)).shape == (47, 63, 3)


def half_transparent(count: int) -> Iterator[np.ndarray]:
    frame = np.full((48, 64, 4), (200, 40, 90, 255), np.uint8)
    frame[:, :32, 3] = 0
    for _ in range(count):
        yield frame


def test_webm_keeps_alpha(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", width=64, height=48, fps=25, alpha=True) as writer:
        for frame in half_transparent(3):
            writer.write(frame)
    # ffmpeg's own decoder leaves alpha out; libvpx reads it.
    arguments = [
        "-c:v",
        "libvpx-vp9",
        "-i",
        file_url(writer.path),
        "-pix_fmt",
        "rgba",
        "-f",
        "rawvideo",
        "pipe:1",
    ]
    with Ffmpeg(["-loglevel", "error", *arguments], stdout=True) as process:
        frame = np.frombuffer(process.read(64 * 48 * 4), np.uint8).reshape(48, 64, 4)
    assert frame[:, :28, 3].max() < 10
    assert frame[:, 36:, 3].min() > 245
    assert np.abs(frame[:, 40:, :3].astype(int) - (200, 40, 90)).max() <= 4


def test_gif_and_pictures_keep_alpha_and_mp4_gets_white(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a.gif", "a/", "a.mp4"):
        with VideoWriter(f"{tmp_path}/{name}", width=64, height=48, fps=25, alpha=True) as writer:
            for frame in half_transparent(3):
                writer.write(frame)
    for path in (tmp_path / "a.gif", tmp_path / "a" / "frame_000002.png"):
        with Image.open(path) as picture:
            seen = np.asarray(picture.convert("RGBA"))
        assert not seen[:, :32, 3].any()
        assert (seen[:, 32:, 3] == 255).all()
        assert np.abs(seen[:, 32:, :3].astype(int) - (200, 40, 90)).max() <= 4
    flat = next(read_frames(tmp_path / "a.mp4"))
    assert flat[:, :28].min() > 250
    assert any("transparency" in notice for notice in writer.notices)


@pytest.mark.parametrize("fps", [1, 25, 29.97, 50])
def test_gif_length_and_loop(tmp_path: Path, write_video: WriteVideo, fps: float) -> None:
    path = write_video(tmp_path / "a.gif", 7, fps=fps)
    info = probe(path)
    assert info.frames == 7
    assert info.duration == pytest.approx(7 / fps, abs=0.011)
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in path.read_bytes()  # loops without end
    assert len(list(read_frames(path))) == 7


def test_gif_of_one_frame_and_gif_that_is_too_fast(tmp_path: Path, write_video: WriteVideo) -> None:
    assert probe(write_video(tmp_path / "one.gif", 1)).frames == 1
    with VideoWriter(tmp_path / "fast.gif", width=16, height=16, fps=60) as writer:
        for _ in range(60):
            writer.write(np.zeros((16, 16, 3), np.uint8))
    assert any("50 frames per second" in notice for notice in writer.notices)
    assert probe(writer.path).duration == pytest.approx(1, abs=0.05)


def test_gif_background_does_not_flicker(tmp_path: Path, write_video: WriteVideo) -> None:
    frames = np.stack(list(read_frames(write_video(tmp_path / "a.gif", 12))))
    still = frames[:, 20:]  # the square moves above
    assert (still == still[0]).all()


def test_pictures_are_exact(tmp_path: Path, write_video: WriteVideo, moving_square: Pictures) -> None:
    path = write_video(f"{tmp_path}/frames/", 12)
    names = sorted(entry.name for entry in path.iterdir())
    assert names == [f"frame_{i:06d}.png" for i in range(1, 13)] + ["metadata.json"]
    for seen, drawn in zip(read_frames(path), moving_square(12, 64, 48), strict=True):
        assert np.array_equal(seen, drawn)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_same_frames_same_bytes(
    tmp_path: Path, write_video: WriteVideo, make_speech: MakeSpeech, suffix: str
) -> None:
    options = {"soundtrack": make_speech(0.8, 44100, 2), "metadata": {"seed": 1}}
    first = write_video(tmp_path / f"a{suffix}", 20, **options).read_bytes()
    second = write_video(tmp_path / f"b{suffix}", 20, **options).read_bytes()
    assert first == second


def test_quality_and_preset_reach_the_encoder(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 128, 128, 3), dtype=np.uint8)
    sizes = []
    for crf in (10, 18, 40):
        with VideoWriter(tmp_path / f"{crf}.mp4", width=128, height=128, fps=25, crf=crf) as writer:
            for frame in noise:
                writer.write(frame)
        sizes.append(writer.path.stat().st_size)
    assert sizes[0] > sizes[1] > 2 * sizes[2]


def test_frames_that_are_views_are_written_right(tmp_path: Path, moving_square: Pictures) -> None:
    frame = next(moving_square(1, 64, 48))
    wide = np.zeros((48, 200, 3), np.uint8)
    wide[:, 100:164] = frame
    with VideoWriter(f"{tmp_path}/a/", width=64, height=48, fps=25) as writer:
        writer.write(wide[:, 100:164])
        writer.write(frame[:, ::-1])
    seen = list(read_frames(writer.path))
    assert np.array_equal(seen[0], frame)
    assert np.array_equal(seen[1], frame[:, ::-1])


def test_wrong_frames_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="uint8"),
        VideoWriter(tmp_path / "a.mp4", width=64, height=48, fps=25) as writer,
    ):
        writer.write(np.zeros((48, 64, 4), np.uint8))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [{"fps": 0.5}, {"fps": 61}, {"fps": float("nan")}, {"width": 0}, {"crf": 52}, {"crf": -1}],
)
def test_options_out_of_range(tmp_path: Path, options: dict[str, float]) -> None:
    given = {"width": 64, "height": 48, "fps": 25} | options
    with pytest.raises(OutputError):
        VideoWriter(tmp_path / "a.mp4", **given)  # type: ignore[arg-type]


def test_many_channels_become_stereo(
    tmp_path: Path, write_video: WriteVideo, make_speech: MakeSpeech
) -> None:
    speech = make_speech(1, 16000)
    assert speech.original is not None
    wide = replace(speech, original=np.repeat(speech.original, 12, axis=1), channels=12)
    info = probe(write_video(tmp_path / "a.mp4", 25, soundtrack=wide))
    assert info.audio_channels == 2
