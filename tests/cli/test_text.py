"""`--text`, `--voice` and `sadtalker voices`, without a real speech program."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sadtalker_ext import cli
from sadtalker_ext.audio import say
from sadtalker_ext.request import text_file

VOICES = (
    say.Voice("espeak-ng:de", "German", "de", "espeak-ng"),
    say.Voice("espeak-ng:en-us", "English (America)", "en-us", "espeak-ng"),
)


@pytest.fixture
def spoken(monkeypatch, demo_speech) -> list[dict]:
    """What was asked to be spoken; the demo's recording is what is heard."""
    asked = []

    def speak(text, target, *, voice=None, models_dir=None, check=None):
        asked.append({"text": text, "voice": voice, "target": Path(target)})
        return Path(shutil.copyfile(demo_speech, target))

    monkeypatch.setattr(say, "speak", speak)
    monkeypatch.setattr(say, "has_program", lambda models_dir: True)
    monkeypatch.setattr(say, "voices", lambda models_dir: VOICES)
    return asked


def test_animate_speaks_the_text(spoken, demo_portrait, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["animate", str(demo_portrait), "--text", "Hello, my friend!", "--voice", "de", "--end", "0.4"]
    assert cli.main(command) == 0, capsys.readouterr().err
    assert [(one["text"], one["voice"]) for one in spoken] == [("Hello, my friend!", "de")]
    assert (tmp_path / "portrait-hello-my-friend.mp4").is_file()
    assert not spoken[0]["target"].parent.exists(), "the spoken file stayed"


def test_motion_speaks_the_text(spoken, demo_portrait, tmp_path):
    target = tmp_path / "track.npz"
    command = ["motion", str(demo_portrait), "--text", "Hello", "--end", "0.4", "-q", "-o", str(target)]
    assert cli.main(command) == 0
    assert target.is_file()
    assert spoken[0]["voice"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["speech.wav", "--text", "hi"], "either a recording or --text"),
        (["speech.wav", "--voice", "de"], "give a text too"),
        (["--text", "hi", "--idle", "2"], "either speech or --idle"),
        (["--text", ""], "no text to speak"),
    ],
)
def test_contradictions(arguments, sentence, demo_portrait, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(say, "programs", lambda models_dir: pytest.fail("a program was looked for"))
    if "--idle" in arguments:
        monkeypatch.setattr(say, "speak", lambda text, target, **settings: target)
    assert cli.main(["animate", str(demo_portrait), *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_refused_before_speaking(spoken, demo_portrait, tmp_path):
    target = tmp_path / "there.mp4"
    target.write_text("mine")
    assert cli.main(["animate", str(demo_portrait), "--text", "hi", "-o", str(target)]) == 2
    assert spoken == []
    assert target.read_text() == "mine"


def test_voices_are_listed(spoken, capsys):
    assert cli.main(["voices"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "espeak-ng:de     German",
        "espeak-ng:en-us  English (America)",
    ]
    assert cli.main(["voices", "EN", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ["espeak-ng:en-us"]
    assert cli.main(["voices", "xx"]) == 2
    assert "No voice speaks 'xx'" in capsys.readouterr().err


def test_without_a_program_voices_says_how_to_get_one(monkeypatch, capsys):
    monkeypatch.setattr(say, "has_program", lambda models_dir: False)
    assert cli.main(["voices"]) == 2
    assert "No program that speaks text was found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("Hello, World!", "hello-world"),
        ("…", "speech"),
        ("你好 世界", "你好-世界"),
        ("a/../b\\c:d", "a-b-c-d"),
        ("x" * 99, "x" * 30),
    ],
)
def test_files_are_named_after_the_first_words(text, stem):
    assert text_file(text) == f"{stem}.wav"
