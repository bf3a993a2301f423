"""A pickle of numbers, texts and numpy arrays into those, without importing or running anything it names."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MeshError

SIZE_LIMIT = 1 << 30  # bytes; the templates and regions that are published have some MB
DEPTH_LIMIT = 8  # of dictionaries and lists in each other
ITEM_LIMIT = 50_000_000  # values in dictionaries and lists, however often they are named
HASHED_LIMIT = 1_000_000  # values in a tuple and those in it, however often they are named
_KIND = re.compile(r"[<>|=]?([biuf][1248]|f16)")  # numbers of a fixed size
_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFERS = ("numpy.core.numeric", "numpy._core.numeric")
_MEMO = {"PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"}


class _Refused(Exception):
    """What a pickle holds that data never need."""


def read_pickle(path: Path, *, size_limit: int = SIZE_LIMIT) -> Any:
    """Dictionaries, lists, texts, numbers and numpy arrays of numbers that a pickle holds.

    path: written by Python 2 or 3, with numpy 1 or 2; texts of Python 2 are read as latin-1. Nothing in the
    file is executed: arrays are built from their bytes here. Raises `MeshError` where it holds anything else,
    is damaged, or has more than `size_limit` bytes.
    """
    try:
        size = path.stat().st_size
        if size > size_limit:
            sizes = f"{size / 1e6:,.0f} MB, at most {size_limit / 1e6:,.0f} MB"
            raise MeshError(f"{{path}} is too large to be read ({sizes}).", path)
        data = path.read_bytes()
    except OSError as error:
        raise MeshError("{path} cannot be read ({error}).", path, error) from error
    try:
        _check_codes(data)
        return _Built(_Reader(io.BytesIO(data)).load()).value
    except _Refused as refused:
        raise MeshError(
            "{path} holds more than numbers ({refused}), so it is not read; get it anew from its author.",
            path,
            refused=refused,
        ) from refused
    except Exception as error:  # a damaged pickle can raise anything
        raise MeshError("{path} is cut off or is not a pickle; get it anew from its author.", path) from error


def _check_codes(data: bytes) -> None:
    """Refuse what cannot be read to its end, a memo that would take more room than the file, and tuples of
    tuples that, as keys of a dictionary, would take for ever to be hashed."""
    stack: list[int] = []  # how many values are hashed with each value; 0 is a mark
    memo: dict[int, int] = {}
    for code, argument, _ in pickletools.genops(data):
        name = code.name
        if name in _MEMO and (argument or 0) > len(data):
            raise ValueError("the memo is larger than the file")
        if "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if argument is None else argument] = stack[-1]
            continue
        taken = _taken(stack, code)
        if "GET" in name:
            stack.append(memo[int(argument or 0)])
        elif name == "DUP":
            stack += [*taken, *taken]
        elif "TUPLE" in name or name == "FROZENSET":
            stack.append(1 + sum(taken))
        else:
            stack += [0 if kind is pickletools.markobject else 1 for kind in code.stack_after]
        if stack and stack[-1] > HASHED_LIMIT:
            raise ValueError("tuples in tuples without end")


def _taken(stack: list[int], code: pickletools.OpcodeInfo) -> list[int]:
    """Takes from the stack what an instruction of a pickle does; IndexError where that is not there."""
    single = len(code.stack_before)
    taken: list[int] = []
    to_mark = pickletools.markobject in code.stack_before
    if to_mark or (code.name == "POP" and stack[-1] == 0):
        while (value := stack.pop()) != 0:
            taken.append(value)
        single = code.stack_before.index(pickletools.markobject) if to_mark else 0
    return taken + [stack.pop() for _ in range(single)]


class _Reader(pickle.Unpickler):
    """Reads the structure alone: of all names a pickle can hold, only those of arrays mean anything."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        known: dict[str, Callable[..., Any] | type] = {}
        if module == "numpy":
            known = {"dtype": _Kind, "ndarray": _Array}
        elif module in _ARRAYS:
            known = {"_reconstruct": _reconstruct, "scalar": _scalar}
        elif module in _BUFFERS:
            known = {"_frombuffer": _frombuffer}
        elif module == "_codecs":
            known = {"encode": _encode}
        elif module in ("builtins", "__builtin__"):
            known = {"bytes": _no_bytes}
        elif module == "collections":
            known = {"OrderedDict": OrderedDict}
        if name not in known:
            raise _Refused(f"{module}.{name}")
        return known[name]

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("a reference to something outside the file")


class _Kind:
    """Stands for a dtype of plain numbers."""

    def __init__(self, text: Any, *flags: Any) -> None:
        if not isinstance(text, str) or not _KIND.fullmatch(text):
            raise _Refused(f"an array of {text!r}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "=") or any(state[2:5]):
            raise _Refused("an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for an array until its numbers are known."""

    value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, raw = state
        self.value = _numbers(raw, kind, shape, "F" if by_columns else "C")


def _reconstruct(kind: Any, *rest: Any) -> _Array:
    if kind is not _Array:
        raise _Refused("an array of a class of its own")
    return _Array()


def _scalar(kind: Any, raw: Any = b"") -> Any:
    return _numbers(raw, kind, (1,), "C")[0]


def _frombuffer(raw: Any, kind: Any, shape: Any, order: Any, *rest: Any) -> np.ndarray:
    return _numbers(raw, kind, shape, order)


def _numbers(raw: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(kind, _Kind):
        raise _Refused("an array of objects")
    if not isinstance(raw, (str, bytes, bytearray)):  # bytes() makes as many of a number as it says
        raise ValueError("an array of no bytes")
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)  # str: Python 2's bytes
    sides = tuple(int(side) for side in shape)
    if order not in ("C", "F") or min(sides, default=0) < 0:
        raise ValueError("an impossible array")
    return np.frombuffer(data, kind.dtype).reshape(sides, order=order)


def _no_bytes() -> bytes:
    return b""  # what Python 3 calls to write no bytes for Python 2


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"text of the encoding {encoding!r}")
    data: bytes = text.encode("latin1")  # how Python 3 writes bytes for Python 2
    return data


@dataclass
class _Built:
    """What a pickle held, with arrays in the place of what stood for them."""

    raw: Any
    left: int = ITEM_LIMIT

    @property
    def value(self) -> Any:
        return self._plain(self.raw, DEPTH_LIMIT)

    def _plain(self, value: Any, depth: int) -> Any:
        self.left -= 1
        if depth < 0 or self.left < 0:
            raise _Refused("dictionaries in dictionaries without end")
        if isinstance(value, dict):
            return {self._key(key): self._plain(inner, depth - 1) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._plain(inner, depth - 1) for inner in value)
        if isinstance(value, _Array):
            if value.value is None:
                raise ValueError("an array without numbers")
            return value.value
        if value is None or isinstance(value, (bool, int, float, str, bytes, np.ndarray, np.generic)):
            return value
        raise _Refused(f"a {type(value).__name__}")

    def _key(self, key: Any) -> Any:
        return key.decode("latin1") if isinstance(key, bytes) else key
