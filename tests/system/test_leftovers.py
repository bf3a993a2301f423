"""What killed processes left is swept up when nobody owns it; everything else is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from sadtalker_ext.system import leftovers, processes
from sadtalker_ext.system.outputs import write_whole

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "sadtalker_ext" / "assets" / "demo" / "portrait.png"


@pytest.fixture(autouse=True)
def unswept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which like all others was not swept yet."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(leftovers, "_swept", set())
    monkeypatch.setattr(leftovers, "_made", set())
    return folder


@pytest.fixture
def dead() -> str:
    """The mark of a process of this machine that has ended."""
    code = "from sadtalker_ext.system import leftovers; print(leftovers._owner())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def test_names_of_dead_processes_go_with_the_next_file(tmp_path: Path, dead: str) -> None:
    names = [
        f".talk.partial-{dead}-0123456789ab.mp4",
        f".größe 声音.partial-{dead}-0123456789ab.gif",
        f".a.b.partial-{dead}-0123456789ab.mkv",
        f".weights.partial-{dead}-0123456789ab.pth.0123456789abcdef.partial",  # as torch makes beside ours
        f".m.partial-{dead}-0123456789ab",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    frames = tmp_path / f".frames.partial-{dead}-ba9876543210"
    frames.mkdir()
    (frames / "frame_000001.png").write_bytes(b"half")
    write_whole(tmp_path / "new.npz", False, lambda file: file.write(b"whole"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.npz", "temp"]


def test_folders_of_dead_processes_go_with_the_next_one(unswept: Path, dead: str) -> None:
    for name in (
        f"sadtalker-{dead}-abcd_123",
        f"sadtalker-page-{dead}-abcdefgh",
        f"sadtalker-api-{dead}-x1234567",
    ):
        (unswept / name / "deep").mkdir(parents=True)
        (unswept / name / "deep" / "file").write_bytes(b"x")
    with leftovers.folder() as made:
        assert list(unswept.iterdir()) == [made]
    assert list(unswept.iterdir()) == []


def test_what_is_not_certainly_abandoned_stays(tmp_path: Path, dead: str) -> None:
    """The living, other machines, other boots, and whatever people call like that."""
    mine = leftovers._owner()
    machine, _, process, start = mine.split("-")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"x")
    kept = [
        f".talk.partial-{mine}-0123456789ab.mp4",
        f".talk.partial-{'0' * 12}-{dead.partition('-')[2]}-0123456789ab.mp4",  # of another machine
        f".talk.partial-{machine}-{'f' * 8}-{process}-{start}-0123456789ab.mp4",  # of another boot, and new
        f"talk.partial-{dead}-0123456789ab.mp4",
        f".talk.partial-{dead}.mp4",
        f".talk.{dead}-0123456789ab.mp4",
        ".talk.partial-0123456789ab.mp4",
        f"my sadtalker-{dead}-abcd_123",
        f"sadtalker-{dead}",
        "sadtalker-outputs",
    ]
    for name in kept:
        (tmp_path / name).write_bytes(b"x")
    links = [tmp_path / f".{kind}.partial-{dead}-0123456789ab" for kind in ("folder", "file", "nothing")]
    if sys.platform != "win32":
        links[0].symlink_to(precious, target_is_directory=True)
        links[1].symlink_to(precious / "file")
        links[2].symlink_to(tmp_path / "nowhere")
    leftovers.sweep(tmp_path)
    assert all((tmp_path / name).exists() for name in kept)
    assert (precious / "file").read_bytes() == b"x"
    assert sys.platform == "win32" or all(link.is_symlink() for link in links)


def test_a_folder_with_links_is_removed_without_following_them(tmp_path: Path, dead: str) -> None:
    (tmp_path / "precious").write_bytes(b"x")
    folder = tmp_path / f".frames.partial-{dead}-0123456789ab"
    folder.mkdir()
    if sys.platform != "win32":
        (folder / "link").symlink_to(tmp_path, target_is_directory=True)
    leftovers.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "temp"]


def test_what_an_earlier_boot_left_goes_when_it_is_old(tmp_path: Path) -> None:
    machine, boot, process, start = leftovers._owner().split("-")
    other = "f" * 8 if boot != leftovers.UNKNOWN else "e" * 8
    old, new = (tmp_path / f".{age}.partial-{machine}-{other}-{process}-{start}-0123456789ab" for age in "on")
    for path in (old, new):
        path.write_bytes(b"x")
    long_ago = time.time() - leftovers.STALE_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    leftovers.sweep(tmp_path)
    assert not old.exists()
    assert new.exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners")
def test_files_of_another_user_stay(tmp_path: Path, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f".talk.partial-{dead}-0123456789ab.mp4"
    path.write_bytes(b"x")
    monkeypatch.setattr(os, "getuid", lambda: 12345678)
    leftovers.sweep(tmp_path)
    assert path.exists()


@pytest.mark.parametrize("place", ["none", "file"])
def test_sweeping_never_fails(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    leftovers.sweep(tmp_path / place)


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    me, start = os.getpid(), processes.started(os.getpid())
    assert not processes.is_gone(me, start or leftovers.UNKNOWN)
    if start is not None:
        assert processes.is_gone(me, f"{int(start, 16) - 1:x}")  # another process that had the number
    ended = subprocess.Popen([sys.executable, "-c", ""])
    mark = processes.started(ended.pid) or leftovers.UNKNOWN
    ended.wait()
    assert processes.is_gone(ended.pid, mark)


@pytest.mark.skipif(sys.platform != "linux", reason="of systems that do not tell when a process began")
def test_where_the_start_is_unknown_the_number_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROC", "/nowhere")
    assert processes.started(os.getpid()) is None
    assert not processes.is_gone(os.getpid(), leftovers.UNKNOWN)
    assert not processes.is_gone(1, leftovers.UNKNOWN)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert processes.is_gone(ended.pid, leftovers.UNKNOWN)


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
def test_after_a_kill_the_next_run_leaves_nothing_of_either(tmp_path: Path, unswept: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(unswept)}
    line = [sys.executable, "-m", "sadtalker_ext", "animate", str(PICTURE), "-q"]
    child = subprocess.Popen([*line, "--idle", "60", "-o", str(out / "a.gif")], env=environment)
    watchdog = threading.Timer(300, child.kill)
    watchdog.start()
    while child.poll() is None and not any(out.glob(".a.partial-*")):
        time.sleep(0.05)
    other = subprocess.Popen([*line, "--idle", "60", "-o", str(out / "lives.mp4")], env=environment)
    while other.poll() is None and not any(out.glob(".lives.partial-*")):
        time.sleep(0.05)
    child.kill()
    child.wait()
    watchdog.cancel()
    assert any(out.glob(".a.partial-*"))
    done = subprocess.run([*line, "--idle", "0.2", "-o", str(out / "b.mp4")], env=environment, timeout=300)
    assert done.returncode == 0
    (living,) = out.glob(".*")
    assert living.name.startswith(".lives.partial-")
    other.send_signal(signal.SIGTERM)
    assert other.wait(300) == 130
    assert [path.name for path in out.iterdir()] == ["b.mp4"]
    assert [path.name for path in unswept.glob("sadtalker-*")] == []


@pytest.mark.parametrize("unknown", ["boot", "start", "both"])
def test_where_the_system_does_not_tell_all_only_what_is_old_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    """Another machine of that name could be writing: its processes have other numbers."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    start = processes.started(ended.pid) or leftovers.UNKNOWN
    ended.wait()
    if unknown != "boot":
        start = leftovers.UNKNOWN
    boot = leftovers._boot()
    if unknown != "start":
        boot = leftovers.UNKNOWN
        monkeypatch.setattr(leftovers, "_boot", lambda: leftovers.UNKNOWN)
    mark = f"{leftovers._machine()}-{boot}-{ended.pid}-{start}-0123456789ab"
    old, new, running = (tmp_path / f".{name}.partial-{mark}.mp4" for name in ("old", "new", "running"))
    running = running.with_name(running.name.replace(f"-{ended.pid}-", f"-{os.getpid()}-"))
    if unknown == "boot":
        running = running.with_name(
            running.name.replace(f"-{start}-", f"-{processes.started(os.getpid()) or leftovers.UNKNOWN}-")
        )
    for path in (old, new, running):
        path.write_bytes(b"x")
    for path in (old, running):
        os.utime(path, (0, 0))
    leftovers.sweep(tmp_path)
    assert [path.exists() for path in (old, new, running)] == [False, True, True]


