"""What is named in the wrong place, or left out, is told as what it is."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sadtalker_ext import cli
from sadtalker_ext.cli import mixups
from sadtalker_ext.errors import AudioError, OptionsError
from sadtalker_ext.tracks import MotionTrack
from sadtalker_ext.tracks.files import load_track, save_track


@pytest.fixture
def names(demo_portrait: Path, demo_speech: Path, tmp_path: Path) -> dict[str, str]:
    save_track(MotionTrack.rest(5, 25.0), tmp_path / "m.npz")
    return {
        "P": str(demo_portrait),
        "V": str(demo_speech),
        "M": str(tmp_path / "m.npz"),
        "N": str(tmp_path / "no.wav"),
    }


def test_a_recording_alone_makes_a_motion(names: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "made.npz"
    flags = ["--engine", "instant", "--lips", "visemes", "--end", "0.4", "-q", "-o", str(target)]
    assert cli.main(["motion", names["V"], *flags]) == 0
    assert len(load_track(target)) == 10


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("animate V", "No picture was given: {V} is a recording"),
        ("animate V P", "name the picture first"),
        ("motion V P", "name the picture first"),
        ("animate P P", "{P} is a picture; in its place give the speech"),
        ("animate P M", "{M} is a motion; draw it with: sadtalker render"),
        ("animate M P", "{M} is a motion"),
        ("motion M", "{M} is a motion"),
        ("animate P", "No speech was given"),
        ("motion P", "No speech was given"),
        ("animate N", "{N} does not exist"),
        ("motion N", "{N} does not exist"),
        ("render P", "No motion was given"),
        ("render M P", "name the picture first"),
        ("render P V", "{V} is a recording; give it with --audio"),
        ("render M", "No picture was given"),
    ],
)
def test_one_sentence_says_what_is_wrong(
    names: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    name, *places = command.split()
    target = tmp_path / ("out.npz" if name == "motion" else "out.mp4")
    given = [name, *(names[place] for place in places), "-q", "-o", str(target)]
    assert cli.main(given) == 2
    said = capsys.readouterr().err.strip()
    assert told.format(**names) in said
    assert said.count("\n") == 0
    assert not target.exists()


PIPE = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
ODD = [
    pytest.param(lambda path: os.mkfifo(path), "is not an ordinary file", marks=PIPE, id="pipe"),
    pytest.param(
        lambda path: path.symlink_to("/dev/zero"), "is not an ordinary file", marks=PIPE, id="device"
    ),
    pytest.param(lambda path: path.mkdir(), "is a folder", id="folder"),
    pytest.param(lambda path: path.touch(), "is an empty file", id="empty"),
]


@pytest.mark.parametrize(("make", "told"), ODD)
@pytest.mark.parametrize(
    "command", ["animate P X", "motion P X", "animate X V", "motion X", "render P X", "render X M"]
)
def test_what_is_no_file_is_told_in_every_place(
    names: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    told: str,
    make: Any,
) -> None:
    make(tmp_path / "x.bin")
    name, *places = command.split()
    given = [(names | {"X": str(tmp_path / "x.bin")})[place] for place in places]
    target = str(tmp_path / ("out.npz" if name == "motion" else "out.mp4"))
    assert cli.main([name, *given, "-q", "-o", target]) == 2
    assert (told if command != "render P X" else "is not a motion track") in capsys.readouterr().err


def test_home_is_understood(names: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    shutil.copy(names["P"], home / "p.png")
    shutil.copy(names["V"], home / "v.wav")
    assert mixups.kind_of("~/p.png") == mixups.PICTURE
    assert mixups.kind_of("~/v.wav") == mixups.RECORDING
    with pytest.raises(AudioError, match="is a picture"):
        mixups.check_inputs("~/p.png", "~/p.png")
    with pytest.raises(OptionsError, match="name the picture first"):
        mixups.check_inputs("~/v.wav", "~/p.png")


HEADS = {
    "dds": b"DDS "
    + struct.pack("<IIIII", 124, 0x1007, 4, 4, 0)
    + bytes(56)
    + struct.pack("<II", 32, 4)
    + b"ABCD"
    + bytes(80),
    "psd": b"8BPS\0\1" + bytes(40),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(30),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n",
    "tiff": b"II*\0" + b"\xff" * 60,
    "jpg": b"\xff\xd8\xff\xc0" + b"\0" * 40,
    "webp": b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(40),
}


@pytest.mark.parametrize("kind", HEADS)
def test_no_head_of_a_picture_gets_an_error_out(tmp_path: Path, kind: str, recwarn: Any) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(HEADS[kind])
    assert mixups.kind_of(str(path)) == ""
    mixups.check_inputs(None, str(path))
    assert not list(recwarn)


@pytest.mark.parametrize(
    "error", [NotImplementedError("x"), struct.error("x"), RuntimeError("x"), SyntaxError("x")]
)
def test_whatever_decoders_raise(
    names: dict[str, str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    assert mixups.kind_of(names["V"]) == mixups.RECORDING
