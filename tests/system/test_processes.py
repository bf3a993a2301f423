"""Programs that we started end with us, at whatever moment a signal comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sadtalker_ext.system import processes

ROOT = Path(__file__).resolve().parents[2]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
# A command that waits for a program of ours in one of the ways that there are.
WAITING = """
import sys, threading, time
sys.argv[:] = ["sadtalker"]
import sadtalker_ext
from sadtalker_ext.system import interrupts, leftovers, processes
interrupts.STUCK_SECONDS = 100  # nothing is ended by impatience
folder = leftovers.new_folder()
(folder / "file").write_bytes(b"x")
p = processes.start([sys.executable, "-c", "import time; time.sleep(300)"])
threading.Timer(0.3, lambda: print(p.pid, flush=True)).start()
{wait}
"""
WAITS = {
    "wait": "p.wait()",
    "timeout": "p.wait(300)",
    "communicate": "p.communicate()",
    "poll": "while p.poll() is None: pass",
    "lock": "p._waitpid_lock.acquire(); time.sleep(300)",
    "thread": "t = threading.Thread(target=p.wait, daemon=True); t.start(); t.join()",
    "several": "[processes.start([sys.executable, '-c', 'input()']) for _ in range(3)]; p.wait()",
}


@pytest.fixture
def watchdog() -> Iterator[list[subprocess.Popen[str]]]:
    """Ends what a failure leaves behind."""
    started: list[subprocess.Popen[str]] = []
    timer = threading.Timer(60, lambda: [process.kill() for process in started])
    timer.start()
    yield started
    timer.cancel()
    for process in started:
        process.kill()
        process.wait()


@POSIX
@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", WAITS)
def test_a_signal_while_a_program_is_waited_for(
    way: str, number: signal.Signals, tmp_path: Path, watchdog: list[subprocess.Popen[str]]
) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", WAITING.format(wait=WAITS[way])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )
    watchdog.append(command)
    assert command.stdout is not None
    program = int(command.stdout.readline())
    assert len(list(tmp_path.iterdir())) == 1
    command.send_signal(number)
    assert command.wait() == 130
    assert list(tmp_path.iterdir()) == []
    assert processes.is_gone(program, processes.started(program) or "0")


@POSIX
def test_a_program_that_was_ended_has_failed_for_whoever_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else half a video would be taken for a whole one."""
    monkeypatch.setattr(processes, "_running", set())
    started = [processes.start([sys.executable, "-c", "import time; time.sleep(300)"]) for _ in range(3)]
    with started[0]._waitpid_lock:  # type: ignore[attr-defined]
        processes.end_all()
    assert [process.wait() for process in started] == [-signal.SIGKILL] * 3
    assert not processes._running


@POSIX
def test_what_cannot_be_killed_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_running", set())
    monkeypatch.setattr(processes, "_kill", lambda process: None)
    monkeypatch.setattr(processes, "LAST_SECONDS", 0.05)
    program = processes.start([sys.executable, "-c", "import time; time.sleep(300)"])
    processes.end_all()
    assert program.poll() is None
    program.kill()
    program.wait()


def test_one_that_has_ended_is_not_killed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be another's by now."""
    monkeypatch.setattr(processes, "_running", set())
    program = processes.start([sys.executable, "-c", ""])
    program.wait()
    monkeypatch.setattr(processes, "_kill", lambda process: pytest.fail("killed"))
    processes.end_all()
    processes.end(program)
