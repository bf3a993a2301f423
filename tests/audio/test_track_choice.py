"""Which of several audio tracks is heard, by lips and soundtrack alike, and that it is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext import Options
from sadtalker_ext.api.words import REQUEST
from sadtalker_ext.audio import audio_tracks, load_speech
from sadtalker_ext.errors import AudioError, worded
from sadtalker_ext.host import Run
from sadtalker_ext.page.words import PAGE
from sadtalker_ext.system.ffmpeg import file_url, run
from sadtalker_ext.video import VideoWriter

MakeSound = Callable[..., Path]
Tone = Callable[..., np.ndarray]
MakeFilm = Callable[..., Path]
SILENCE = np.zeros(16000, np.float32)


@pytest.fixture
def make_film(make_sound: MakeSound, tmp_path: Path) -> MakeFilm:
    """make_film(name, *sounds at 16 kHz, options=()): a picture, and an audio track for each sound."""

    def make(name: str, *sounds: np.ndarray, options: tuple[str, ...] = ()) -> Path:
        target = tmp_path / name
        arguments = ["-loglevel", "error", "-f", "lavfi", "-i", "color=red:s=32x32:d=3"]
        for number, sound in enumerate(sounds):
            arguments += ["-i", file_url(make_sound(sound, 16000, f"{number}.wav"))]
        arguments += [
            "-map",
            "0:v",
            *(word for number in range(len(sounds)) for word in ("-map", f"{number + 1}:a")),
        ]
        status, _, messages = run(
            [*arguments, "-c:a", "aac", "-ar", "48000", *options, "-y", file_url(target)]
        )
        assert status == 0, messages
        return target

    return make


def pitch(samples: np.ndarray) -> float:
    """The loudest frequency, in Hz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * 16000 / len(samples))


def default(number: int) -> tuple[str, ...]:
    """ffmpeg's options that make one of two tracks the default."""
    return tuple(word for i in (0, 1) for word in (f"-disposition:a:{i}", "default" if i == number else "0"))


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_the_first_that_is_not_silent(make_film: MakeFilm, tone: Tone, name: str) -> None:
    speech = load_speech(make_film(name, SILENCE, tone(1, 16000)))
    assert speech.track == 2
    assert not speech.is_silent
    (told,) = speech.notices
    assert "2 audio tracks" in told
    assert "track 2 is used" in told
    assert "nothing can be heard in track 1" in told
    assert "--track" in told
    assert "--" not in worded(told, REQUEST)
    assert "“Audio track”" in worded(told, PAGE)


@pytest.mark.parametrize("number", [1, 2])
def test_the_default_one(make_film: MakeFilm, tone: Tone, number: int) -> None:
    sounds = [tone(1, 16000, 300), tone(1, 16000, 700)]
    speech = load_speech(make_film("a.mkv", *sounds, options=default(number - 1)))
    assert speech.track == number
    assert pitch(speech.samples) == pytest.approx((300, 700)[number - 1], abs=3)
    assert f"track {number} is used, the default one" in speech.notices[0]


def test_a_silent_default_gives_way(make_film: MakeFilm, tone: Tone) -> None:
    speech = load_speech(make_film("a.mkv", tone(1, 16000), SILENCE, options=default(1)))
    assert speech.track == 1
    assert "nothing can be heard in track 2" in speech.notices[0]


def test_all_silent(make_film: MakeFilm) -> None:
    speech = load_speech(make_film("a.mkv", SILENCE, SILENCE))
    assert speech.track == 1
    assert ["audio tracks" in told for told in speech.notices] == [True, False]
    assert "Nothing can be heard" in speech.notices[1]


def test_only_the_part_that_is_asked_for_counts(make_film: MakeFilm, tone: Tone) -> None:
    late = np.concatenate([SILENCE, tone(1, 16000)])
    path = make_film("a.mkv", late, tone(2, 16000, 700))
    assert load_speech(path).track == 1
    assert load_speech(path, end=0.8).track == 2
    assert load_speech(path, start=1.1).track == 1


def test_a_track_that_is_too_short_gives_way(make_film: MakeFilm, tone: Tone) -> None:
    speech = load_speech(make_film("a.mkv", tone(0.5, 16000), tone(2, 16000, 700)), start=1.2)
    assert speech.track == 2
    assert "track 2 is used, since track 1 cannot be used" in speech.notices[0]


