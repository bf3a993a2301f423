"""Recordings that are not whole are told of, in every format; whole ones never are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import load_speech
from sadtalker_ext.audio.damage import Heading
from sadtalker_ext.errors import AudioError
from sadtalker_ext.system.ffmpeg import file_url, run

MakeSound = Callable[..., Path]
Tone = Callable[..., np.ndarray]
SECONDS = 4.0
FORMATS: dict[str, tuple[str, ...]] = {
    "a.wav": (),
    "adpcm.wav": ("-c:a", "adpcm_ms"),
    "a.mp3": (),
    "vbr.mp3": ("-q:a", "4"),
    "a.m4a": ("-movflags", "faststart"),
    "a.ogg": ("-c:a", "libvorbis"),
    "a.opus": (),
    "a.flac": (),
    "a.webm": (),
    "a.mka": ("-c:a", "aac"),
    "a.aac": (),
    "a.wma": (),
    "a.amr": ("-ar", "8000", "-c:a", "libopencore_amrnb"),
    "a.aiff": (),
    "a.avi": ("-c:a", "mp3"),
    "live.webm": ("-live", "1"),
}
LATE = ("-af", "asetpts=PTS+1.8/TB")  # the container's clock is ahead when the sound begins
NEVER_CUT: dict[str, tuple[str, ...]] = {
    "bare.mp3": ("-write_xing", "0"),
    "bare vbr.mp3": ("-write_xing", "0", "-q:a", "4"),
    "a.ts": ("-c:a", "aac"),
    "a.mp2": (),
    "a.ac3": (),
    "a.caf": (),
    "a.mov": (),
    **{f"late.{ending}": LATE for ending in ("mka", "webm", "nut", "wma", "ogg", "mov", "ts", "flv", "avi")},
    "very late.webm": ("-af", "asetpts=PTS+5/TB"),
}


@pytest.fixture
def voice() -> np.ndarray:
    """Noise in syllables, which no codec can make small."""
    time = np.arange(round(SECONDS * 44100)) / 44100
    noise = np.random.default_rng(1).normal(0, 0.15, len(time))
    return (noise * (0.2 + (np.sin(2 * np.pi * 2 * time) > 0))).astype(np.float32)


def recorded(make_sound: MakeSound, voice: np.ndarray, name: str, options: tuple[str, ...]) -> Path:
    try:
        return make_sound(voice, 44100, name, *options)
    except AssertionError:
        pytest.skip(f"this ffmpeg cannot write {name}")


def changed(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize("name", [*FORMATS, *NEVER_CUT])
def test_whole_recordings_are_not_spoken_of(make_sound: MakeSound, voice: np.ndarray, name: str) -> None:
    speech = load_speech(recorded(make_sound, voice, name, {**FORMATS, **NEVER_CUT}[name]))
    assert speech.duration == pytest.approx(SECONDS, abs=0.1)
    assert speech.notices == ()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_half_a_download(make_sound: MakeSound, voice: np.ndarray, name: str, share: float) -> None:
    path = recorded(make_sound, voice, name, FORMATS[name])
    speech = load_speech(changed(path, lambda data: data[: int(share * len(data))]))
    (told,) = speech.notices
    assert "damaged" in told
    assert f"ends after {speech.duration:.2f} s" in told
    assert speech.duration < SECONDS - 0.2


def test_how_long_it_should_be_is_told_where_the_file_says_so(
    make_sound: MakeSound, voice: np.ndarray
) -> None:
    path = make_sound(voice, 44100, "a.m4a", "-movflags", "faststart")
    (told,) = load_speech(changed(path, lambda data: data[: len(data) // 2])).notices
    assert "should last 4.00 s" in told


@pytest.mark.parametrize(
    "name", [name for name in FORMATS if name not in ("a.wav", "adpcm.wav", "a.aiff", "a.avi", "a.amr")]
)
@pytest.mark.parametrize("filling", [b"\0", b"\xa5\x17\x3c"])
def test_a_hole_in_the_middle(make_sound: MakeSound, voice: np.ndarray, name: str, filling: bytes) -> None:
    def pierced(data: bytes) -> bytes:
        start, size = len(data) // 2, len(data) // 6
        return data[:start] + (filling * size)[:size] + data[start + size :]

    speech = load_speech(changed(recorded(make_sound, voice, name, FORMATS[name]), pierced))
    assert any("damaged" in told for told in speech.notices)


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.ogg", "a.opus", "a.flac", "a.webm", "a.aac"])
def test_a_download_whose_rest_is_zeros(make_sound: MakeSound, voice: np.ndarray, name: str) -> None:
    path = recorded(make_sound, voice, name, FORMATS[name])
    speech = load_speech(changed(path, lambda data: data[: len(data) // 2] + bytes(len(data) // 2)))
    assert f"ends after {speech.duration:.2f} s" in speech.notices[0]


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.ogg", "a.wav", "a.webm"])
def test_what_follows_a_whole_recording_is_no_damage(
    make_sound: MakeSound, voice: np.ndarray, name: str
) -> None:
    tag = b"TAG" + b"A title".ljust(125, b"\0")
    path = recorded(make_sound, voice, name, FORMATS[name])
    assert load_speech(changed(path, lambda data: data + tag)).notices == ()


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFF0])
def test_a_wav_file_that_came_through_a_pipe(make_sound: MakeSound, voice: np.ndarray, size: int) -> None:
    speech = load_speech(changed(make_sound(voice, 44100, "a.wav"), lambda data: with_size(data, size)))
    assert speech.duration == pytest.approx(SECONDS)
    assert speech.notices == ()


def test_wav_headers_that_are_wrong(make_sound: MakeSound, voice: np.ndarray) -> None:
    path = make_sound(voice, 44100, "a.wav")
    more = load_speech(changed(path, lambda data: with_size(data, 8 * 88200)))
    assert "should last 8.00 s, but ends after 4.00 s" in more.notices[0]
    less = load_speech(changed(path, lambda data: with_size(data, 88200)))
    assert "tells of 1.00 s, and the 3.00 s behind them are not heard" in less.notices[0]


def with_size(data: bytes, size: int) -> bytes:
    """A wav file whose data chunk is said to be of `size` bytes."""
    at = data.index(b"data") + 4
    return (
        data[:4]
        + struct.pack("<I", min(size + at - 4, 0xFFFFFFFF))
        + data[8:at]
        + struct.pack("<I", size)
        + data[at + 4 :]
    )


def test_damage_behind_the_chosen_part_does_not_matter(make_sound: MakeSound, voice: np.ndarray) -> None:
    path = make_sound(voice, 44100, "a.m4a", "-movflags", "faststart")
    changed(path, lambda data: data[: int(0.8 * len(data))])
    assert load_speech(path, end=1.0).notices == ()
    assert "damaged" in load_speech(path, end=3.9).notices[0]


def test_a_film_that_goes_on_without_sound_is_whole(make_sound: MakeSound, voice: np.ndarray) -> None:
    film = ("-f", "lavfi", "-i", "color=red:s=32x32:d=9", "-map", "1:v", "-map", "0:a")
    for name in ("a.mkv", "a.mp4"):
        assert load_speech(make_sound(voice, 44100, name, *film)).notices == ()


def test_a_gap_in_the_clock_is_no_damage(make_sound: MakeSound, voice: np.ndarray) -> None:
    path = make_sound(voice, 44100, "a.mka", "-af", "asetpts=PTS+gte(N\\,80)*2/TB", "-c:a", "libopus")
    assert load_speech(path).notices == ()


@pytest.mark.parametrize("name", ["a.mka", "a.wma", "a.ogg", "a.webm"])
def test_damage_of_what_begins_late(make_sound: MakeSound, voice: np.ndarray, name: str) -> None:
    path = recorded(make_sound, voice, name, (*LATE, *FORMATS[name]))
    (told,) = load_speech(changed(path, lambda data: data[: int(0.8 * len(data))])).notices
    assert "damaged" in told


def test_a_copy_of_a_part_with_its_old_clock_is_whole(
    make_sound: MakeSound, voice: np.ndarray, tmp_path: Path
) -> None:
    for name in ("a.webm", "a.mka"):
        path, part = make_sound(voice, 44100, name), tmp_path / f"part {name}"
        cut = ["-ss", "2", "-copyts", "-i", file_url(path), "-c", "copy", file_url(part)]
        assert run(cut)[0] == 0
        assert load_speech(part).notices == ()


@pytest.mark.parametrize("name", ["a.wmv", "a.mkv", "a.mp4", "a.flv", "a.avi"])
@pytest.mark.parametrize("delay", [0.3, 1.2])
def test_a_film_whose_sound_begins_later_than_its_picture(
    make_sound: MakeSound, voice: np.ndarray, name: str, delay: float
) -> None:
    film = ("-f", "lavfi", "-i", "color=red:s=32x32:d=9", "-map", "1:v", "-map", "0:a")
    path = recorded(make_sound, voice, name, (*film, "-af", f"asetpts=PTS+{delay}/TB"))
    assert load_speech(path).notices == ()


def test_streams_of_several_programs_are_counted_once() -> None:
    heading = Heading.of(
        """Input #0, mpegts, from 'file:a.ts':
  Duration: 00:00:02.00, start: 1.400000, bitrate: 178 kb/s
  Program 1
  Stream #0:2[0x102](ger): Audio: aac, 44100 Hz, mono, fltp, 71 kb/s, start 1.900000
  Stream #0:0[0x100]: Video: h264, 32x32
  Program 2
  Stream #0:1[0x101](eng): Audio: aac, 44100 Hz, mono, fltp, 71 kb/s, start 1.400000
  Stream #0:2[0x102](ger): Audio: aac, 44100 Hz, mono, fltp, 71 kb/s, start 1.900000
"""
    )
    assert [track.language for track in heading.tracks] == ["eng", "ger"]
    assert [track.late for track in heading.tracks] == pytest.approx([0.0, 0.5])
    assert heading.expected is None


def test_a_recording_without_its_end_that_cannot_be_read(make_sound: MakeSound, voice: np.ndarray) -> None:
    path = make_sound(voice, 44100, "a.m4a")
    with pytest.raises(AudioError, match="its end is missing"):
        load_speech(changed(path, lambda data: data[: len(data) // 2]))
