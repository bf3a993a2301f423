"""An Ogg file into its links: streams that were put one behind the other, as radio stations and `cat` do."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAGIC = b"OggS"
# Magic, version, type, granule, serial number, page number, checksum, number of segments.
HEADER = struct.Struct("<4sBBqIIIB")
BEGINS = 2  # bit of a page's type: the first one of a stream
MOST_LINKS = 200  # a file of more is read as if it were one
SEARCHED = 1 << 16  # bytes read at a time where a page should begin and does not


@dataclass(frozen=True)
class Layout:
    """links: (first byte, byte behind the last) of each. cut: the last page is not whole."""

    links: tuple[tuple[int, int], ...]
    cut: bool


@dataclass(frozen=True)
class _Page:
    start: int
    end: int
    begins: bool


def layout(path: Path) -> Layout | None:
    """How an Ogg file is put together; None for a file of another kind."""
    size = path.stat().st_size
    starts: list[int] = []
    began, last = False, 0
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        for page in _pages(file, size):
            if page.begins and not began:  # the streams of one link begin together
                starts.append(page.start)
            began, last = page.begins, page.end
    if len(starts) > MOST_LINKS:
        del starts[1:]
    ends = [*starts[1:], size][: len(starts)]
    return Layout(tuple(zip(starts, ends, strict=True)), last > size)


def _pages(file: BinaryIO, size: int) -> Iterator[_Page]:
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(HEADER.size)
        if len(header) < HEADER.size and header[: len(MAGIC)] == MAGIC[: len(header)]:
            yield _Page(position, position + HEADER.size, False)
            return
        magic, version, kind, *_, segments = (
            HEADER.unpack(header) if len(header) == HEADER.size else (b"", 1, 0, 0)
        )
        if magic != MAGIC or version != 0:
            found = _next(file, position + 1)
            if found is None:
                return
            position = found
            continue
        table = file.read(segments)
        end = position + HEADER.size + segments + sum(table)
        if len(table) < segments:
            end = size + 1
        yield _Page(position, end, bool(kind & BEGINS))
        position = end


def _next(file: BinaryIO, position: int) -> int | None:
    """Where the next page begins at `position` or behind it."""
    while True:
        file.seek(position)
        data = file.read(SEARCHED)
        found = data.find(MAGIC)
        if found >= 0:
            return position + found
        if len(data) < SEARCHED:
            return None
        position += len(data) - len(MAGIC) + 1
