"""Bytes of strangers into values, within bounds, or into the one error that says what is wrong with the file.

Every reader of such bytes works inside `damage_as`: decoders raise dozens of classes, and none may get out.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import SadTalkerError, is_shortage

JSON_BYTES = 8_000_000
JSON_VALUES = 300_000  # in lists and objects; each takes up to a hundred bytes of memory
JSON_DEPTH = 100
WHOLE_NUMBER_DIGITS = 19  # of what fits into 64 bits


class TooManyValues(ValueError):
    """JSON of more values than its reader takes."""


class TooDeep(ValueError):
    """JSON that is nested too deep."""


@contextmanager
def damage_as(
    told: Exception | Callable[[Exception], Exception],
    passing: tuple[type[Exception], ...] = (SadTalkerError, OSError),
) -> Iterator[None]:
    """Whatever goes wrong within it is raised as `told`, or what that makes of it.

    passing: errors that are let through: ours, and the system's, which are about no bytes. A shortage of
    memory or of open files always is: who fetched the file anew would have the same again.
    """
    try:
        yield
    except Exception as error:
        if is_shortage(error) or (isinstance(error, passing) and not _of_bytes(error)):
            raise
        raise (told if isinstance(told, Exception) else told(error)) from error


def _of_bytes(error: Exception) -> bool:
    """Whether a system's error comes from what a file says: a place in it before its beginning."""
    return isinstance(error, OSError) and error.errno == errno.EINVAL


def open_file(path: Path) -> IO[bytes]:
    """A file opened for reading, never waiting for the writer of a pipe; `OSError` for what is no file."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not an ordinary file")
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path, most: int) -> bytes:
    """All of a file; `ValueError` where it has more than `most` bytes, `OSError` where it is none."""
    with open_file(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"more than {most:,} bytes")
    return data


def parse_json(
    text: str | bytes | bytearray,
    *,
    strict: bool = False,
    finite: bool = False,
    most: int = JSON_BYTES,
    most_values: int = JSON_VALUES,
) -> Any:
    """Plain values of a JSON document; `ValueError` for what is none, or larger or deeper than any of ours.

    Texts are as they are: whoever shows them cleans them. Numbers that are not finite are None, whole ones
    that do not fit into 64 bits become floats, and of names that come twice the last one counts. finite:
    the first are refused. strict: all three are. most: characters. most_values: in lists and objects, beyond
    which nothing is read.
    """
    if len(text) > most:
        raise ValueError(f"more than {most:,} characters of JSON")
    marks = "[{," if isinstance(text, str) else b"[{,"
    if sum(map(text.count, marks)) > most_values:  # type: ignore[arg-type]  # of the same kind
        raise TooManyValues(f"more than {most_values:,} values in JSON")
    if not isinstance(text, str):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    number = _strict if strict else _finite if finite else _or_none
    try:
        document = json.loads(
            text,
            parse_constant=number(float),
            parse_float=number(float),
            parse_int=number(_whole),
            object_pairs_hook=_without_twins if strict else None,
        )
        _check_depth(document, JSON_DEPTH)
        return document
    except RecursionError:
        raise TooDeep("JSON that is nested too deep") from None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits.lstrip("-")) <= WHOLE_NUMBER_DIGITS else float(digits)


def _or_none(kind: Callable[[str], float]) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        value = kind(text)
        return value if math.isfinite(value) else None

    return read


def _strict(kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = finite(text)
        if kind is _whole and not isinstance(value, int):
            raise ValueError(f"{text[:WHOLE_NUMBER_DIGITS]} is no finite number")
        return value

    finite = _finite(kind)
    return read


def _finite(kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not math.isfinite(value):
            raise ValueError(f"{text[:WHOLE_NUMBER_DIGITS]} is no finite number")
        return value

    return read


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that comes twice")
    return found


def _check_depth(value: Any, depth: int) -> None:
    if depth < 0:
        raise TooDeep("JSON that is nested too deep")
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, depth - 1)
