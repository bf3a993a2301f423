"""What nobody foresaw into one sentence, and its trace into a log file that the sentence names."""

from __future__ import annotations

import logging
import os
import platform
import re
import stat
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import cleaned, tell
from ..user_folders import cache_folder
from ..version import __version__
from . import interrupts

NAME = "sadtalker-faults.log"
MOST_BYTES = 256 * 1024  # of the log; then its older half goes
ENTRY_CHARACTERS = 64 * 1024  # of one trace, which can hold any text
SENTENCE_CHARACTERS = 300  # of what an error says of itself
# What comes after these is nobody's business.
SECRET_FLAGS = ("--auth",)
SECRET = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|authorization|bearer)\"?'?(?:\s*[=:]\s*|\s+)(?:(?:bearer|basic)\s+)?)\S+"
    r"|(?<=://)[^/\s@]+(?=@)|\bhf_\w{8,}"
)
SECRET_VARIABLE = re.compile(r"(?i)auth|token|secret|passw|api_?key|credential")
SHORTEST_SECRET, SHORTEST_VALUE = 4, 8  # characters: shorter ones would blot out half of the log


def report(error: BaseException) -> str:
    """A sentence about an error that should not have happened; it names the log file that has the trace."""
    said = " ".join(cleaned(_without_secrets(tell(error).sentence)).split())
    if len(said) > SENTENCE_CHARACTERS:
        said = said[: SENTENCE_CHARACTERS - 3].rstrip(". ") + " …)."
    try:
        path, why = log(error), ""
    except Exception as failure:  # telling of a fault must not be the next one
        path, why = None, getattr(failure, "strerror", None) or type(failure).__name__
    if path is None:
        return f"{said} No log of it could be written ({why})."
    return f"{said} Its trace is in {path}; please report it."


def log(error: BaseException) -> Path:
    """Append the trace to the log, which stays small; returns where that lies. Raises `OSError`."""
    entry = _entry(error).encode("utf-8", "replace")
    first = _place()
    try:
        _append(first, entry)
        return first
    except OSError as refused:
        second = _other_place()
        try:
            _append(second, entry)
        except OSError:
            raise refused from None
        return second


class BriefFormatter(logging.Formatter):
    """For messages on a terminal: of an exception the sentence, its trace goes into the log file."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        error = ei[1] if isinstance(ei, tuple) else ei
        return report(error) if isinstance(error, BaseException) else ""


def keep_terminal_brief() -> None:
    """In a process of our own, no trace is printed: neither by a log nor while something is thrown away."""
    sys.unraisablehook = _keep_quiet
    threading.excepthook = _tell_of_thread
    if logging.lastResort is not None:  # what prints where nobody has set up logging
        logging.lastResort.setFormatter(BriefFormatter())


def _tell_of_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        interrupts.printed(report(failed.exc_value))


def _keep_quiet(unraisable: sys.UnraisableHookArgs) -> None:
    if unraisable.exc_value is not None:
        with suppress(Exception):
            log(unraisable.exc_value)


def _place() -> Path:
    return cache_folder() / "sadtalker" / NAME


def _other_place() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"sadtalker-{user}" / NAME


def _append(path: Path, entry: bytes) -> None:
    """No link is followed and no other's file written: the folder may be one that everybody can write."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.is_symlink() or not _is_ours(path.parent.lstat()):
        raise OSError(f"{path.parent} is no folder of ours")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)  # a pipe of that name must not make us wait
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _is_ours(found):
            raise OSError(f"{path.name} is no file of ours")
        if found.st_size + len(entry) > MOST_BYTES:
            file.seek(max(0, found.st_size - MOST_BYTES // 2))
            kept = file.read(MOST_BYTES // 2).partition(b"\n")[2]
            file.seek(0)
            file.truncate()
            file.write(kept)
        file.seek(0, os.SEEK_END)
        file.write(entry)


def _is_ours(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def _entry(error: BaseException) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    what = f"sadtalker {__version__}, Python {platform.python_version()}, {platform.platform()}"
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if len(trace) > ENTRY_CHARACTERS:
        half = ENTRY_CHARACTERS // 2
        trace = f"{trace[:half]}\n…\n{trace[-half:]}"
    return f"--- {when}, {what}\n{_without_secrets(trace)}\n"


def _without_secrets(text: str) -> str:
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = SECRET.sub(lambda found: f"{found[1] or ''}***", text)
    with suppress(RuntimeError):
        home = str(Path.home())
        text = text.replace(home, "~") if len(home) >= SHORTEST_SECRET else text
    return text


def _secrets() -> Iterator[str]:
    """What this process was given in confidence, whole and in its parts."""
    named = [value for name, value in os.environ.items() if SECRET_VARIABLE.search(name)]
    given = [value for value in named if len(value) >= SHORTEST_VALUE]
    arguments = sys.argv[1:]
    for flag in SECRET_FLAGS:
        given += [value for name, value in pairwise(arguments) if name == flag]
        given += [word.partition("=")[2] for word in arguments if word.startswith(f"{flag}=")]
    for value in given:
        for part in (value, *re.split(r"[:,]", value)):
            if len(part) >= SHORTEST_SECRET:
                yield part
