"""Ctrl-C and its kin at any moment of a command: 130, one line, and nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sadtalker_ext.system import interrupts

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "sadtalker_ext" / "assets" / "demo" / "portrait.png"
LINE = "sadtalker: Cancelled; nothing was written.\n"
SPARE_CALLS = 20  # before the last, which another run may not reach
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
# Says when the package begins to load, and ends as soon as it is told to at a chosen point.
SCRIPT = """
import atexit, os, signal, sys
STOP_AT, NUMBER = int(sys.argv[1]), int(sys.argv[2])
sys.argv[:] = [sys.argv[3], *sys.argv[4:]]
count = 0

def profile(frame, event, argument):
    global count
    if frame.f_globals.get("__name__") == "sadtalker_ext.system.interrupts" and not interrupts_ready():
        return
    count += 1
    if count == STOP_AT:
        sys.setprofile(None)
        os.kill(os.getpid(), NUMBER)

def interrupts_ready():
    module = sys.modules.get("sadtalker_ext.system.interrupts")
    return bool(module and getattr(module, "_command", False))

def wait_for_begin(frame, event, argument):
    if interrupts_ready():
        sys.setprofile(profile)

sys.setprofile(wait_for_begin)
import sadtalker_ext
atexit.register(lambda: print("calls", count, file=sys.stderr) if STOP_AT == 0 else None)
from sadtalker_ext.cli import main
sys.exit(main())
"""


def run_script(stop_at: int, number: int, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The console script, with a signal at its n-th call of a function after the package began to load."""
    command = [sys.executable, "-c", SCRIPT, str(stop_at), str(int(number)), "/usr/bin/sadtalker", *arguments]
    # What the first run writes down as bytecode, the next ones would not compile, in fewer calls.
    kept = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(cwd)}
    environment = {**os.environ, **kept}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)


def calls_in_all(cwd: Path, *arguments: str) -> int:
    done = run_script(0, signal.SIGTERM, cwd, *arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.rpartition("calls ")[2])


@POSIX
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_signal_at_any_moment_of_a_short_command(tmp_path: Path) -> None:
    total = calls_in_all(tmp_path, "inspect", "--help") - SPARE_CALLS
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for step in range(8):
        moment = 1 + step * (total - 1) // 7
        done = run_script(moment, numbers[step % 3], tmp_path, "inspect", "--help")
        assert (done.returncode, done.stderr) == (130, LINE), f"{moment} of {total}"
    assert list(tmp_path.iterdir()) == []


@POSIX
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_signal_at_any_moment_of_a_video(tmp_path: Path) -> None:
    """In the imports of numpy, torch and mediapipe, while ffmpeg starts, and after the video has its name."""
    line = ["animate", str(PICTURE), "--idle", "0.2", "-q", "--overwrite", "-o", "talk.mp4"]
    total = calls_in_all(tmp_path, *line)
    (tmp_path / "talk.mp4").unlink()
    for share in (0.3, 0.6, 0.9, 0.96):
        done = run_script(int(total * share), signal.SIGINT, tmp_path, *line)
        assert done.returncode == 130, share
        assert done.stderr.startswith("sadtalker: Cancelled; ")
        assert len(done.stderr.splitlines()) == 1
        left = [path.name for path in tmp_path.iterdir()]
        assert left == (["talk.mp4"] if "talk.mp4" in done.stderr else []), done.stderr


@POSIX
@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_python_m_is_the_command_from_its_first_import(tmp_path: Path, number: int) -> None:
    """The signal comes while the first module of the package after ours is looked up."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.abc, os, sys\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'sadtalker_ext.engines':\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "sadtalker_ext", "engines"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", LINE)


LATE = """
import atexit, os, signal, sys, threading
sys.argv[:] = ["sadtalker", "inspect", "--help"]
from sadtalker_ext.cli import main
if "thread" in {kind!r}:
    threading.Thread(target=lambda: (threading.main_thread().join(), os.kill(os.getpid(), 15))).start()
elif "atexit" in {kind!r}:
    atexit.register(os.kill, os.getpid(), 15)
else:
    class Last:
        def __del__(self, kill=os.kill, me=os.getpid()):
            kill(me, 15)
    sys.kept = Last()
