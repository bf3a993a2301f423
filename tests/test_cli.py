"""The command line: every command, exit codes, and one sentence for every kind of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli import main

POINTS = ["--points", "40,52", "88,52", "64,76", "48,96", "80,96"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "in" / "picture.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(rng.integers(80, 200, (128, 128, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    import soundfile

    t = np.arange(16000) / 16000
    path = tmp_path / "in" / "my speech ü.wav"
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 200 * t) * (np.sin(2 * np.pi * 4 * t) > 0), 16000)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The sentence with which a mistake is refused: exit code 2, no traceback."""
    assert run(*arguments) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("sadtalker: ")
    assert message.rstrip().endswith(".")
    return message


def test_animate_then_inspect_and_render_again(picture, audio, out, capsys):
    assert (
        run(
            "animate",
            picture,
            audio,
            "-o",
            out / "a b.mp4",
            *POINTS,
            "--seed",
            5,
            "--save-motion",
            out / "m.csv",
        )
        == 0
    )
    assert "instant" in capsys.readouterr().out
    assert run("inspect", out / "a b.mp4") == 0
    text = capsys.readouterr().out
    assert "--seed 5" in text
    assert "--points 40,52 88,52 64,76 48,96 80,96" in text
    assert run("inspect", out / "a b.mp4", "--json") == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 5
    assert run("render", picture, out / "m.csv", "--audio", audio, "-o", out / "again.mp4", *POINTS) == 0
    assert run("motion", picture, audio, "-o", out / "m.npz", *POINTS, "-q") == 0
    assert sorted(p.name for p in out.iterdir()) == ["a b.mp4", "again.mp4", "m.csv", "m.npz"]


def test_engines_tells_what_is_ready(capsys):
    assert run("engines") == 0
    assert "instant: ready" in capsys.readouterr().out
    assert run("engines", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "instant"


def test_preview_face_alone_writes_only_the_preview(picture, out, capsys):
    assert run("animate", picture, "--preview-face", out / "faces.png", *POINTS) == 0
    assert [p.name for p in out.iterdir()] == ["faces.png"]
    assert "1 face found" in capsys.readouterr().out


def test_help_of_every_command(capsys):
    for command in ("animate", "demo", "motion", "render", "inspect", "evaluate", "engines"):
        with pytest.raises(SystemExit) as done:
            run(command, "--help")
        assert done.value.code == 0
    assert run() == 0


BAD_PICTURES = {
    "missing.png": None,
    "text.png": b"this is not a picture at all",
    "empty.png": b"",
    "tiny.png": (1, 1),
    "strip.png": (20000, 10),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_bad_pictures(name, audio, out, tmp_path, capsys):
    path, content = tmp_path / name, BAD_PICTURES[name]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        Image.new("RGB", content).save(path)
    assert name in refused(capsys, "animate", path, audio, "-o", out / "o.mp4")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_truncated_pictures(kind, audio, out, tmp_path, capsys):
    whole, path = tmp_path / f"whole.{kind}", tmp_path / f"cut.{kind}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)).save(whole)
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert path.name in refused(capsys, "animate", path, audio, "-o", out / "o.mp4")


def test_a_folder_is_no_picture_and_no_speech(picture, audio, out, tmp_path, capsys):
    refused(capsys, "animate", tmp_path, audio, "-o", out / "o.mp4", *POINTS)
    refused(capsys, "animate", picture, tmp_path, "-o", out / "o.mp4", *POINTS)


@pytest.mark.parametrize("content", [None, b"", b"this is no sound", b"RIFF\x24\x00\x00\x00WAVEfmt "])
def test_bad_speech(content, picture, out, tmp_path, capsys):
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    assert "bad.wav" in refused(capsys, "animate", picture, path, "-o", out / "o.mp4", *POINTS)
    assert list(out.iterdir()) == []


def test_twenty_milliseconds_are_too_short(picture, out, tmp_path, capsys):
    import soundfile

    soundfile.write(tmp_path / "blip.wav", np.ones(320) * 0.1, 16000)
    refused(capsys, "animate", picture, tmp_path / "blip.wav", "-o", out / "o.mp4", *POINTS)


def test_bad_outputs(picture, audio, out, tmp_path, capsys):
    (out / "there.mp4").write_bytes(b"precious")
    assert "--overwrite" in refused(capsys, "animate", picture, audio, "-o", out / "there.mp4", *POINTS)
    assert (out / "there.mp4").read_bytes() == b"precious"
    assert "mp4" in refused(capsys, "animate", picture, audio, "-o", out / "o.exe", *POINTS)
    refused(capsys, "animate", picture, audio, "-o", tmp_path / "no such folder" / "deep" / "o.mp4", *POINTS)
    assert (
        run("animate", picture, audio, "-o", out / "there.mp4", *POINTS, "--overwrite", "--end", 0.4, "-q")
        == 0
    )


def test_options_out_of_range(picture, audio, out, capsys):
    assert "--fps" in refused(capsys, "animate", picture, audio, "-o", out / "o.mp4", "--fps", 200)
    assert "--end" in refused(
        capsys, "animate", picture, audio, "-o", out / "o.mp4", "--start", 3, "--end", 2
    )
    with pytest.raises(SystemExit) as refusal:
        run("animate", picture, audio, "--lips", "loud")
    assert refusal.value.code == 2


def test_no_face(picture, audio, out, capsys):
    pytest.importorskip("mediapipe")
    assert "--points" in refused(capsys, "animate", picture, audio, "-o", out / "o.mp4")
    assert list(out.iterdir()) == []


def test_bad_tracks(picture, out, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("hello")
    (tmp_path / "t.npz").write_bytes(b"hello")
    for name in ("t.csv", "t.npz", "missing.npz", "t.txt"):
        refused(capsys, "render", picture, tmp_path / name, "-o", out / "o.mp4", *POINTS)


def test_inspect_of_a_foreign_file(picture, capsys):
    assert run("inspect", picture) == 2
    assert run("inspect", "missing.mp4") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_process_leaves_no_file(picture, out, number):
    command = [sys.executable, "-m", "sadtalker_ext", "animate", picture, "-o", out / "o.mp4", *POINTS]
    child = subprocess.Popen([*map(str, command), "--idle", "600"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(out.iterdir()) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(out.iterdir()), "rendering never began"
    os.kill(child.pid, number)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in errors
    assert "Cancelled" in errors
    assert list(out.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_full_disk_leaves_no_file(picture, out):
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "from sadtalker_ext.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "animate", picture, "-o", out / "o.mp4", "--idle", "5", *POINTS]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert list(out.iterdir()) == []
