"""The command as a process: streams nobody reads, narrow limits, homes that cannot be used, faults."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli import main

ROOT = Path(__file__).resolve().parents[2]
POINTS = ["--points", "40,52", "88,52", "64,76", "48,96", "80,96"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "picture.png"
    path.parent.mkdir()
    noise = np.random.default_rng(0).integers(80, 200, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


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


def test_what_nobody_foresaw_is_one_sentence_and_a_log(picture, capsys, monkeypatch, tmp_path):
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


def saving_both(picture, out):
    """A command line that writes a video and its motion."""
    ends = ["-o", out / "talk.mp4", "--save-motion", out / "m.npz", "-q"]
    return ["animate", picture, "--idle", 0.2, *POINTS, *ends]


def test_a_video_that_is_written_is_told_when_its_motion_cannot_be(picture, out, capsys, monkeypatch):
    from sadtalker_ext.tracks import files

    def full(track: object, file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write_npz", full)
    assert run(*saving_both(picture, out)) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "m.npz cannot be written: the disk is full" in sentence
    assert sentence.endswith("Written before that: talk.mp4.")
    assert [path.name for path in out.iterdir()] == ["talk.mp4"]


def test_a_cancel_after_the_video_tells_that_it_is_there(picture, out, capsys, monkeypatch):
    from sadtalker_ext.tracks import files

    def interrupted(track: object, file: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_write_npz", interrupted)
    assert run(*saving_both(picture, out)) == 130
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


@pytest.mark.skipif(sys.platform == "win32", reason="folders are found otherwise there")
def test_no_usable_temporary_folder_is_one_sentence(picture, out, capsys, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"])
    monkeypatch.chdir(out)
    assert run("animate", picture, "--idle", 0.2, "-o", "o.mp4", *POINTS, "-q") in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "TMPDIR" in line
    assert list(out.iterdir()) == []
