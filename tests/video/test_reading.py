"""Videos into facts, frames and metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.audio import Speech
from sadtalker_ext.errors import Cancelled, VideoError
from sadtalker_ext.system.ffmpeg import file_url, run
from sadtalker_ext.video import exact_rate, probe, read_frames, read_metadata
from sadtalker_ext.video.metadata import parse_ffmetadata, write_ffmetadata

WriteVideo = Callable[..., Path]
Pictures = Callable[..., Iterator[np.ndarray]]
EVERY_KIND = pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a/"])
NASTY = {
    "quotes": 'it\'s "quoted" \\ back\\slash \\',
    "signs": "a=b;c#d,e:f|g%d %03d $HOME `ls` [x] {y}",
    "lines": "one\ntwo\r\nthree\ttab\0nul",
    "world": "größe 声音 🎤 \u202e",
    "header": ";FFMETADATA1\n[STREAM]\ncomment=x",
    "empty": "",
    "numbers": [0, -1.5, 1e-9, True, None],
    "nested": {"a": {"b": [1, {"c": "d"}]}},
}


def make(path: Path, *arguments: str) -> Path:
    status, _, messages = run(["-loglevel", "error", *arguments, "-y", file_url(path)])
    assert status == 0, messages
    return path


@EVERY_KIND
def test_metadata_comes_back_whole(tmp_path: Path, write_video: WriteVideo, name: str) -> None:
    document = {**NASTY, "long": "0123456789abcde\n" * 6000}
    assert len(json.dumps(document)) > 90_000
    path = write_video(f"{tmp_path}/{name}", 2, metadata=document)
    assert read_metadata(path) == document
    assert read_metadata(str(path)) == document
    assert json.loads(probe(path).metadata["comment"]) == document


@EVERY_KIND
def test_values_that_json_does_not_know_are_named(tmp_path: Path, write_video: WriteVideo, name: str) -> None:
    path = write_video(f"{tmp_path}/{name}", 2, metadata={"picture": Path("a.png"), "range": range(2)})
    assert read_metadata(path) == {"picture": "a.png", "range": "range(0, 2)"}


def test_no_metadata(tmp_path: Path, write_video: WriteVideo) -> None:
    red = ("-f", "lavfi", "-i", "color=red:s=32x32:d=1")
    assert read_metadata(make(tmp_path / "plain.mp4", *red)) == {}
    assert read_metadata(make(tmp_path / "said.mp4", *red, "-metadata", "comment=hello")) == {}
    assert read_metadata(make(tmp_path / "list.mp4", *red, "-metadata", "comment=[1, 2]")) == {}
    assert read_metadata(make(tmp_path / "plain.gif", *red)) == {}
    assert read_metadata(write_video(tmp_path / "none.webm", 2)) == {}
    assert read_metadata(tmp_path) == {}
    (tmp_path / "text.mp4").write_text("hello")
    assert read_metadata(tmp_path / "text.mp4") == {}
    (tmp_path / "cut.gif").write_bytes((tmp_path / "plain.gif").read_bytes()[:60])
    assert read_metadata(tmp_path / "cut.gif") == {}
    with pytest.raises(VideoError, match="does not exist"):
        read_metadata(tmp_path / "none.mp4")


def test_the_metadata_format_is_undone_exactly(tmp_path: Path) -> None:
    write_ffmetadata(tmp_path / "m.txt", NASTY)
    text = (tmp_path / "m.txt").read_text("utf-8")
    assert json.loads(parse_ffmetadata(text)["comment"]) == NASTY
    more = text + "Title=a \\= b\n[CHAPTER]\ntitle=chapter one\n"
    tags = parse_ffmetadata(more)
    assert tags["title"] == "a = b"


@pytest.mark.parametrize(
    ("decimal", "exact"),
    [
        (23.976, (24000, 1001)),
        (23.98, (24000, 1001)),
        (29.97, (30000, 1001)),
        (29.97002997, (30000, 1001)),
        (59.94, (60000, 1001)),
        (25, (25, 1)),
        (24.0, (24, 1)),
        (1, (1, 1)),
        (12.5, (25, 2)),
        (60, (60, 1)),
        (33.3, (333, 10)),
    ],
)
def test_exact_rates(decimal: float, exact: tuple[int, int]) -> None:
    assert exact_rate(decimal).as_integer_ratio() == exact


def test_probe_of_sound_alone(tmp_path: Path) -> None:
    tone = ("-f", "lavfi", "-i", "sine=d=1.5:r=22050", "-ac", "2")
    for name in ("a.wav", "a.mp3", "a.flac", "a.ogg"):
        info = probe(make(tmp_path / name, *tone, "-metadata", "title=A = B; c"))
        assert (info.has_video, info.has_audio, info.frames) == (False, True, None)
        assert (info.audio_rate, info.audio_channels) == (22050, 2)
        assert info.duration == info.audio_duration == pytest.approx(1.5, abs=0.03)
        assert name == "a.ogg" or info.metadata["title"] == "A = B; c"


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    cover = make(tmp_path / "cover.jpg", "-f", "lavfi", "-i", "color=red:s=64x64:d=1", "-frames:v", "1")
    song = make(
        tmp_path / "a.mp3", "-f", "lavfi", "-i", "sine=d=1", "-i", file_url(cover), "-map", "0", "-map", "1"
    )
    assert not probe(song).has_video


def test_tags_that_look_like_streams_are_none(tmp_path: Path) -> None:
    told = "Stream #0:0: Video: h264, 4x4, 99 fps\n  Duration: 99:00:00\nrotation of 90 degrees"
    path = make(tmp_path / "a.mka", "-f", "lavfi", "-i", "sine=d=1:r=22050", "-metadata", f"title={told}")
    info = probe(path)
    assert (info.has_video, info.has_audio, info.audio_rate) == (False, True, 22050)
    assert info.duration == pytest.approx(1, abs=0.1)


def test_a_long_tag_is_read_once(tmp_path: Path) -> None:
    title = "Stream #0:1" * 5000  # was read to its end from each of its beginnings
    told = tmp_path / "tags.txt"
    told.write_text(f";FFMETADATA1\ntitle={title}\n".replace("#", "\\#"))
    path = make(
        tmp_path / "a.mka", "-f", "lavfi", "-i", "sine=d=1", "-i", file_url(told), "-map_metadata", "1"
    )  # fmt: skip
    assert title in str(probe(path).metadata)


def test_probe_of_any_channel_count(tmp_path: Path) -> None:
    for count in (1, 2, 3, 6, 8):
        path = make(tmp_path / "a.wav", "-f", "lavfi", "-i", "sine=d=0.2", "-ac", str(count))
        assert probe(path).audio_channels == count


def test_late_sound_counts_from_its_first_sample(tmp_path: Path) -> None:
    tone = make(tmp_path / "a.wav", "-f", "lavfi", "-i", "sine=d=1:r=48000")
    red = ("-f", "lavfi", "-i", "color=red:s=32x32:d=2")
    late = make(tmp_path / "late.mp4", *red, "-itsoffset", "0.7", "-i", file_url(tone))
    assert probe(late).audio_duration == pytest.approx(1, abs=0.03)


def test_a_phone_video_is_upright(tmp_path: Path, write_video: WriteVideo) -> None:
    lying = write_video(tmp_path / "lying.mp4", 3, width=64, height=48)
    status, _, _ = run(
        ["-display_rotation", "90", "-i", file_url(lying), "-c", "copy", file_url(tmp_path / "up.mp4")]
    )
    if status != 0:
        pytest.skip("this ffmpeg cannot mark a video as turned")
    info = probe(tmp_path / "up.mp4")
    assert (info.width, info.height) == (48, 64)
    assert next(read_frames(tmp_path / "up.mp4")).shape == (64, 48, 3)


@EVERY_KIND
def test_reading_at_another_rate_and_size(tmp_path: Path, write_video: WriteVideo, name: str) -> None:
    path = write_video(f"{tmp_path}/{name}", 50, fps=25)
    for fps, count in ((25, 50), (50, 100), (10, 20), (12.5, 25)):
        frames = list(read_frames(path, fps=fps, size=(32, 24)))
        assert abs(len(frames) - count) <= 1
        assert frames[0].shape == (24, 32, 3)
        assert frames[0].dtype == np.uint8


def test_frames_are_in_order_and_in_time(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", 16, width=128, crf=4)
    left = [
        np.flatnonzero(frame[4, :, 0].astype(int) - frame[4, :, 2] > 120)[0] for frame in read_frames(path)
    ]
    assert np.abs(np.array(left) - 3 * np.arange(16)).max() <= 1


def test_check_and_early_end_stop_the_reading(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", 30)

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        next(read_frames(path, check=cancel))
    frames = read_frames(path)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert list(frames) == []


def test_bad_videos(tmp_path: Path, write_video: WriteVideo, make_speech: Callable[..., Speech]) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 99)
    (tmp_path / "empty.mp4").touch()
    sound = make(tmp_path / "sound.wav", "-f", "lavfi", "-i", "sine=d=1")
    whole = write_video(tmp_path / "whole.webm", 50, soundtrack=make_speech(2)).read_bytes()
    (tmp_path / "cut.webm").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.mp4").write_bytes(write_video(tmp_path / "whole.mp4", 50).read_bytes()[:600])
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:2,\n{tmp_path}/whole.mp4\n#EXT-X-ENDLIST\n")
    for name in ("none.mp4", "text.mp4", "empty.mp4", "cut.mp4", "empty", "list.m3u8"):
        for reader in (probe, lambda path: list(read_frames(path))):
            with pytest.raises(VideoError) as caught:
                reader(tmp_path / name)
            assert str(caught.value).endswith(".")
            assert "\n" not in str(caught.value)
    with pytest.raises(VideoError, match="no picture"):
        list(read_frames(sound))
    assert 0 < len(list(read_frames(tmp_path / "cut.webm"))) < 50  # what is there is read


def test_memory_does_not_grow_with_the_video(tmp_path: Path, write_video: WriteVideo) -> None:
    import tracemalloc

    peaks = []
    for count in (20, 200):
        path = tmp_path / f"{count}.mp4"
        tracemalloc.start()
        write_video(path, count, width=256, height=256)
        for frame in read_frames(path):
            assert frame.shape == (256, 256, 3)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000


def test_drawn_equals_read(tmp_path: Path, write_video: WriteVideo, moving_square: Pictures) -> None:
    seen = list(read_frames(write_video(tmp_path / "a.mp4", 10, crf=8)))
    for frame, drawn in zip(seen, moving_square(10, 64, 48), strict=True):
        error = np.abs(frame.astype(int) - drawn)
        assert np.median(error) <= 2
        assert error.mean() < 4


@pytest.mark.parametrize("damage", ["garbage", "cut"])
def test_a_damaged_picture_in_a_folder_is_a_sentence(
    tmp_path: Path, write_video: WriteVideo, damage: str
) -> None:
    write_video(f"{tmp_path}/a/", 3)
    second = tmp_path / "a" / "frame_000002.png"
    second.write_bytes(b"garbage" if damage == "garbage" else second.read_bytes()[:60])
    frames = read_frames(tmp_path / "a")
    next(frames)
    with pytest.raises(VideoError, match=r"A frame in .*a cannot be read \(.*[^.]\)\.$"):
        next(frames)


def test_pictures_of_a_folder_are_plain_png_with_their_alpha(
    tmp_path: Path, write_video: WriteVideo, moving_square: Pictures
) -> None:
    write_video(f"{tmp_path}/a/", 2, alpha=True)
    for number, frame in enumerate(moving_square(2, 64, 48, 4), 1):
        with Image.open(tmp_path / "a" / f"frame_{number:06d}.png") as stored:
            assert (stored.format, stored.mode) == ("PNG", "RGBA")
            np.testing.assert_array_equal(np.asarray(stored), frame)


@pytest.mark.parametrize(
    ("first", "options"),
    [
        ("anullsrc=r=8000:cl=stereo:d=1", ()),
        ("aevalsrc=sin(900*t)|0:s=8000:d=1", ("-disposition:a:0", "0", "-disposition:a:1", "default")),
    ],
)
def test_the_sound_that_is_heard_is_measured(tmp_path: Path, first: str, options: tuple[str, ...]) -> None:
    given = [word for sound in (first, "sine=440:r=44100:d=2") for word in ("-f", "lavfi", "-i", sound)]
    facts = probe(make(tmp_path / "a.mkv", *given, "-map", "0", "-map", "1", "-c:a", "pcm_s16le", *options))
    assert (facts.audio_rate, facts.audio_channels) == (44100, 1)
    assert facts.audio_duration == pytest.approx(2.0)


def test_tracks_of_which_none_can_be_used_are_measured_too(tmp_path: Path) -> None:
    short = ("-f", "lavfi", "-i", "sine=440:d=0.05")
    facts = probe(make(tmp_path / "a.mkv", *short, *short, "-map", "0", "-map", "1", "-c:a", "pcm_s16le"))
    assert facts.has_audio
    assert facts.audio_duration == pytest.approx(0.05)


def test_the_code_of_a_codec_is_no_size(tmp_path: Path) -> None:
    facts = probe(make(tmp_path / "a.wmv", "-f", "lavfi", "-i", "color=red:s=64x48:d=1", "-c:v", "wmv2"))
    assert (facts.width, facts.height) == (64, 48)


@pytest.mark.parametrize("wrong", ["text", [1, 2], 7, None, True])
def test_a_folder_whose_document_is_none_has_an_empty_one(
    tmp_path: Path, write_video: WriteVideo, wrong: object
) -> None:
    folder = write_video(f"{tmp_path}/frames/", 2, metadata={"a": 1})
    (facts,) = Path(folder).glob("*.json")
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "document": wrong}))
    assert read_metadata(folder) == {}
    assert json.loads(probe(folder).metadata["comment"]) == {}
