"""The command line: every command, exit codes, and one sentence for every kind of bad input."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli import main
from sadtalker_ext.tracks import MotionTrack
from sadtalker_ext.tracks.files import save_track

ROOT = Path(__file__).resolve().parents[2]
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


WRONG_LINES = {
    "--fps abc": "--fps must be a number from 1 to 60",
    "--seed 1.5": "--seed must be a whole number",
    "--points 1 2 3 4 5": "--points must be five points",
    "--points 1,2 3,4": "--points",
    "--face-at 5": "--face-at must be a point",
    "--frobnicate": "unrecognized arguments: --frobnicate",
    "--yaw x": "--yaw must be",
}


@pytest.mark.parametrize("words", WRONG_LINES)
def test_a_wrong_command_line_is_one_sentence(words, capsys):
    with pytest.raises(SystemExit) as refusal:
        run("animate", "picture.png", "speech.wav", *words.split())
    assert refusal.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith(f"sadtalker: {WRONG_LINES[words]}")
    assert line.endswith("--help tells more.")


def test_engines_tells_what_is_ready(capsys):
    assert run("engines") == 0
    assert "instant: ready" in capsys.readouterr().out
    assert run("engines", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["instant"]["ready"]
    assert not rows["sadtalker"]["ready"]
    assert any(need["weights"] == "mapping-229" for need in rows["sadtalker"]["needs"])


def test_weights_are_looked_for_where_models_dir_says(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SADTALKER_MODELS", "before")
    assert run("animate", "x.png", "y.wav", "--engine", "sadtalker", "--models-dir", str(tmp_path)) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert run("models", "--json", "--models-dir", str(tmp_path)) == 0
    folders = {row["folder"] for row in json.loads(capsys.readouterr().out) if row["engine"] == "sadtalker"}
    assert folders == {str(tmp_path)}
    assert os.environ["SADTALKER_MODELS"] == "before"


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


def test_what_is_read_is_never_written_over(picture, audio, out, capsys):
    """Not even when overwriting is allowed."""
    video = out / "own.gif"
    assert run("animate", picture, "--idle", 0.2, "-o", video, *POINTS, "-q") == 0
    before = picture.read_bytes(), video.read_bytes()
    (out / "link.gif").symlink_to(video)
    for line in (
        [picture, "--preview-face", picture, *POINTS],
        [video, audio, "-o", video, *POINTS],
        [video, audio, "-o", out / "link.gif", *POINTS],
        [picture, audio, "-o", video, "--ref-pose", video, *POINTS],
        [picture, audio, "-o", video, "--ref-blink", video, *POINTS],
    ):
        assert "one of the inputs" in refused(capsys, "animate", *line, "--overwrite")
    assert (picture.read_bytes(), video.read_bytes()) == before


def test_a_frame_of_an_older_result_is_not_removed_by_the_next(picture, out, capsys):
    assert run("animate", picture, "--idle", 0.2, "-o", f"{out}/frames/", *POINTS, "-q") == 0
    frame = out / "frames" / "frame_000001.png"
    line = ("animate", frame, "--idle", 0.2, "-o", f"{out}/frames/", *POINTS, "--overwrite")
    assert "one of the inputs" in refused(capsys, *line)
    assert frame.exists()


def test_names_that_cannot_be(picture, audio, out, capsys):
    refused(capsys, "animate", picture, audio, "-o", out / f"{'x' * 300}.mp4", *POINTS)
    refused(capsys, "animate", picture, audio, "-o", picture / "o.mp4", *POINTS)
    refused(capsys, "animate", "x" * 300, audio, "-o", out / "o.mp4")
    refused(capsys, "animate", picture, "x" * 300, "-o", out / "o.mp4", *POINTS)
    refused(capsys, "animate", picture, "--preview-face", out / f"{'x' * 300}.png", *POINTS)
    refused(capsys, "motion", picture, audio, "-o", out / f"{'x' * 300}.npz", *POINTS)
    refused(capsys, "render", picture, f"{'x' * 300}.npz", "-o", out / "o.mp4")
    refused(capsys, "evaluate", "x" * 300)
    assert list(out.iterdir()) == []


def test_a_name_like_a_home_is_a_name(audio, out, capsys, monkeypatch):
    monkeypatch.chdir(out)
    assert "'~nobody.png' does not exist" in refused(capsys, "animate", "~nobody.png", audio, "-o", "o.mp4")
    assert "'~nobody.npz' does not exist" in refused(capsys, "render", "p.png", "~nobody.npz", "-o", "o.mp4")
    refused(capsys, "animate", "p.png", audio, "-o", "~nobody/o.mp4")


def test_reference_videos_are_looked_at_before_listening(picture, audio, out, capsys, monkeypatch):
    from sadtalker_ext import motion

    monkeypatch.setattr(motion, "generate_lips", lambda *_, **__: pytest.fail("listened first"))
    for bad in ("missing.mp4", picture, audio):
        for flag in ("--ref-pose", "--ref-blink"):
            refused(capsys, "animate", picture, audio, "-o", out / "o.mp4", flag, bad, *POINTS)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
def test_a_working_folder_that_is_gone(picture, audio, out, capsys, monkeypatch):
    gone = out / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "current folder" in refused(capsys, "animate", picture, audio, *POINTS)


def test_a_narrow_terminal_does_not_break_the_run(monkeypatch, picture):
    shown, told = (io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stderr", told)
    assert run("animate", "fehlt für immer.png", "--preview-face", "✓.png") == 2
    assert run("animate", picture, "--preview-face", picture.parent / "über.png", *POINTS) == 0
    told.flush()
    shown.flush()
    assert "f?r immer" in told.buffer.getvalue().decode("ascii")
    assert "?ber.png" in shown.buffer.getvalue().decode("ascii")


def test_closed_streams_are_not_given_to_other_files():
    code = (
        "import os, sys\n"
        "for number in (0, 1, 2): os.close(number)\n"
        "sys.stdin = sys.stdout = sys.stderr = None\n"
        "from sadtalker_ext.cli.console import open_streams\n"
        "open_streams()\n"
        "print('nobody hears this', file=sys.stderr)\n"
        "os._exit(0 if os.open(os.devnull, os.O_RDONLY) > 2 else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_printed_is_no_traceback():
    command = [sys.executable, "-m", "sadtalker_ext", "engines"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("sadtalker: ")


def test_options_out_of_range(picture, audio, out, capsys):
    assert "--fps" in refused(capsys, "animate", picture, audio, "-o", out / "o.mp4", "--fps", 200)
    assert "--end" in refused(
        capsys, "animate", picture, audio, "-o", out / "o.mp4", "--start", 3, "--end", 2
    )
    with pytest.raises(SystemExit) as refusal:
        run("animate", picture, audio, "--lips", "loud")
    assert refusal.value.code == 2


def test_silence_is_animated_and_videos_without_sound_are_not(picture, out, tmp_path, capsys):
    import soundfile

    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 16000)
    assert run("animate", picture, tmp_path / "silence.wav", "-o", out / "o.mp4", *POINTS, "-q") == 0
    assert run("animate", picture, "--idle", 0.2, "-o", out / "mute.mp4", *POINTS, "-q") == 0
    sentence = refused(capsys, "animate", picture, out / "mute.mp4", "-o", out / "p.mp4", *POINTS)
    assert "mute.mp4 has no sound" in sentence


@pytest.mark.parametrize("broken", [np.nan, np.inf, 40.0])
def test_broken_and_clipped_numbers_are_animated(broken, picture, out, tmp_path):
    import soundfile

    samples = (0.3 * np.sin(np.arange(8000) / 10)).astype(np.float32)
    samples[1000:2000] = broken
    soundfile.write(tmp_path / "odd.wav", samples, 16000, subtype="FLOAT")
    assert run("animate", picture, tmp_path / "odd.wav", "-o", out / "o.mp4", *POINTS, "-q") == 0
    assert [path.name for path in out.iterdir()] == ["o.mp4"]


def test_no_face(picture, audio, out, capsys):
    pytest.importorskip("mediapipe")
    assert "--points" in refused(capsys, "animate", picture, audio, "-o", out / "o.mp4")
    assert list(out.iterdir()) == []


def test_bad_tracks(picture, out, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("hello")
    (tmp_path / "t.npz").write_bytes(b"hello")
    rest = MotionTrack.rest(5, 25.0)
    save_track(replace(rest, fps=1e-6), tmp_path / "slow.npz")
    save_track(rest.with_columns({"jawOpen": 1e30}), tmp_path / "huge.npz")
    for name in ("t.csv", "t.npz", "missing.npz", "t.txt", "slow.npz", "huge.npz"):
        refused(capsys, "render", picture, tmp_path / name, "-o", out / "o.mp4", *POINTS)


def test_inspect_of_a_foreign_file(picture, capsys):
    assert run("inspect", picture) == 2
    assert run("inspect", "missing.mp4") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_process_leaves_no_file(picture, out, number):
    command = [sys.executable, "-m", "sadtalker_ext", "animate", picture, "-o", out / "o.mp4", *POINTS]
    child = subprocess.Popen([*map(str, command), "--idle", "600"], stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(300, child.kill)
    watchdog.start()
    while child.poll() is None and not any(out.glob(".o.partial-*.mp4")):
        time.sleep(0.05)
    child.send_signal(number)
    _, errors = child.communicate()
    watchdog.cancel()
    assert child.returncode == 130, errors
    assert "Traceback" not in errors
    assert "Cancelled" in errors
    assert list(out.iterdir()) == []


def test_a_quiet_run_prints_nothing_at_all(picture, out):
    """Neither do the native libraries that it loads."""
    command = [
        sys.executable,
        "-m",
        "sadtalker_ext",
        "animate",
        picture,
        "-o",
        out / "o.mp4",
        "--idle",
        "0.2",
    ]
    done = subprocess.run([*map(str, command), *POINTS, "-q"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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


def child(*arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "sadtalker_ext", *map(str, arguments)]
    given = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "env": os.environ,
        **settings,
    }
    given["env"] = {"PYTHONPATH": str(ROOT), **given["env"]}
    return subprocess.run(command, check=False, timeout=300, **given)


def test_what_nobody_foresaw_is_one_sentence_and_a_log(picture, audio, out, capsys, monkeypatch, tmp_path):
    from sadtalker_ext.cli import inspect

    def fails(given: object) -> int:
        raise KeyError("strange")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(inspect, "run", fails)
    assert run("inspect", picture) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sadtalker: ")
    (log,) = (tmp_path / "cache").rglob("*.log")
    assert str(log) in line
    assert "Traceback" in log.read_text()


def test_a_package_that_breaks_while_it_loads_is_one_sentence(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nclass Broken:\n    def find_spec(self, name, *rest):\n"
        "        if name == 'sadtalker_ext.engines.base': raise RuntimeError('broken')\n"
        "sys.meta_path.insert(0, Broken())\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}",
        "XDG_CACHE_HOME": str(tmp_path),
    }
    done = child("engines", env=environment)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "broken" in line
    assert "sadtalker-faults.log" in line


def test_a_video_that_is_written_is_told_when_its_motion_cannot_be(picture, out, capsys, monkeypatch):
    import errno

    from sadtalker_ext.tracks import files

    def full(track: object, file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write_npz", full)
    line = [
        "animate",
        picture,
        "--idle",
        0.2,
        "-o",
        out / "talk.mp4",
        "--save-motion",
        out / "m.npz",
        *POINTS,
    ]
    sentence = refused(capsys, *line, *POINTS, "-q")
    assert "m.npz cannot be written: the disk is full" in sentence
    assert sentence.endswith("Written before that: talk.mp4.")
    assert [path.name for path in out.iterdir()] == ["talk.mp4"]


def test_a_cancel_after_the_video_tells_that_it_is_there(picture, out, capsys, monkeypatch):
    from sadtalker_ext.tracks import files

    def interrupted(track: object, file: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_write_npz", interrupted)
    line = [
        "animate",
        picture,
        "--idle",
        0.2,
        "-o",
        out / "talk.mp4",
        "--save-motion",
        out / "m.npz",
        *POINTS,
    ]
    assert run(*line, "-q") == 130
    assert capsys.readouterr().err == "sadtalker: Cancelled; written before that: talk.mp4.\n"
    assert [path.name for path in out.iterdir()] == ["talk.mp4"]


NOT_READ = [["--help"], ["--version"], [], ["engines"], ["engines", "--json"], ["animate", "--help"]]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as on POSIX")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("line", NOT_READ, ids=" ".join)
def test_nobody_reads_what_is_printed(line, unbuffered):
    """A pipe into a program that has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = child(*line, stdout=writer, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("line", NOT_READ, ids=" ".join)
def test_what_cannot_be_printed_is_one_sentence(line, unbuffered):
    with open("/dev/full", "w") as full:
        done = child(*line, stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert done.returncode == 1
    (told,) = done.stderr.splitlines()
    assert told.startswith("sadtalker: The system refused")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_messages_that_nobody_can_hear_do_not_end_the_work(picture, out):
    with open("/dev/full", "w") as full:
        done = child("animate", picture, "--idle", 0.2, "-o", out / "o.mp4", *POINTS, stderr=full)
        assert done.returncode == 0
        assert child("animate", "missing.png", "missing.wav", stderr=full).returncode == 2
        assert child("--frobnicate", stderr=full).returncode == 2
    assert [path.name for path in out.iterdir()] == ["o.mp4"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-16"])
def test_any_terminal_takes_any_text(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LANG": "C", "LC_ALL": "C"}
    for line in (["animate", "你好 ü.png", "missing.wav"], ["--help"], ["animate", "--help"]):
        done = child(*line, env=environment, text=False)
        assert done.returncode == (2 if "missing.wav" in line else 0)
        assert b"Traceback" not in done.stderr


LIMITS = {
    "-v 300000": "raise the limit (ulimit -v)",
    "-v 900000": "raise the limit (ulimit -v)",
    "-n 12": "raise the limit (ulimit -n)",
    "-f 0": "free s",
    "-f 4": "the disk is full",
}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell with ulimit")
@pytest.mark.parametrize("limit", LIMITS)
def test_a_narrow_limit_is_one_sentence(limit, picture, out):
    command = [sys.executable, "-m", "sadtalker_ext", "animate", picture, "--idle", 1, "-q"]
    line = ["sh", "-c", f'ulimit {limit} && exec "$@"', "sh", *command, "-o", out / "o.mp4", *POINTS]
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    (told,) = done.stderr.splitlines()
    assert LIMITS[limit] in told
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("home", [None, "", "file", "missing", "locked"])
def test_a_home_that_cannot_be_used_is_done_without(home, picture, out, tmp_path):
    """Of a user that the system does not know either, where that can be tried."""
    folder = tmp_path / "home"
    if home == "file":
        folder.write_bytes(b"")
    elif home == "locked":
        (folder / ".cache").mkdir(parents=True)
        folder.chmod(0)
    left_out = ("HOME", "XDG_CACHE_HOME", "SADTALKER_MODELS")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    if home is not None:
        environment["HOME"] = home and str(folder)
    settings: dict[str, object] = {"env": environment, "cwd": out}
    if hasattr(os, "geteuid") and os.geteuid() == 0 and _others_can_read(Path(sys.executable)):
        settings["user"] = settings["group"] = 54321
        for path in (out, *out.parents[:2]):
            path.chmod(0o777)
    done = child("engines", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    if home == "file":  # there a library has something to say of it; it takes long
        done = child("animate", picture, "--idle", 0.2, "-o", "o.gif", *POINTS, "-q", **settings)
        assert (done.returncode, done.stderr) == (0, "")
    done = child("models", "download", "mapping-229", "--models-dir", "/proc/none", **settings)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def _others_can_read(path: Path) -> bool:
    whole = [path, *path.resolve().parents, *Path(np.__file__).resolve().parents, *Path(__file__).parents]
    return all(place.stat().st_mode & 0o005 == 0o005 for place in whole)
