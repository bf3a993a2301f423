"""Frames into a running ffmpeg; its failures into sentences."""

from __future__ import annotations

import signal

import numpy as np

from ..errors import Foreign, OutputError
from ..host import Check, nothing
from ..system.ffmpeg import Ffmpeg

FULL_DISK = ("no space left", "disk quota", "file too large", "disk full")


class ProcessSink:
    """Feeds raw frames to one ffmpeg. name: of the result, for sentences."""

    def __init__(self, arguments: list[str], name: str) -> None:
        self._name = name
        self._process: Ffmpeg | None = Ffmpeg(arguments, stdin=True)

    def write(self, frame: np.ndarray) -> None:
        """frame: uint8, contiguous. Raises `OutputError` when ffmpeg has stopped taking frames."""
        assert self._process is not None
        try:
            self._process.write(frame.data.cast("B"))
        except OSError as error:
            raise failure(self._process, self._process.finish(), self._name) from error

    def finish(self, check: Check = nothing) -> None:
        """Waits for the end of the encode; raises `OutputError` when it failed."""
        assert self._process is not None
        status = self._process.finish(check)
        if status != 0:
            raise failure(self._process, status, self._name)
        self.abort()

    def abort(self) -> None:
        """Ends ffmpeg at once if it still runs."""
        if self._process is not None:
            self._process.stop()
            self._process = None


def convert(arguments: list[str], name: str, check: Check = nothing) -> None:
    """Runs an ffmpeg that reads and writes files; raises `OutputError` when it fails."""
    with Ffmpeg(arguments) as process:
        status = process.finish(check)
        if status != 0:
            raise failure(process, status, name)


def failure(process: Ffmpeg, status: int, name: str) -> OutputError:
    messages = process.messages().lower()
    too_large = -getattr(signal, "SIGXFSZ", 0)  # the signal of a file size limit
    if any(phrase in messages for phrase in FULL_DISK) or status == too_large < 0:
        return OutputError(
            f"{name} cannot be written: the disk is full; free some space or choose another place."
        )
    if status < 0:
        return OutputError(
            f"{name} cannot be written: ffmpeg was ended by signal {-status}; is memory short?"
        )
    reason = process.complaint() or "it stopped without a word"
    return OutputError("{name} cannot be written: ffmpeg says {reason!r}.", Foreign(reason), name=name)
