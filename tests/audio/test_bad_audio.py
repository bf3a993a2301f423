"""Sound that cannot be used: each gets one sentence that names the problem."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import load_speech, speech
from sadtalker_ext.errors import AudioError

MakeSound = Callable[..., Path]
Tone = Callable[..., np.ndarray]


def sentence(source: object, **options: float) -> str:
    with pytest.raises(AudioError) as caught:
        load_speech(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    assert "does not exist" in sentence(tmp_path / "none.wav")
    assert "does not exist" in sentence("")
    assert "does not exist" in sentence("http://example.com/a.mp3")
    assert "is a folder" in sentence(tmp_path)
    (tmp_path / "empty.wav").touch()
    assert "empty" in sentence(tmp_path / "empty.wav")
    assert "nul" in sentence("nul\0byte.wav")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not an ordinary file" in sentence(tmp_path / "pipe.wav")


def test_text_renamed_to_wav(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("Dear diary,\n" * 500)
    assert "not an audio or video file" in sentence(tmp_path / "text.wav")


def test_picture_is_not_sound(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "picture.png")
    assert "picture" in sentence(tmp_path / "picture.png")


def test_truncated_wav(make_sound: MakeSound, tone: Tone, tmp_path: Path) -> None:
    whole = make_sound(tone(1, 16000), 16000, "whole.wav").read_bytes()
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole[: len(whole) // 2])
    assert load_speech(cut).duration == pytest.approx(0.5, abs=0.01)  # what is there is used
    cut.write_bytes(whole[:30])
    assert "not an audio or video file" in sentence(cut)


def test_zero_length_and_twenty_milliseconds(make_sound: MakeSound, tone: Tone, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "zero.wav"), "wb") as header_only:
        header_only.setparams((1, 2, 16000, 0, "NONE", ""))
    assert "zero" in sentence(tmp_path / "zero.wav")
    assert "0.020 s" in sentence(make_sound(tone(0.02, 16000), 16000, "short.wav"))
    assert "0.020 s" in sentence((tone(0.02, 16000), 16000))
    assert "zero" in sentence((np.zeros(0, np.float32), 16000))


def test_video_without_sound(tmp_path: Path) -> None:
    from sadtalker_ext.system.ffmpeg import file_url, run

    path = tmp_path / "mute.mp4"
    status, _, messages = run(["-f", "lavfi", "-i", "color=red:s=32x32:d=1", file_url(path)])
    assert status == 0, messages
    assert "no audio stream" in sentence(path)


def test_start_and_end(make_sound: MakeSound, tone: Tone) -> None:
    path = make_sound(tone(1, 16000), 16000, "a.wav")
    assert "start" in sentence(path, start=-1)
    assert "start" in sentence(path, start=float("nan"))
    assert "after its start" in sentence(path, start=0.5, end=0.5)
    assert "ends before 7 s" in sentence(path, start=7)
    assert "0.050 s" in sentence(path, start=0.95)


def test_too_long(make_sound: MakeSound, tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_sound(tone(3, 16000), 16000, "a.wav")
    monkeypatch.setattr(speech, "MAX_SECONDS", 2.0)
    assert "longer than" in sentence(path)
    assert "longer than" in sentence((tone(3, 16000), 16000))
    assert load_speech(path, start=1, end=2.5).duration == pytest.approx(1.5)


def test_too_long_without_a_stated_length(
    make_sound: MakeSound, tone: Tone, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_sound(tone(3, 16000), 16000, "a.aac")
    monkeypatch.setattr(speech, "MAX_SECONDS", 2.0)
    monkeypatch.setattr("sadtalker_ext.audio.decode.AudioFile.stated_seconds", 0.0)
    assert "longer than" in sentence(path)


def test_bad_arrays() -> None:
    assert "NaN" in sentence((np.full(16000, np.nan), 16000))
    assert "sample rate" in sentence((np.zeros(16000), 0))
    assert "sample rate" in sentence((np.zeros(16000), 44100.5))
    assert "shape" in sentence((np.zeros((2, 2, 2)), 16000))
    assert "shape" in sentence((np.array(["a", "b"]), 16000))
    assert "channels" in sentence((np.zeros((16000, 20)), 16000))
    for rate in (None, "16000", np.zeros(16000), float("nan"), 10**400):
        assert "sample rate" in sentence((np.zeros(16000), rate))
    for source in (np.zeros(16000), 5, b"speech.wav", None):
        assert "array and rate" in sentence(source)


def test_an_array_and_its_rate_come_in_either_order() -> None:
    sound = np.sin(np.arange(8000) / 9).astype(np.float32)
    given = [load_speech(pair) for pair in ((sound, 16000), (16000, sound), [16000.0, sound])]
    assert all((speech.samples == given[0].samples).all() for speech in given)


def test_all_numbers_broken_in_a_file(make_sound: MakeSound) -> None:
    path = make_sound(np.full(16000, np.nan, np.float32), 16000, "nan.wav", "-c:a", "pcm_f32le")
    assert "NaN" in sentence(path)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp3", "list.wav"])
@pytest.mark.parametrize("kind", ["hls", "concat", "dash"])
def test_playlists_cannot_open_other_files(
    make_sound: MakeSound, tone: Tone, tmp_path: Path, name: str, kind: str
) -> None:
    secret = make_sound(tone(1, 16000), 16000, "secret.ts")
    lists = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{secret.name}'\n",
        "dash": f'<?xml version="1.0"?><MPD profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        f"<BaseURL>{secret}</BaseURL></MPD>",
    }
    (tmp_path / name).write_text(lists[kind])
    assert "not an audio or video file" in sentence(tmp_path / name)
