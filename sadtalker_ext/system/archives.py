"""Zip archives and .npy members of strangers into what they hold, within bounds."""

from __future__ import annotations

import io
import math
import os
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from .foreign import open_file

if TYPE_CHECKING:
    import numpy as np

DIRECTORY_BYTES = 4_000_000  # of the list of members: some fifty thousand
PLAIN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others can ask for gigabytes to unpack a byte
ENCRYPTED = 1  # bit of a member's flags
MAGIC = b"\x93NUMPY"
HEADER_BYTES = 10_000
HEADER = re.compile(
    r"\{\s*'descr':\s*'([<>|=]?[biufUS]\d{1,6})',\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\(([0-9L, ]{0,600})\),?\s*\}\s*"
)
SIDE = re.compile(r"[0-9]{1,18}L?")


class _Bounded:
    """A file of which no single read may be larger than `most` bytes, until that is None."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file = file
        self.most: int | None = most

    def read(self, count: int = -1) -> bytes:
        if self.most is not None and count > self.most:
            raise zipfile.BadZipFile("more members than any such file has")
        return self._file.read(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


@contextmanager
def open_zip(file: IO[bytes]) -> Iterator[tuple[zipfile.ZipFile, Mapping[str, zipfile.ZipInfo]]]:
    """The archive and its members by name; `BadZipFile` where there are too many, or one is packed oddly.

    zipfile reads the whole list of members at once, before it can be asked how many there are.
    """
    bounded = _Bounded(file, DIRECTORY_BYTES)
    with zipfile.ZipFile(bounded) as archive:
        bounded.most = None
        yield archive, {member.filename: member for member in archive.infolist()}


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """A member that is read as it comes; `BadZipFile` for one that is encrypted or packed in a rare way."""
    if member.flag_bits & ENCRYPTED or member.compress_type not in PLAIN_METHODS:
        raise zipfile.BadZipFile("encrypted, or packed in a way that no such file is")
    return archive.open(member)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """A whole member; `BadZipFile` where it has more than `most` bytes."""
    if member.file_size > most:
        raise zipfile.BadZipFile(f"a member of more than {most:,} bytes")
    with open_member(archive, member) as file:
        return file.read(most + 1)[: most + 1]


@dataclass(frozen=True)
class ArrayHeader:
    """What the beginning of a .npy file says. kind: a dtype's text. by_columns: whether columns are rows."""

    kind: str
    shape: tuple[int, ...]
    by_columns: bool


def read_array_header(file: IO[bytes]) -> ArrayHeader:
    """The header of a .npy file, after which its numbers begin; `ValueError` for any but plain arrays.

    By a pattern: numpy itself has Python parse the text.
    """
    start = file.read(len(MAGIC) + 2)
    if len(start) < len(MAGIC) + 2 or not start.startswith(MAGIC):
        raise ValueError("not an array")
    layout = {1: "<H", 2: "<I", 3: "<I"}.get(start[-2])
    if layout is None:
        raise ValueError("an array of another version")
    size = struct.calcsize(layout)
    (length,) = struct.unpack(layout, file.read(size))
    if length > HEADER_BYTES:
        raise ValueError("an array with a header of another kind")
    text = file.read(length)
    if len(text) != length:
        raise EOFError("cut off")
    found = HEADER.fullmatch(text.decode("latin1"))
    if found is None:
        raise ValueError("an array that is no plain one")
    return ArrayHeader(found[1], _sides(found[3]), found[2] == "True")


def _sides(text: str) -> tuple[int, ...]:
    """The sides of a shape, as Python writes tuples; `ValueError` for what is none."""
    *sides, last = (side.strip() for side in text.split(","))
    sides += [last] if last else []
    if not all(map(SIDE.fullmatch, sides)):
        raise ValueError("an array of no shape")
    return tuple(int(side.rstrip("L")) for side in sides)


def map_array(path: Path) -> np.ndarray:
    """The plain array of a .npy file, read-only and mapped; `ValueError` where it is none, or `OSError`."""
    import numpy as np

    with open_file(path) as file:
        header = read_array_header(file)
        start, size = file.tell(), os.fstat(file.fileno()).st_size
        kind = np.dtype(header.kind)
        if math.prod(header.shape) * kind.itemsize > size - start:
            raise ValueError("fewer numbers than announced")
        order: Literal["C", "F"] = "F" if header.by_columns else "C"
        if 0 in header.shape:
            return np.empty(header.shape, kind, order)  # nothing cannot be mapped
        return np.memmap(file, kind, "r", start, header.shape, order)


def read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> np.ndarray:
    """The plain array in a .npy member of at most `most` bytes; `ValueError` or `BadZipFile` otherwise."""
    import numpy as np

    file = io.BytesIO(read_member(archive, member, most))
    header = read_array_header(file)
    kind = np.dtype(header.kind)
    count = math.prod(header.shape) * kind.itemsize
    data = file.read()
    if len(data) != count:
        raise ValueError("another count of numbers than announced")
    return np.frombuffer(data, kind).reshape(header.shape, order="F" if header.by_columns else "C")
