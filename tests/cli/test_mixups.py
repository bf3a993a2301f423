"""What is named in the wrong place, or left out, is told as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sadtalker_ext import cli
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
