"""Names for what lives only for a moment, which say whose it is; and the end of what a killed process left.

Such a name holds the machine, its boot, the process and when that began. Nothing is removed unless all four
say that its owner is gone, and, where a system does not tell one of them, it is old too: another machine may
be writing into the same network folder.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from . import interrupts, processes
from .caches import kept

STEM_CHARACTERS = 30  # of the target's name in the temporary one; file systems allow 255 bytes
PREFIX = "sadtalker-"  # of folders in the system's temporary one
# After another boot the machine may be a copy of the one that wrote: there, what goes must be old too.
STALE_SECONDS = 86400.0
MOST_SWEPT = 1000  # folders that are remembered
UNKNOWN = processes.UNKNOWN  # of a boot, as of a start
ASKING_SECONDS = 5.0  # for a program of macOS that tells what it is
# Not the moment of the boot, which changes when the clock is set.
BOOT_OF_MACOS = ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")
MACHINE_OF_MACOS = ("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
MACHINE_OF_WINDOWS = "SOFTWARE\\Microsoft\\Cryptography", "MachineGuid"
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
    old = time.time() - found.st_mtime > STALE_SECONDS
    if owner["boot"] != _boot():
        return old
    certain = UNKNOWN not in (owner["boot"], owner["start"])
    return (certain or old) and processes.is_gone(int(owner["process"]), owner["start"])


def _owner() -> str:
    return _owner_of(os.getpid())  # asked each time: a process may fork


@kept(4)
def _owner_of(process: int) -> str:
    return f"{_machine()}-{_boot()}-{process}-{processes.started(process) or UNKNOWN}"


@kept(1)
def _machine() -> str:
    """A mark of this machine and, in a container, of its own numbering of processes."""
    import socket

    parts = [socket.gethostname(), _machine_id()]
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:12]


@kept(1)
def _boot() -> str:
    told = _told(BOOT_OF_MACOS) if _system() == "darwin" else _read("/proc/sys/kernel/random/boot_id")
    return sha256(told.encode()).hexdigest()[:8] if told else UNKNOWN


def _machine_id() -> str:
    """What the system was given as its own when it was made; "" where it does not tell."""
    if _system() == "darwin":
        found = re.search(r'"IOPlatformUUID" = "([^"]+)"', _told(MACHINE_OF_MACOS))
        return found[1] if found else ""
    return _registered(*MACHINE_OF_WINDOWS) if _system() == "win32" else _read("/etc/machine-id")


def _system() -> str:
    return sys.platform  # unlike the name itself, not taken by a type checker for that of its own system


def _told(command: tuple[str, ...]) -> str:
    """What a program of the system prints; "" where there is none, or it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASKING_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _registered(key: str, name: str) -> str:
    """A text of the registry of Windows; "" where there is none."""
    try:
        import winreg

        registry: Any = winreg
        access = registry.KEY_READ | registry.KEY_WOW64_64KEY
        with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, key, 0, access) as opened:
            return str(registry.QueryValueEx(opened, name)[0])
    except (ImportError, OSError):
        return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
