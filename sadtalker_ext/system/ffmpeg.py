"""Turns argument lists into running ffmpeg processes whose bytes go through pipes; never a shell.

Input files are untrusted: only local files are opened, playlists and other formats that point at
further files are refused, and a path is never mistaken for an option or an address.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from ..errors import DependencyError
from . import processes
from .caches import kept
from .requirements import advice

# Containers that hold their own sound and pictures. Everything that may open *other* files or devices
# (hls, dash, concat, image2, imf, sdp, lavfi, avisynth …) is left out on purpose.
INPUT_FORMATS: tuple[str, ...] = (
    "3dostr", "aa", "aac", "aax", "ac3", "ac4", "act", "adp", "aea", "aiff", "alaw", "amr", "amrnb", "amrwb",
    "ape", "apng", "aptx", "asf", "asf_o", "ast", "au", "av1", "avi", "avr", "bfstm", "brstm", "caf", "dfpwm",
    "dirac", "dsf", "dts", "dtshd", "dv", "eac3", "f4v", "flac", "flv", "gif", "gsm", "gxf", "h261", "h263",
    "h264", "hevc", "iff", "ilbc", "ircam", "ivf", "kux", "live_flv", "lmlm4", "loas", "m4v", "matroska",
    "webm", "mjpeg", "mlp", "mlv", "mmf", "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "mp3", "mpc", "mpc8",
    "mpeg", "mpegts", "mpegvideo", "mulaw", "mv", "mxf", "mxg", "nistsphere", "nsv", "nut", "nuv", "obu",
    "ogg", "oma", "osq", "paf", "pvf", "qcp", "qoa", "rka", "rm", "roq", "rso", "sbc", "shn", "sln", "smjpeg",
    "sox", "spdif", "swf", "tak", "truehd", "tta", "ty", "vc1", "viv", "vivo", "voc", "vqf", "vvc", "w64",
    "wav", "wsd", "wtv", "wv", "xwma", "yuv4mpegpipe",
)  # fmt: skip
PIPE_BYTES = 1 << 20  # bytes asked of the kernel for a pipe that carries frames
OUTPUT_BYTES = 1 << 24  # of what ffmpeg answers, that are kept
MESSAGE_BYTES = 1 << 16  # bytes of ffmpeg's messages that are kept at each end
F_SETPIPE_SZ = 1031  # Linux fcntl; Python names it only from 3.10 and only on Linux
CHECK_SECONDS = 0.1  # between two looks at whether the caller still wants the result
# Lines that ffmpeg adds after the one that says what was wrong.
EMPTY_PHRASES = (
    "conversion failed", "terminating", "task finished", "error opening input file", "press [q]",
    "error opening output file", "last message repeated",
    "error while processing", "could not open encoder", "error while opening encoder",
    "error sending frames", "thread message queue", "received no packets", "nothing was written",
    "error submitting a packet", "error muxing a packet", "error closing file", "frame=", "possible tunes",
    "possible presets",
)  # fmt: skip


@kept(1)
def ffmpeg_executable() -> str:
    """Path of the ffmpeg to use: imageio-ffmpeg's own binary, else one on the PATH.

    Raises `DependencyError` when there is neither.
    """
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if found is None:
        told = "Reading sound and writing video need ffmpeg; {advice}"
        raise DependencyError(told, advice=advice("imageio-ffmpeg"))
    return found


def file_url(path: str | os.PathLike[str]) -> str:
    """A local path as ffmpeg takes it literally: no option, protocol or pattern is read into it."""
    return f"file:{os.fspath(path)}"


def input_arguments(path: str | os.PathLike[str], part: tuple[int, int] | None = None) -> list[str]:
    """`-i` for an untrusted local media file; part: only the bytes from the first to before the second."""
    formats = ["-format_whitelist", ",".join(INPUT_FORMATS)]
    if part is None:
        return ["-protocol_whitelist", "file,pipe", *formats, "-i", file_url(path)]
    within = f"subfile,,start,{part[0]},end,{part[1]},,:{file_url(path)}"
    return ["-protocol_whitelist", "file,pipe,subfile", *formats, "-i", within]


class Ffmpeg:
    """One running ffmpeg; a context manager that never leaves the process behind.

    arguments: all after the program's name. stdin, stdout: whether to open a pipe for them.
    """

    def __init__(self, arguments: list[str], *, stdin: bool = False, stdout: bool = False) -> None:
        # A file never fills up and blocks as a pipe would; it lives as long as the process.
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115
        command = [ffmpeg_executable(), "-hide_banner", "-nostdin", *arguments]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        try:
            self._process = processes.start(
                command,
                stdin=pipe if stdin else null,
                stdout=pipe if stdout else null,
                stderr=self._messages,
            )
        except OSError as error:
            self._messages.close()
            ffmpeg_executable.cache_clear()
            if error.errno in processes.SHORTAGES:  # there is nothing wrong with ffmpeg
                raise
            told = "ffmpeg cannot be started ({error}); {advice}"
            raise DependencyError(told, error, advice=advice("imageio-ffmpeg")) from error
        for stream in self._pipes():
            _widen(stream.fileno())

    def _pipes(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self._process.stdin, self._process.stdout) if pipe is not None]

    def __enter__(self) -> Ffmpeg:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes of ffmpeg's output, fewer only at its end."""
        assert self._process.stdout is not None
        return self._process.stdout.read(count)

    def readline(self) -> bytes:
        """One line of ffmpeg's output with its newline; empty at its end."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def write(self, data: memoryview) -> None:
        """All of `data` (bytes) into ffmpeg's input; raises `OSError` when it has stopped reading."""
        assert self._process.stdin is not None
        descriptor = self._process.stdin.fileno()  # past Python's buffer: frames are large, copies cost
        while len(data):
            data = data[os.write(descriptor, data) :]

    def finish(self, check: Callable[[], None] | None = None) -> int:
        """Closes ffmpeg's input, waits until it has ended, and returns its exit status.

        check: called several times a second meanwhile; what it raises goes to the caller.
        """
        if self._process.stdin is not None:
            with suppress(OSError):  # it ended first; its exit status and messages say why
                self._process.stdin.close()
        while check is not None:
            check()
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(CHECK_SECONDS)
        return self._process.wait()

    def stop(self) -> None:
        """Ends ffmpeg at once if it still runs, and frees its pipes; may be called twice."""
        processes.end(self._process)
        for stream in self._pipes():
            with suppress(OSError):  # a last unsent byte of a process that is gone
                stream.close()
        self._messages.close()

    def messages(self) -> str:
        """What ffmpeg has said so far: the beginning and the end of it."""
        # pread: moving the offset of a file that a child is writing to would make it overwrite itself.
        size = os.fstat(self._messages.fileno()).st_size
        text = _read_at(self._messages.fileno(), 0, min(size, MESSAGE_BYTES))
        if size > MESSAGE_BYTES:
            tail = max(MESSAGE_BYTES, size - MESSAGE_BYTES)
            text += b"\n" + _read_at(self._messages.fileno(), tail, size - tail)
        return text.decode("utf-8", "replace")

    def complaint(self) -> str:
        """The line of ffmpeg's messages that most likely says what went wrong; "" when it said nothing."""
        return complaint(self.messages())


