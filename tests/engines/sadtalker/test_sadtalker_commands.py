"""The engine sadtalker from the command line."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli import main
from sadtalker_ext.tracks import BFM
from sadtalker_ext.tracks.files import load_track
from sadtalker_ext.video import read_metadata

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def given(face: np.ndarray, voice: Any, points: Any, tmp_path: Path) -> list[str]:
    """Picture, speech and the options that every command needs here."""
    Image.fromarray(face).save(tmp_path / "face.png")
    samples, rate = voice
    with wave.open(str(tmp_path / "voice.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    placed = ["--points", *(f"{x},{y}" for x, y in points)]
    return [str(tmp_path / "face.png"), str(tmp_path / "voice.wav"), "--end", "0.3", *placed, "-q"]


def test_animate_saves_its_motion_and_render_draws_it_again(given: list[str], tmp_path: Path) -> None:
    video, track, again = tmp_path / "a.mp4", tmp_path / "track.npz", tmp_path / "b.mp4"
    flags = ["--engine", "sadtalker", "--crop", "crop", "--pose-style", "45"]
    assert main(["animate", *given, *flags, "-o", str(video), "--save-motion", str(track)]) == 0
    assert load_track(track).space == BFM
    assert len(load_track(track)) == 8
    at = given.index("--points")
    drawn = [given[0], str(track), *given[at:], "--crop", "crop", "--size", "256"]
    assert main(["render", *drawn, "-o", str(again)]) == 0
    assert read_metadata(again)["engine"] == "sadtalker"


def test_motion_alone(given: list[str], tmp_path: Path) -> None:
    target = tmp_path / "track.npz"
    assert main(["motion", *given, "--engine", "sadtalker", "-o", str(target)]) == 0
    assert load_track(target).space == BFM


@pytest.mark.parametrize(
    "flag", ["--precision bfloat16", "--batch-size 2", "--turbo", "--compile", "--upscale 2", "--crf 20"]
)
def test_motion_takes_no_flag_that_only_shapes_frames(flag: str, given: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["motion", *given, "--engine", "sadtalker", "-o", str(tmp_path / "t.npz"), *flag.split()])
    assert ended.value.code == 2


@pytest.mark.parametrize("command", ["motion", "animate"])
def test_motion_that_a_csv_cannot_hold_is_refused_before_any_work(
    command: str, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "track.csv")
    flag = ["-o", target] if command == "motion" else ["--save-motion", target, "-o", str(tmp_path / "o.mp4")]
    assert main([command, *given, "--engine", "sadtalker", *flag]) == 2
    assert "choose .npz" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.csv"))
    assert not list(tmp_path.glob("*.mp4"))


def test_the_best_engine_is_taken_by_itself(given: list[str], tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    assert main(["animate", *given, "-o", str(video)]) == 0
    assert read_metadata(video)["engine"] == "sadtalker"


@pytest.mark.parametrize("name", ["gfpgan", "host", "auto"])
def test_an_enhancer_that_is_not_there_is_refused_before_any_work(
    name: str, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / "o.mp4"
    unheard = [given[0], str(tmp_path / "nothing.wav"), *given[2:]]
    assert main(["animate", *unheard, "--enhancer", name, "-o", str(video)]) == 2
    assert f"--enhancer {name}" in capsys.readouterr().err
    assert not video.exists()


def test_a_face_lives_on_after_its_motion(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sadtalker_ext.video import probe, read_frames

    track, video, at = tmp_path / "track.npz", tmp_path / "o.mp4", given.index("--points")
    assert main(["motion", *given, "--engine", "sadtalker", "-o", str(track)]) == 0
    longer = tmp_path / "longer.wav"
    with wave.open(str(longer), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(32000) / 7) * 9000).astype("<i2").tobytes())
    flags = [*given[at:-1], "--size", "256", "--audio", str(longer), "-o", str(video)]
    assert main(["render", given[0], str(track), *flags]) == 0
    assert "The motion ends after 0.3 s, the sound after 2 s" in capsys.readouterr().err
    assert probe(video).frames == 50
    frames = [frame.astype(int) for frame in read_frames(video)]
    assert len({frame.tobytes() for frame in frames[10:]}) > 20
