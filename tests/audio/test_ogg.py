"""Ogg streams one behind the other are all heard, whatever their rates and channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import load_speech, soundtrack
from sadtalker_ext.audio.ogg import links
from sadtalker_ext.errors import Cancelled
from sadtalker_ext.host import CancelToken
from sadtalker_ext.video import VideoWriter

MakeSound = Callable[..., Path]
Tone = Callable[..., np.ndarray]
OPUS, VORBIS = ("a.opus", ()), ("a.ogg", ("-c:a", "libvorbis"))
PARTS = {
    "mono, then stereo": (OPUS, ((48000, 1), (48000, 2))),
    "stereo, then mono": (OPUS, ((48000, 2), (48000, 1))),
    "the same again": (OPUS, ((48000, 1), (48000, 1))),
    "vorbis": (VORBIS, ((44100, 1), (44100, 2))),
    "another rate": (VORBIS, ((44100, 1), (22050, 1))),
    "three": (VORBIS, ((22050, 2), (48000, 1), (44100, 1))),
    "mp3": (("a.mp3", ()), ((44100, 1), (22050, 2))),
    "aac": (("a.aac", ()), ((44100, 1), (22050, 2))),
}


def chain(make_sound: MakeSound, tone: Tone, kind: str) -> tuple[Path, int]:
    """A file of pieces of 2 s, the first deep and each other one higher; and how many there are."""
    (name, options), parts = PARTS[kind]
    pieces = []
    for number, (rate, channels) in enumerate(parts):
        sound = np.repeat(tone(2, rate, 300 * (number + 1))[:, None], channels, axis=1)
        pieces.append(make_sound(sound, rate, f"{number}{Path(name).suffix}", *options).read_bytes())
    path = make_sound(tone(0.1, 8000), 8000, "chain.wav").with_suffix(Path(name).suffix)
    path.write_bytes(b"".join(pieces))
    return path, len(pieces)


def pitches(samples: np.ndarray, count: int) -> list[float]:
    """The loudest frequency in the middle of each piece, in Hz."""
    pieces = (samples[round((number + 0.25) * 32000) :][:24000] for number in range(count))
    return [float(np.abs(np.fft.rfft(piece, 48000)).argmax() / 3) for piece in pieces]


@pytest.mark.parametrize("kind", PARTS)
def test_every_piece_is_heard_in_speech_and_soundtrack(
    make_sound: MakeSound, tone: Tone, tmp_path: Path, kind: str
) -> None:
    path, count = chain(make_sound, tone, kind)
    speech = load_speech(path)
    wanted = [300.0 * (number + 1) for number in range(count)]
    assert speech.duration == pytest.approx(2 * count, abs=0.2)
    assert speech.notices == ()
    assert pitches(speech.samples, count) == pytest.approx(wanted, abs=8)
    with VideoWriter(tmp_path / "out.mp4", width=32, height=32, fps=5, soundtrack=speech) as writer:
        for _ in range(10 * count):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    heard = load_speech(tmp_path / "out.mp4")
    assert heard.duration == pytest.approx(speech.duration, abs=0.1)
    assert pitches(heard.samples, count) == pytest.approx(wanted, abs=8)


def test_a_part_of_a_chain(make_sound: MakeSound, tone: Tone) -> None:
    path, _ = chain(make_sound, tone, "mono, then stereo")
    speech = load_speech(path, start=2.5, end=3.5)
    assert speech.duration == pytest.approx(1.0)
    assert pitches(np.tile(speech.samples, 2), 1) == pytest.approx([600], abs=8)


def test_of_an_uneven_recording_only_the_chosen_part_is_written(
    make_sound: MakeSound, tone: Tone, tmp_path: Path
) -> None:
    path, _ = chain(make_sound, tone, "three")
    speech = load_speech(path, start=2.5, end=3.5)
    asked: list[int] = []
    sound = soundtrack(speech, tmp_path, lambda: asked.append(1))
    assert sound is not None
    written = (tmp_path / "soundtrack.au").stat().st_size
    assert written == pytest.approx(sound.rate * sound.channels * 4, abs=100)
    assert f"start_sample=0:end_sample={sound.rate}" in sound.filters
    assert 0 < len(asked) < 6
    with VideoWriter(tmp_path / "out.mp4", width=32, height=32, fps=5, soundtrack=speech) as writer:
        for _ in range(5):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    heard = load_speech(tmp_path / "out.mp4")
    assert heard.duration == pytest.approx(1.0, abs=0.05)
    assert pitches(np.tile(heard.samples[:16000], 2), 1) == pytest.approx([600], abs=8)


def test_writing_of_an_uneven_recording_can_be_cancelled(
    make_sound: MakeSound, tone: Tone, tmp_path: Path
) -> None:
    path, _ = chain(make_sound, tone, "three")
    speech, token = load_speech(path), CancelToken()
    token.cancel()
    target = tmp_path / "out"
    target.mkdir()
    with (
        pytest.raises(Cancelled),
        VideoWriter(
            target / "a.mp4", width=32, height=32, fps=5, soundtrack=speech, check=token.check
        ) as writer,
    ):
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert list(target.iterdir()) == []


def test_links_and_whether_the_last_page_is_whole(make_sound: MakeSound, tone: Tone) -> None:
    path, _ = chain(make_sound, tone, "three")
    whole = path.read_bytes()
    found = links(path)
    assert len(found) == 3
    assert (found[0].start, found[-1].end) == (0, len(whole))
    assert not any(link.cut or link.gap for link in found)
    assert all(whole[link.start : link.start + 4] == b"OggS" for link in found)
    for cut in (1, 300):
        path.write_bytes(whole[:-cut])
        assert [link.cut for link in links(path)] == [False, False, True]
    assert "part 3 is not whole" in load_speech(path).notices[0]
    assert links(make_sound(tone(0.1, 8000), 8000, "a.wav")) == ()


def pages(data: bytes) -> list[int]:
    """Where the pages of an Ogg file begin."""
    return [at for at in range(len(data)) if data.startswith(b"OggS\0", at)]


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def without_a_page(data: bytes) -> bytes:
    first, second = pages(data)[len(pages(data)) // 2 :][:2]
    return data[:first] + data[second:]


def with_a_hole(data: bytes) -> bytes:
    start, size = len(data) // 2, len(data) // 6
    return data[:start] + bytes(size) + data[start + size :]


@pytest.mark.parametrize("name", ["a.opus", "a.ogg"])
@pytest.mark.parametrize("harm", [half, without_a_page, with_a_hole])
@pytest.mark.parametrize("harmed", [(1,), (2,), (1, 3)])
def test_damage_of_any_link_is_told(
    make_sound: MakeSound, name: str, harm: Callable[[bytes], bytes], harmed: tuple[int, ...]
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.15, (96000, 1)).astype(np.float32)
    codec = ("-c:a", "libvorbis") if name == "a.ogg" else ()
    short_pages = (*codec, "-page_duration", "200000")
    parts = [make_sound(noise, 48000, f"{number}{name}", *short_pages).read_bytes() for number in range(3)]
    for number in harmed:
        parts[number - 1] = harm(parts[number - 1])
    path = make_sound(noise, 48000, name)
    path.write_bytes(b"".join(parts))
    assert len(links(path)) == 3
    told = "parts 1 and 3 are" if len(harmed) > 1 else f"part {harmed[0]} is"
    (notice,) = load_speech(path).notices
    assert f"of the 3 parts that were put one behind the other, {told} not whole" in notice


def test_a_stream_that_was_joined_late_is_whole(make_sound: MakeSound) -> None:
    noise = np.random.default_rng(1).normal(0, 0.15, (96000, 1)).astype(np.float32)
    data = make_sound(noise, 48000, "a.opus", "-page_duration", "200000").read_bytes()
    starts = pages(data)
    path = make_sound(noise, 48000, "joined.opus")
    path.write_bytes(data[: starts[2]] + data[starts[5] :])
    assert load_speech(path).notices == ()


def test_no_bytes_can_keep_it_from_ending(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for length in (4, 5, 27, 28, 1000, 100_000):
        path = tmp_path / "a.ogg"
        path.write_bytes(b"OggS" + rng.bytes(length))
        links(path)
    path.write_bytes(b"OggS\0" * 5000)
    links(path)


def test_a_stream_that_does_not_say_where_it_ends_is_whole(make_sound: MakeSound) -> None:
    noise = np.random.default_rng(1).normal(0, 0.15, (96000, 1)).astype(np.float32)
    data = make_sound(noise, 48000, "a.opus", "-page_duration", "200000").read_bytes()
    live = data[: pages(data)[-1]]  # up to a page that is not the last one of its stream
    path = make_sound(noise, 48000, "a.opus")
    path.write_bytes(live + data)
    assert [link.cut for link in links(path)] == [False, False]
    assert load_speech(path).notices == ()