sys.exit(main())
"""


@POSIX
@pytest.mark.parametrize(("kind", "code"), [("thread", 130), ("atexit", 130), ("teardown", 0)])
def test_a_signal_while_the_interpreter_ends(kind: str, code: int) -> None:
    """In the last case there is no such moment any more: the interpreter is not taken apart."""
    done = subprocess.run(
        [sys.executable, "-c", LATE.format(kind=kind)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (code, LINE if code else "")
    assert "usage" in done.stdout


STUCK = """
import ctypes, sys
sys.argv[:] = ["sadtalker"]
import sadtalker_ext
from sadtalker_ext.system import interrupts
interrupts.STUCK_SECONDS = 0.1
libc, lock = ctypes.CDLL(None), ctypes.create_string_buffer(256)
libc.pthread_mutex_init(lock, None)
libc.pthread_mutex_lock(lock)
print("stuck", flush=True)
libc.pthread_mutex_lock(lock)  # no signal ends this
"""


@POSIX
def test_a_library_that_does_not_come_back_is_not_waited_for() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    process.terminate()
    _, errors = process.communicate()
    watchdog.cancel()
    assert (process.returncode, errors) == (130, LINE)


@POSIX
def test_held_signals_come_when_the_block_is_over() -> None:
    done = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts.held():  # noqa: PT012 - what is tested is the order
            signal.raise_signal(signal.SIGINT)
            time.sleep(0)
            done.append("whole")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["whole"]


def test_in_another_thread_nothing_is_held_and_nothing_breaks() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with interrupts.held(), interrupts.raising():
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


def test_a_program_that_imports_us_keeps_its_handlers() -> None:
    code = (
        "import signal, sys; before = [signal.getsignal(n) for n in (2, 15)], sys.excepthook;"
        "import sadtalker_ext.cli;"
        "assert before == ([signal.getsignal(n) for n in (2, 15)], sys.excepthook)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@POSIX
def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """That is how nohup lets a run outlive its terminal."""
    code = SCRIPT.replace(
        "import atexit, os, signal, sys", "import atexit, os, signal, sys; signal.signal(1, 1)"
    )
    command = [sys.executable, "-c", code, "50", str(int(signal.SIGHUP)), "sadtalker", "inspect", "--help"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0


FORKED = """
import os, signal, sys, time
sys.argv[:] = ["sadtalker"]
import sadtalker_ext
from sadtalker_ext.system import interrupts, leftovers, processes
interrupts.STUCK_SECONDS = 0.1
folder = leftovers.new_folder()
p = processes.start([sys.executable, "-c", "import time; time.sleep(300)"])
interrupts.ends_with(0)
read, write = os.pipe()
child = os.fork()
if child == 0:
    {ends}
status = os.waitpid(child, 0)[1]
time.sleep(0.5)  # the watchdog would have had its say
assert folder.is_dir() and p.poll() is None
print(os.waitstatus_to_exitcode(status), flush=True)
interrupts.ends_with(3)
"""


@POSIX
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ("os.kill(os.getpid(), 15); time.sleep(60)", 130),
        ("interrupts.held().__enter__(); os.kill(os.getpid(), 15); time.sleep(60)", 130),
        ("interrupts.raising().__enter__(); os.kill(os.getpid(), 15); time.sleep(60)", 130),
        ("sys.exit(0)", 0),
        ("interrupts.ends_with(7); sys.exit(0)", 7),
    ],
)
def test_what_is_forked_ends_alone(tmp_path: Path, ends: str, code: int) -> None:
    """It says nothing, and leaves the files and the programs of the command alone."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED.format(ends=ends)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{code}\n", "")
    assert list(tmp_path.iterdir()) == []


BACKGROUND = """
import os, signal, sys, threading, time
sys.argv[:] = ["sadtalker"]
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in jobs that a script starts with &
import sadtalker_ext
from sadtalker_ext.system import interrupts
inside = threading.Event()
def hold():
    with interrupts.held():
        inside.set()
        while not interrupts._waiting:
            time.sleep(0.01)
with interrupts.raising():
    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    try:
        os.kill(os.getpid(), {number})
        time.sleep(20)
        print("lost")
    except KeyboardInterrupt:
        print("heard")
"""


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_held_signal_is_heard_where_ctrl_c_is_ignored(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BACKGROUND.format(number=int(number))],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "heard\n", done.stderr


SLOW = """
import os, sys, time
sys.argv[:] = ["sadtalker"]
import sadtalker_ext
from sadtalker_ext.system import interrupts
interrupts.STUCK_SECONDS = 0.1
def slow():
    time.sleep(0.6)
    open("whole", "x").close()
{step}
"""


@POSIX
@pytest.mark.parametrize(
    "step",
    [
        "with interrupts.held():\n    os.kill(os.getpid(), 15)\n    slow()",
        "interrupts.undoes(slow)\nos.kill(os.getpid(), 15)",
    ],
)
def test_a_slow_step_and_a_slow_clean_up_are_waited_for(tmp_path: Path, step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SLOW.format(step=step)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (130, LINE)
    assert (tmp_path / "whole").exists()


@POSIX
def test_what_never_comes_to_an_end_is_waited_for_only_so_long(tmp_path: Path) -> None:
    code = SLOW.format(step="interrupts.HELD_SECONDS = 0.2\nwith interrupts.held():\n    {}")
    stuck = "os.kill(os.getpid(), 15)\n    time.sleep(100)"
    done = subprocess.run(
        [sys.executable, "-c", code.format(stuck)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (130, LINE)
