"""A folder of ours in the system's temporary one, with a folder per job, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..system import leftovers

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = f"{leftovers.PREFIX}api-"
ALIVE = "alive"  # a file that a server keeps locked in its folder
STALE_SECONDS = 3 * 86400.0  # since a folder without that file was last used


class Folders:
    """Makes and removes folders; the one they lie in is made when needed, and anew if somebody removed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root: Path | None = None
        self._alive: IO[bytes] | None = None

    def new(self) -> Path:
        """An empty folder that nobody else can read. Raises `OSError`."""
        with self._lock:
            if self._root is None or not self._root.is_dir():
                self._root = leftovers.new_folder("api")
                self._alive = _locked(self._root / ALIVE)
                _remove_stale(self._root)
            return Path(tempfile.mkdtemp(dir=self._root))

    def remove(self, folder: Path) -> None:
        """Remove one of ours; what is being read just now on Windows goes with `close`."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            if self._alive is not None:
                self._alive.close()
            if self._root is not None:
                leftovers.remove(self._root)
            self._root = self._alive = None


def _locked(path: Path) -> IO[bytes]:
    """A new file, locked as long as it is open; on Windows an open file cannot be removed, which will do."""
    file = path.open("xb")
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _in_use(folder: Path, modified: float) -> bool:
    """Whether the server whose folder it is still runs, by the file that it keeps locked."""
    path = folder / ALIVE
    try:
        if fcntl is None:
            path.unlink()
        else:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # not yet, or never
        return time.time() - modified < STALE_SECONDS
    except OSError:
        return True
    return False


def _remove_stale(own: Path) -> None:
    """Remove what servers left that were ended without a chance to clean up (as by Ctrl-C in a WebUI)."""
    for path in own.parent.glob(PREFIX + "*"):
        with suppress(OSError):
            found = path.lstat()
            mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
            ours = path != own and mine and stat.S_ISDIR(found.st_mode)
            if ours and not _in_use(path, found.st_mtime):
                shutil.rmtree(path, ignore_errors=True)
