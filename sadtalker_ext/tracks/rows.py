"""Blocks of rows as one array: in memory while it is small, else in a temporary file that is mapped."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

IN_MEMORY = 64 * 2**20  # bytes; larger arrays go into a file
BLOCK = 8 * 2**20  # bytes that are worked on at once


def gathered(blocks: Iterable[np.ndarray], dim: int) -> np.ndarray:
    """All rows of the blocks, each (n, dim), as float32 (T, dim).

    A large array lies in a file without a name, which goes with the array; it is read-only, and its pages are
    read when they are used. Raises `OSError` where the folder for temporary files is full.
    """
    import numpy as np

    kept: list[np.ndarray] = []
    size = 0
    iterator = iter(blocks)
    for block in iterator:
        kept.append(_narrow(block))
        size += kept[-1].nbytes
        if size > IN_MEMORY:
            return _filed(kept, iterator, dim)
    return np.concatenate(kept) if kept else np.empty((0, dim), np.float32)


def _narrow(block: np.ndarray) -> np.ndarray:
    """As float32; what is too large for that becomes infinite, which whoever takes the rows looks for."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(block, np.float32)


def _filed(kept: list[np.ndarray], more: Iterator[np.ndarray], dim: int) -> np.ndarray:
    import numpy as np

    with tempfile.TemporaryFile(prefix="sadtalker-") as file:
        while kept:
            file.write(np.ascontiguousarray(kept.pop(0)).data)
        for block in more:
            file.write(np.ascontiguousarray(_narrow(block)).data)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, np.float32).reshape(-1, dim)


def slices(rows: int, dim: int) -> Iterator[slice]:
    """Consecutive stretches of a (rows, dim) float32 array that are worked on at once."""
    step = max(1, BLOCK // (4 * dim))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