def complaint(messages: str) -> str:
    """The last meaningful line of ffmpeg's messages without its `[demuxer @ 0x…]` marks and full stop."""
    for line in reversed(messages.splitlines()):
        line = line.strip()
        while line.startswith("[") and "] " in line:
            line = line.split("] ", 1)[1].strip()
        if line and not any(phrase in line.lower() for phrase in EMPTY_PHRASES):
            return line.rstrip(".")
    return ""


def refusal(messages: str) -> str:
    """Why ffmpeg could not open an input at all, in a phrase."""
    if "not on whitelist" in messages:
        return "it is a picture, a playlist or another kind that is not read"
    if "moov atom not found" in messages:
        return "its end is missing, and with it the table of its contents"
    return re.sub(r"^Error opening input: |^.*?: (?=Invalid data)", "", complaint(messages))


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Runs ffmpeg to its end; returns (exit status, standard output, messages)."""
    with Ffmpeg(arguments, stdout=True) as process:
        output = process.read(OUTPUT_BYTES)
        while process.read(OUTPUT_BYTES):  # what is more is no answer to what was asked
            pass
        status = process.finish()
        return status, output.decode("utf-8", "replace"), process.messages()


def _widen(descriptor: int) -> None:
    """Lets a pipe hold a whole small frame, so that both sides switch less often (Linux only)."""
    with suppress(ImportError, OSError):  # slower, not wrong
        import fcntl

        fcntl.fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES)


def _read_at(descriptor: int, offset: int, count: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, count, offset)
    duplicate = os.dup(descriptor)
    try:
        position = os.lseek(duplicate, 0, os.SEEK_CUR)
        os.lseek(duplicate, offset, os.SEEK_SET)
        data = os.read(duplicate, count)
        os.lseek(duplicate, position, os.SEEK_SET)
        return data
    finally:
        os.close(duplicate)
