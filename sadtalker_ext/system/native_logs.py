"""Native libraries that announce themselves on standard error into silence, real messages let through."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from . import interrupts

LOG_LEVEL = "GLOG_minloglevel"
# Lines that mediapipe's native libraries write although nothing is wrong.
NOISE: tuple[bytes, ...] = (
    b"TensorFlow Lite XNNPACK delegate",
    b"inference_feedback_manager",
    b"landmark_projection_calculator",
    b"All log messages before absl",
)


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Gives the native log library a higher threshold while it loads, and the environment back after.

    Matplotlib, which mediapipe loads and we do not use, says much about a home that cannot be written.
    """
    before, plots = os.environ.get(LOG_LEVEL), logging.getLogger("matplotlib")
    os.environ[LOG_LEVEL] = "2"
    level = plots.level
    plots.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        plots.setLevel(level)
        if before is None:
            os.environ.pop(LOG_LEVEL, None)
        else:
            os.environ[LOG_LEVEL] = before


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back the process's stderr for a moment and passes on all but the announcements in `NOISE`.

    Several threads may be within it, in any order: there is one stderr, which the last to leave gives back.
    """
    entered = False
    try:
        with interrupts.held():
            _silence.enter()
            entered = True
        yield
    finally:
        if entered:
            with interrupts.held():
                _silence.leave()


class _Silence:
    """Standard error while it is held back, and how many want that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._saved = -1  # where it really goes; -1: not held back, as there is none (in a windowed host)
        self._file: IO[bytes] | None = None

    def enter(self) -> None:
        """Raises `OSError` where there is no room for what is held back."""
        with self._lock:
            if self._count == 0:
                self._hold_back()
            self._count += 1

    def _hold_back(self) -> None:
        try:
            sys.stderr.flush()
            saved = os.dup(2)
        except (OSError, AttributeError, ValueError):
            return
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - until the last has left
            os.dup2(self._file.fileno(), 2)
        except OSError:
            os.close(saved)
            self._file = None
            raise
        self._saved = interrupts.error_descriptor = saved

    def leave(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._give_back()

    def _give_back(self) -> None:
        interrupts.error_descriptor = 2
        file, saved, self._file, self._saved = self._file, self._saved, None, -1
        if file is None:
            return
        with suppress(OSError, AttributeError, ValueError):  # a full disk, or a host that has closed it
            sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
        with file, suppress(OSError):
            file.seek(0)
            for line in file.read().splitlines(keepends=True):
                if not any(noise in line for noise in NOISE):
                    os.write(2, line)


_silence = _Silence()
