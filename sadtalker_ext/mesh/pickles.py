"""A pickle of numbers, texts and numpy arrays into those, without importing or running anything it names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MeshError, cleaned
from ..system.foreign import damage_as, open_file
from ..system.pickles import Opaque, Reader, Unsafe

SIZE_LIMIT = 1 << 28  # bytes; the templates and regions that are published have some MB
DEPTH_LIMIT = 8  # of dictionaries and lists in each other
ITEM_LIMIT = 1_000_000  # instructions; a corpus of a hundred thousand frames has a quarter of that
SIDES = 32  # of an array
REASON_CHARACTERS = 80  # of what a file says of itself
_KIND = re.compile(r"[<>|=]?([biuf][1248]|f16)")  # numbers of a fixed size
_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFERS = ("numpy.core.numeric", "numpy._core.numeric")


class _Refused(Exception):
    """What a pickle holds that data never need."""


def read_pickle(path: Path, *, size_limit: int = SIZE_LIMIT) -> Any:
    """Dictionaries, lists, texts, numbers and numpy arrays of numbers that a pickle holds.

    path: written by Python 2 or 3, with numpy 1 or 2; texts of Python 2 are read as latin-1. Nothing in the
    file is executed: arrays are built from their bytes here. Raises `MeshError` where it holds anything else,
    is damaged, or has more than `size_limit` bytes.
    """
    try:
        with open_file(path) as file, damage_as(lambda error: _told(path, error)):
            size = os.fstat(file.fileno()).st_size
            if size > size_limit:
                sizes = f"{size / 1e6:,.0f} MB, at most {size_limit / 1e6:,.0f} MB"
                raise MeshError(f"{{path}} is too large to be read ({sizes}).", path)
            # An array's bytes are counted as they are read, and again where they are made from a text.
            names = _Names()
            reader = Reader(file, names.find, most=3 * size + 1024, instructions=ITEM_LIMIT)
            names.reader = reader
            return _Built(reader.load()).value
    except OSError as error:
        raise MeshError("{path} cannot be read ({error}).", path, error) from error


def _told(path: Path, error: Exception) -> MeshError:
    if isinstance(error, (_Refused, Unsafe)):
        return MeshError(
            "{path} holds more than numbers ({refused}), so it is not read; get it anew from its author.",
            path,
            refused=cleaned(str(error), REASON_CHARACTERS),
        )
    return MeshError("{path} is cut off or is not a pickle; get it anew from its author.", path)


class _Names:
    """Of all names a pickle can hold, only those of arrays mean anything."""

    reader: Reader

    def find(self, module: str, name: str) -> Any:
        known: dict[str, Callable[..., Any] | type] = {}
        if module == "numpy":
            known = {"dtype": _Kind, "ndarray": _Array}
        elif module in _ARRAYS:
            known = {"_reconstruct": self.reconstruct, "scalar": self.scalar}
        elif module in _BUFFERS:
            known = {"_frombuffer": self.frombuffer}
        elif module == "_codecs":
            known = {"encode": self.encode}
        elif module in ("builtins", "__builtin__"):
            known = {"bytes": _no_bytes}
        elif module == "collections":
            known = {"OrderedDict": self.reader.ordered}
        if name not in known:
            raise _Refused(f"{module}.{name}")
        return known[name]

    def encode(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise _Refused("a text in another encoding")
        self.reader.spend_bytes(len(text))
        return text.encode("latin1")  # how Python 3 writes bytes for Python 2

    def reconstruct(self, kind: Any, *rest: Any) -> _Array:
        if kind is not _Array:
            raise _Refused("an array of a class of its own")
        made = _Array()
        made.made_by = self
        return made

    def scalar(self, kind: Any, raw: Any = b"") -> Any:
        return self.numbers(raw, kind, (1,), "C")[0]

    def frombuffer(self, raw: Any, kind: Any, shape: Any, order: Any, *rest: Any) -> np.ndarray:
        return self.numbers(raw, kind, shape, order)

    def numbers(self, raw: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
        if not isinstance(kind, _Kind):
            raise _Refused("an array of objects")
        if not isinstance(raw, (str, bytes, bytearray)):  # bytes() makes as many of a number as it says
            raise ValueError("an array of no bytes")
        if not isinstance(raw, bytes):
            self.reader.spend_bytes(len(raw))
        data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)  # str: Python 2's bytes
        if not isinstance(shape, tuple) or len(shape) > SIDES:
            raise ValueError("an impossible array")
        sides = tuple(int(side) for side in shape)
        if order not in ("C", "F") or min(sides, default=0) < 0:
            raise ValueError("an impossible array")
        return np.frombuffer(data, kind.dtype).reshape(sides, order=order)


class _Kind:
    """Stands for a dtype of plain numbers."""

    def __init__(self, text: Any, *flags: Any) -> None:
        if not isinstance(text, str) or not _KIND.fullmatch(text):
            raise _Refused(
                f"an array of {text[:9]!r}" if isinstance(text, str) else "an array of another kind"
            )
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "=") or any(state[2:5]):
            raise _Refused("an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for an array until its numbers are known."""

    value: np.ndarray | None = None
    made_by: _Names | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, raw = state
        if self.made_by is None:
            raise ValueError("an array of no kind")
        self.value = self.made_by.numbers(raw, kind, shape, "F" if by_columns else "C")


def _no_bytes() -> bytes:
    return b""  # what Python 3 calls to write no bytes for Python 2


@dataclass
class _Built:
    """What a pickle held, with arrays in the place of what stood for them."""

    raw: Any
    made: dict[int, Any] = field(
        default_factory=dict
    )  # by their id: however often it is named, a value is made once

    @property
    def value(self) -> Any:
        return self._plain(self.raw, DEPTH_LIMIT)

    def _plain(self, value: Any, depth: int) -> Any:
        if depth < 0:
            raise _Refused("dictionaries in dictionaries without end")
        if isinstance(value, (dict, list, tuple)):
            if id(value) not in self.made:
                self.made[id(value)] = self._container(value, depth - 1)
            return self.made[id(value)]
        if isinstance(value, _Array):
            if value.value is None:
                raise ValueError("an array without numbers")
            return value.value
        if value is None or isinstance(value, (bool, int, float, str, bytes, np.ndarray, np.generic)):
            return value
        raise _Refused(f"a {value.name if isinstance(value, Opaque) else type(value).__name__}")

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return {self._key(key): self._plain(inner, depth) for key, inner in value.items()}
        return type(value)([self._plain(inner, depth) for inner in value])

    def _key(self, key: Any) -> Any:
        return key.decode("latin1") if isinstance(key, bytes) else key
