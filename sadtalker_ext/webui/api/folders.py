"""A folder of ours in the system's temporary one, with a folder per job, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import threading
import time
from pathlib import Path

PREFIX = "sadtalker-api-"
STALE_SECONDS = 3 * 86400.0  # since a folder was last used; its server is gone


class Folders:
    """Makes and removes folders; the one they lie in is made when needed, and anew if somebody removed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root: Path | None = None

    def new(self) -> Path:
        """An empty folder that nobody else can read. Raises `OSError`."""
        with self._lock:
            if self._root is None or not self._root.is_dir():
                self._root = Path(tempfile.mkdtemp(prefix=PREFIX))
                _remove_stale(self._root)
            os.utime(self._root)
            return Path(tempfile.mkdtemp(dir=self._root))

    def remove(self, folder: Path) -> None:
        """Remove one of ours; what is being read just now on Windows goes with `close`."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            if self._root is not None:
                shutil.rmtree(self._root, ignore_errors=True)
            self._root = None


def _remove_stale(own: Path) -> None:
    """Remove what servers left that were ended without a chance to clean up (as by Ctrl-C in a WebUI)."""
    for path in own.parent.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
            old = time.time() - found.st_mtime > STALE_SECONDS
            if path != own and mine and old and stat.S_ISDIR(found.st_mode):
                shutil.rmtree(path, ignore_errors=True)
