"""How ffmpeg is found, called and quoted."""

from __future__ import annotations

import builtins
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sadtalker_ext.errors import DependencyError
from sadtalker_ext.system import ffmpeg


@pytest.fixture
def fresh_search() -> Iterator[None]:
    ffmpeg.ffmpeg_executable.cache_clear()
    yield
    ffmpeg.ffmpeg_executable.cache_clear()


@pytest.fixture
def no_imageio(monkeypatch: pytest.MonkeyPatch, fresh_search: None) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: object, **options: object) -> object:
        if name == "imageio_ffmpeg":
            raise ImportError(name)
        return real(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)


def test_system_ffmpeg_is_the_second_choice(no_imageio: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    assert ffmpeg.ffmpeg_executable() == "/somewhere/ffmpeg"


def test_no_ffmpeg_at_all(no_imageio: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install .*imageio-ffmpeg"):
        ffmpeg.ffmpeg_executable()


def test_ffmpeg_that_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_search: None) -> None:
    (tmp_path / "ffmpeg").write_text("not a program")
    monkeypatch.setattr(ffmpeg, "ffmpeg_executable", _fixed(str(tmp_path / "ffmpeg")))
    with pytest.raises(DependencyError, match="cannot be started"):
        ffmpeg.run(["-version"])


def _fixed(path: str):  # type: ignore[no-untyped-def]
    from functools import lru_cache

    return lru_cache(maxsize=1)(lambda: path)


def test_complaint_is_the_line_that_matters() -> None:
    messages = (
        "Input #0, wav, from 'a.wav':\n"
        "[mov,mp4 @ 0x5583] [enc @ 0x1] moov atom not found.\n"
        "[in#0 @ 0x55] Error opening input: Invalid data found when processing input\n"
        "Error opening input file file:a.mp4.\nConversion failed!\n\n"
    )
    assert ffmpeg.complaint(messages) == "Error opening input: Invalid data found when processing input"
    assert ffmpeg.complaint(messages.split("[in#0")[0]) == "moov atom not found"
    assert ffmpeg.complaint("") == ""


def test_long_messages_neither_block_nor_fill_memory(tmp_path: Path) -> None:
    noise = tmp_path / "noise.mp3"
    noise.write_bytes(b"\xff\xfb\x90\x00" + bytes(range(256)) * 2000)
    with ffmpeg.Ffmpeg(
        ["-v", "trace", "-i", ffmpeg.file_url(noise), "-f", "null", "-"], stdout=True
    ) as process:
        process.read(-1)
        process.finish()
        text = process.messages()
    assert 1000 < len(text) <= 2 * ffmpeg.MESSAGE_BYTES + 1


def test_stopping_twice_is_harmless_and_final() -> None:
    process = ffmpeg.Ffmpeg(["-f", "lavfi", "-i", "anullsrc", "-f", "null", "-"])
    process.stop()
    process.stop()
    assert process._process.poll() is not None


def test_reading_and_writing_through_pipes() -> None:
    data = bytes(range(256)) * 4096
    arguments = ["-f", "u8", "-ar", "8000", "-ac", "1", "-i", "pipe:0", "-c", "copy", "-f", "u8", "pipe:1"]
    import threading

    with ffmpeg.Ffmpeg(arguments, stdin=True, stdout=True) as process:
        writer = threading.Thread(target=lambda: (process.write(memoryview(data)), process.finish()))
        writer.start()
        assert process.read(len(data) + 1) == data
        writer.join()
