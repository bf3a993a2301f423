"""The number of a process into whether it still runs; programs that we started into their end."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from . import interrupts

# Why a program cannot be started although nothing is wrong with it.
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
UNKNOWN = "0"  # a start that this system does not tell
PROC = "/proc"
START, STATE = 19, 0  # fields of /proc/N/stat after the name
DEAD = ("Z", "X")
LAST_SECONDS, LOOK_SECONDS = 1.0, 0.01  # for programs that were killed to be gone; between two looks
QUERY, STILL_ACTIVE, NO_SUCH_PROCESS = 0x1000, 259, 87  # of Windows

_running: set[subprocess.Popen[bytes]] = set()


def start(command: list[str], **settings: Any) -> subprocess.Popen[bytes]:
    """As `subprocess.Popen`, in a session of its own; it goes with our process where a signal ends that.

    A session of its own: Ctrl-C in the terminal is ours to handle. Raises `OSError`.
    """
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    process = None
    try:
        with interrupts.held():
            interrupts.undoes(end_all)
            process = subprocess.Popen(
                command, start_new_session=os.name == "posix", creationflags=flags, **settings
            )
            _running.add(process)
    except BaseException:  # Ctrl-C came meanwhile: nobody gets to know of it
        if process is not None:
            end(process)
        raise
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End it at once, with what it has started itself, if it still runs; may be called twice."""
    if process.poll() is None:
        _kill(process)
    process.wait()
    _running.discard(process)


def end_all() -> None:
    """End whatever was started here and still runs.

    For the handler of a signal: `Popen.wait` would wait for the lock of one that the signal interrupted.
    """
    killed = [process for process in list(_running) if process.returncode is None]
    for process in killed:
        _kill(process)
    # What they write goes afterwards, so none may go on; one in the middle of a disk's work may take longer.
    end = time.monotonic() + LAST_SECONDS
    while killed := [process for process in killed if not _has_ended(process)]:
        if time.monotonic() > end:
            break
        time.sleep(LOOK_SECONDS)
    _running.clear()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without a wait for anybody; the exit status is left for whoever asks: without one it had succeeded."""
    if process.poll() is not None:
        return True
    if not hasattr(os, "waitid"):
        return False
    try:  # where the lock of `poll` is held
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def started(process: int) -> str | None:
    """A mark of the moment at which a process began, that no later one of its number has; None: unknown."""
    if sys.platform == "win32":
        return _windows_start(process)
    fields = _stat(process)
    return f"{int(fields[START]):x}" if fields is not None and len(fields) > START else None


def is_gone(process: int, start: str) -> bool:
    """Whether the process that began at `start` (of `started`, or `UNKNOWN`) has ended.

    False wherever that is not certain.
    """
    if sys.platform == "win32":
        return _windows_gone(process, start)
    if started(os.getpid()) is not None:  # the system tells
        fields = _stat(process)
        if fields is None:
            return not os.path.exists(f"{PROC}/{process}")
        known = start != UNKNOWN and len(fields) > START
        return fields[STATE] in DEAD or (known and f"{int(fields[START]):x}" != start)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _stat(process: int) -> list[str] | None:
    try:
        with open(f"{PROC}/{process}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()  # the name may hold anything, brackets too
    except OSError:
        return None


def _windows_start(process: int) -> str | None:
    found = _windows_times(process)
    return f"{found[0]:x}" if found else None


def _windows_gone(process: int, start: str) -> bool:
    found = _windows_times(process)
    if found is None:
        return False
    created, runs = found
    return not runs or (start != UNKNOWN and created != 0 and f"{created:x}" != start)


def _windows_times(process: int) -> tuple[int, bool] | None:
    """When it was made (0: no such process), and whether it runs; None where Windows does not say."""
    import ctypes

    kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(QUERY, False, process)
    if not handle:
        error = ctypes.get_last_error()  # type: ignore[attr-defined,unused-ignore]
        return (0, False) if error == NO_SUCH_PROCESS else None
    try:
        code, times = ctypes.c_ulong(), [ctypes.c_ulonglong() for _ in range(4)]
        pointer, whose = ctypes.byref, ctypes.c_void_p(handle)
        if not kernel.GetExitCodeProcess(whose, pointer(code)):
            return None
        if not kernel.GetProcessTimes(whose, *(pointer(moment) for moment in times)):
            return None
        return times[0].value, code.value == STILL_ACTIVE
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))
