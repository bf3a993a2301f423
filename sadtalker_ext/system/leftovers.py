"""Names for what lives only for a moment, which say whose it is; and the end of what a killed process left.

Such a name holds the machine, its boot, the process and when that began. Nothing is removed unless all four
say that its owner is gone: another machine may be writing into the same network folder.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from . import interrupts, processes
from .caches import kept

STEM_CHARACTERS = 30  # of the target's name in the temporary one; file systems allow 255 bytes
PREFIX = "sadtalker-"  # of folders in the system's temporary one
# After another boot the machine may be a copy of the one that wrote: there, what goes must be old too.
STALE_SECONDS = 86400.0
MOST_SWEPT = 1000  # folders that are remembered
UNKNOWN = "0"  # a boot or a start that this system does not tell
OWNED = re.compile(
    r"(?:\..*\.partial-|sadtalker-(?:[a-z]+-)?)"
    r"(?P<machine>[0-9a-f]{12})-(?P<boot>[0-9a-f]{1,8})-(?P<process>\d{1,10})-(?P<start>[0-9a-f]{1,16})"
    r"-[0-9a-z_]{8,12}(?:\..*)?"
)

_made: set[Path] = set()  # names given out in this process that may still stand for something
_swept: set[str] = set()  # folders, once for each process


def beside(target: Path) -> Path:
    """A fresh hidden name beside the target, with the same suffix; what dead processes left there goes."""
    sweep(target.parent)
    name = f".{target.stem[:STEM_CHARACTERS]}.partial-{_owner()}-{secrets.token_hex(6)}{target.suffix}"
    return _noted(target.with_name(name))


def new_folder(kind: str = "") -> Path:
    """An empty folder in the system's temporary one that nobody else can read; what dead ones left goes.

    kind: a word for its name. Raises `OSError`.
    """
    sweep(Path(tempfile.gettempdir()))
    prefix = f"{PREFIX}{kind}-" if kind else PREFIX
    with interrupts.held():
        return _noted(Path(tempfile.mkdtemp(prefix=f"{prefix}{_owner()}-")))


@contextmanager
def folder(kind: str = "") -> Iterator[Path]:
    """As `new_folder`, for the time of the block."""
    made = new_folder(kind)
    try:
        yield made
    finally:
        remove(made)


def remove(path: Path) -> None:
    """Remove what has a name from here, file or folder, if it is there; nothing but our own is touched."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    _made.discard(path)


def remove_all() -> None:
    """End our programs; remove whatever this process made for a moment, and what they made beside it."""
    processes.end_all()
    for made in list(_made):
        own = made.name[: len(made.name) - len(made.suffix)]
        with suppress(OSError):
            for entry in list(os.scandir(made.parent)):
                if entry.name.startswith(own):
                    remove(Path(entry.path))
        _made.discard(made)


def sweep(place: Path) -> None:
    """Remove from a folder what processes that are gone left there, once in this process; never raises."""
    with suppress(OSError, ValueError):
        if (key := f"{os.getpid()} {os.path.abspath(place)}") in _swept:
            return
        if len(_swept) >= MOST_SWEPT:
            _swept.clear()
        _swept.add(key)
        with os.scandir(place) as entries:
            for entry in entries:
                found = OWNED.fullmatch(entry.name)
                if found is not None and _is_abandoned(entry, found):
                    remove(Path(entry.path))


def _noted(path: Path) -> Path:
    if not _made:
        interrupts.undoes(remove_all)
    _made.add(path)
    return path


def _is_abandoned(entry: os.DirEntry[str], owner: re.Match[str]) -> bool:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    if not (ours and plain) or owner["machine"] != _machine():
        return False
    if owner["boot"] != _boot():
        return time.time() - found.st_mtime > STALE_SECONDS
    return processes.is_gone(int(owner["process"]), owner["start"])


def _owner() -> str:
    return _owner_of(os.getpid())  # asked each time: a process may fork


@kept(4)
def _owner_of(process: int) -> str:
    return f"{_machine()}-{_boot()}-{process}-{processes.started(process) or UNKNOWN}"


@kept(1)
def _machine() -> str:
    """A mark of this machine and, in a container, of its own numbering of processes."""
    import socket

    parts = [socket.gethostname(), _read("/etc/machine-id")]
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:12]


@kept(1)
def _boot() -> str:
    told = _read("/proc/sys/kernel/random/boot_id")
    return sha256(told.encode()).hexdigest()[:8] if told else UNKNOWN


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
