"""Numbers that come piece by piece into one array: in memory while they are few, else mapped from a file."""

from __future__ import annotations

import mmap
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

IN_MEMORY = 8 * 2**20  # bytes; two minutes of speech


class Gatherer:
    """Takes float32 numbers as they come; `array` makes one array of them all.

    A long one lies in a file without a name, which goes with the array. Raises `OSError` where the folder for
    temporary files is full.
    """

    def __init__(self) -> None:
        self._memory = bytearray()  # grows in place: no second copy at the end
        self._file: IO[bytes] | None = None
        self._size = 0

    def __len__(self) -> int:
        """How many numbers there are."""
        return self._size // 4

    def add(self, numbers: np.ndarray | bytes) -> None:
        data = numbers if isinstance(numbers, bytes) else numbers.tobytes()
        self._size += len(data)
        if self._file is None and self._size > IN_MEMORY:
            self._file = tempfile.TemporaryFile(prefix="sadtalker-")  # noqa: SIM115 - closed when it is mapped
            self._file.write(self._memory)
            self._memory = bytearray()
        if self._file is None:
            self._memory += data
        else:
            self._file.write(data)

    def array(self, count: int) -> np.ndarray:
        """The first `count` numbers, (count,), which may be changed; to be called once."""
        import numpy as np

        if self._file is None:
            return np.frombuffer(self._memory, np.float32, count)
        with self._file:
            self._file.flush()
            mapped = mmap.mmap(self._file.fileno(), 0)
        return np.frombuffer(mapped, np.float32, count)


def forget(array: np.ndarray) -> None:
    """Let go of the memory that a mapped array took as it was read; it is read anew when it is used again."""
    owner = array
    while hasattr(owner, "base") and owner.base is not None:
        owner = owner.base
    if isinstance(owner, memoryview):
        owner = owner.obj
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError, ValueError):
            owner.madvise(mmap.MADV_DONTNEED)
