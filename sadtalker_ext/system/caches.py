"""What stays in memory between runs: bounded, and all of it known here, so that all of it can be let go."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

T = TypeVar("T")

_emptied: list[Callable[[], None]] = []  # what lets go of each cache


class Kept(Generic[T]):
    """The `size` values that were used last, by key; safe to use from several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()
        _emptied.append(self.clear)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of the key, made by `make` where it is not kept; what `make` raises is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()  # takes long, and others go on meanwhile
        self.put(key, value)
        return value

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value, and let go of the one that was not used for longest."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Let go of one value."""
        with self._lock:
            self._values.pop(key, None)

    def clear(self) -> None:
        """Let go of all values."""
        with self._lock:
            self._values.clear()


def kept(size: int) -> Callable[[Callable[..., T]], _lru_cache_wrapper[T]]:
    """`functools.lru_cache(size)`, emptied by `release`."""

    def decorate(function: Callable[..., T]) -> _lru_cache_wrapper[T]:
        cached = lru_cache(maxsize=size)(function)
        _emptied.append(cached.cache_clear)
        return cached

    return decorate


def on_release(action: Callable[[], None]) -> Callable[[], None]:
    """Registers what else `release` has to do; usable as a decorator."""
    _emptied.append(action)
    return action


def release() -> None:
    """Let go of prepared portraits, networks, recognised speech and whatever else is kept between runs."""
    with ExitStack() as actions:  # all are done, also where one fails
        for empty in _emptied:
            actions.callback(empty)