def answers_of_macos(machine: str, boot: str) -> dict[str, bytes]:
    told = f'+-o J314 <class IOPlatformExpertDevice>\n  {{\n    "IOPlatformUUID" = "{machine}"\n  }}\n'
    return {"ioreg": told.encode(), "sysctl": f"{boot}\n".encode()}


def mark_on_macos(monkeypatch: pytest.MonkeyPatch, answers: dict[str, bytes]) -> str:
    """Machine and boot, as macOS tells them; a program that is not among the answers fails."""

    def run(command: tuple[str, ...], **settings: object) -> subprocess.CompletedProcess[bytes]:
        name = Path(command[0]).name
        assert "shell" not in settings
        if name not in answers:
            raise subprocess.CalledProcessError(1, command)
        return subprocess.CompletedProcess(command, 0, answers[name], b"")

    monkeypatch.setattr(leftovers.subprocess, "run", run)
    monkeypatch.setattr(leftovers, "_system", lambda: "darwin")
    return f"{leftovers._machine.__wrapped__()}-{leftovers._boot.__wrapped__()}"  # type: ignore[attr-defined]


def test_machines_of_one_name_are_told_apart_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = [mark_on_macos(monkeypatch, answers_of_macos(machine, boot)) for machine in "AB" for boot in "CD"]
    machines, boots = zip(*(mark.split("-") for mark in marks), strict=True)
    assert machines[0] == machines[1] != machines[2] == machines[3]
    assert boots[0] == boots[2] != boots[1] == boots[3]
    assert leftovers.UNKNOWN not in boots


