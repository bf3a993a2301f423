"""What was freed, back to the system: freed memory between what is still used else stays with the process."""

from __future__ import annotations

import ctypes
import gc
import os
import tracemalloc
from collections.abc import Callable

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None  # glibc has it


def let_go() -> None:
    """Lets go of all that the package keeps between runs."""
    from sadtalker_ext.system import caches

    caches.release()
    gc.collect()
    if _trim is not None:
        _trim(0)


def traced_peak(act: Callable[[], object]) -> int:
    """Bytes that Python holds at most while that runs, beyond what it held before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        act()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
