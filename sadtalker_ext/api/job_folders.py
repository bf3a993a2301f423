"""A folder of ours in the system's temporary one, with a folder per job, and nothing left behind."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

from ..system import leftovers


class Folders:
    """Makes and removes folders; the one they lie in is made when needed, and anew if somebody removed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root: Path | None = None

    def new(self) -> Path:
        """An empty folder that nobody else can read. Raises `OSError`."""
        with self._lock:
            if self._root is None or not self._root.is_dir():
                self._root = leftovers.new_folder("api")
            return Path(tempfile.mkdtemp(dir=self._root))

    def remove(self, folder: Path) -> None:
        """Remove one of ours; what is being read just now on Windows goes with `close`."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            if self._root is not None:
                leftovers.remove(self._root)
            self._root = None