@pytest.mark.parametrize("answers", [{}, {"ioreg": b"nothing", "sysctl": b""}])
def test_a_system_that_says_nothing_has_an_unknown_boot(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, bytes]
) -> None:
    assert mark_on_macos(monkeypatch, answers).endswith(f"-{leftovers.UNKNOWN}")


@pytest.mark.parametrize("error", [OSError(), subprocess.TimeoutExpired("sysctl", 1)])
def test_what_cannot_be_asked_says_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def run(*arguments: object, **settings: object) -> None:
        raise error

    monkeypatch.setattr(leftovers.subprocess, "run", run)
    assert leftovers._told(("sysctl",)) == ""


def test_machines_of_one_name_are_told_apart_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Registry:
        KEY_READ, KEY_WOW64_64KEY, HKEY_LOCAL_MACHINE = 1, 2, 3
        guid = "A"
        OpenKey = staticmethod(lambda *_: nullcontext())

        def QueryValueEx(self, key: object, name: str) -> tuple[str, int]:  # noqa: N802
            assert name == "MachineGuid"
            return self.guid, 1

    registry = Registry()
    monkeypatch.setitem(sys.modules, "winreg", registry)  # type: ignore[arg-type]
    monkeypatch.setattr(leftovers, "_system", lambda: "win32")
    marks = []
    for registry.guid in "AB":
        marks.append(leftovers._machine.__wrapped__())  # type: ignore[attr-defined]
    assert marks[0] != marks[1]
    monkeypatch.setitem(sys.modules, "winreg", None)
    assert leftovers._machine_id() == ""