def test_a_track_that_cannot_be_decoded_is_not_called_silent(make_film: MakeFilm, tone: Tone) -> None:
    path = make_film("a.mkv", SILENCE, tone(0.5, 16000), tone(2, 16000, 700))
    assert "since nothing can be heard in track 1. " in load_speech(path, end=0.4).notices[0]
    told = load_speech(path, start=1.5).notices[0]  # the silence lasts one second, the second half of one
    assert "track 3 is used, since tracks 1 and 2 cannot be used" in told
    told = load_speech(path, start=0.7).notices[0]
    assert "since nothing can be heard in track 1 and track 2 cannot be used" in told
    four = make_film("b.mkv", *[SILENCE] * 3, tone(2, 16000, 700))
    assert "since nothing can be heard in tracks 1, 2 and 3. Choose" in load_speech(four).notices[0]


def test_a_track_of_an_unknown_codec_gives_way(make_film: MakeFilm, tone: Tone) -> None:
    path = make_film("a.mkv", tone(1, 16000), tone(2, 16000, 700), options=("-c:a:0", "flac"))
    path.write_bytes(path.read_bytes().replace(b"A_FLAC", b"A_XXXX"))
    speech = load_speech(path)
    assert speech.track == 2
    assert "since track 1 cannot be used" in speech.notices[0]


def test_streams_of_several_programs_are_counted_once(make_film: MakeFilm, tone: Tone) -> None:
    programs = ("-program", "title=a:st=0:st=1:st=2", "-program", "title=b:st=0:st=1")
    path = make_film("a.ts", tone(2, 16000, 300), tone(2, 16000, 700), options=programs)
    assert len(audio_tracks(path)) == 2
    assert "has 2 audio tracks" in load_speech(path).notices[0]
    assert {round(pitch(load_speech(path, track=number).samples) / 100) for number in (1, 2)} == {3, 7}
    with pytest.raises(AudioError, match="from 1 to 2, not 3"):
        load_speech(path, track=3)


def test_a_track_can_be_chosen(make_film: MakeFilm, tone: Tone) -> None:
    path = make_film("a.mkv", tone(1, 16000, 300), tone(2, 16000, 700))
    for number, hertz in ((1, 300), (2, 700)):
        speech = load_speech(path, track=number)
        assert pitch(speech.samples) == pytest.approx(hertz, abs=3)
        assert speech.duration == pytest.approx(number, abs=0.03)
        assert speech.notices == ()


@pytest.mark.parametrize(("count", "told"), [(1, "only one audio track"), (2, "a number from 1 to 2, not 3")])
def test_no_such_track(make_film: MakeFilm, tone: Tone, count: int, told: str) -> None:
    path = make_film("a.mkv", *[tone(0.5, 16000)] * count)
    with pytest.raises(AudioError, match=told) as caught:
        load_speech(path, track=3)
    assert caught.value.knobs == ("track",)


def test_the_language_is_told_and_pictures_are_no_tracks(
    make_sound: MakeSound, make_film: MakeFilm, tone: Tone
) -> None:
    tagged = make_film("a.mkv", tone(1, 16000), SILENCE, options=("-metadata:s:a:0", "language=fre"))
    assert [track.language for track in audio_tracks(tagged)] == ["fre", ""]
    assert "track 1 (fre) is used" in load_speech(tagged).notices[0]
    assert load_speech(make_sound(tone(1, 16000), 16000, "one.wav")).notices == ()


@pytest.mark.parametrize("number", [None, 1])
def test_the_soundtrack_is_what_the_lips_hear(
    make_film: MakeFilm, tone: Tone, tmp_path: Path, number: int | None
) -> None:
    path = make_film("a.mkv", tone(2, 16000, 300), tone(2, 16000, 700), options=default(1))
    speech = load_speech(path, track=number, start=0.5)
    with VideoWriter(tmp_path / "out.mp4", width=32, height=32, fps=25, soundtrack=speech) as writer:
        for _ in range(38):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    heard = load_speech(tmp_path / "out.mp4")
    assert (
        pitch(heard.samples)
        == pytest.approx(pitch(speech.samples), abs=3)
        == pytest.approx(300 if number else 700, abs=6)
    )


def test_the_pipeline_passes_it_on(make_film: MakeFilm, tone: Tone) -> None:
    from sadtalker_ext.pipeline import motion_of
    from sadtalker_ext.request import Request

    path = make_film("a.mkv", SILENCE, tone(0.6, 16000))
    told = {}
    for number in (None, 1):
        asked = Run()
        motion_of(Request(None, path, options=Options(track=number, engine="instant", lips="visemes")), asked)
        told[number] = " ".join(asked.notices)
    assert "track 2 is used" in told[None]
    assert "Nothing can be heard" in told[1]
