"""An Ogg file into its links: streams that were put one behind the other, as radio stations and `cat` do."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

MAGIC = b"OggS"
# Magic, version, type, granule, serial number, page number, checksum, number of segments.
HEADER = struct.Struct("<4sBBqIIIB")
BEGINS = 2  # bit of a page's type: the first one of a stream
FULL = 255  # length of a segment that goes on in the next one, or in the next page
NUMBERS = 1 << 32  # after which pages are numbered from 0 again
MOST_LINKS = 200  # a file of more is read as if it were one
MOST_STREAMS = 100  # of one link, whose pages are counted
SEARCHED = 1 << 16  # bytes read at a time where a page should begin and does not


@dataclass(frozen=True)
class Link:
    """One link. start, end: its first byte and the one behind its last.

    cut: its last page, or what that holds last, is not whole. (Not every stream says where it ends.)
    gap: pages are missing on the way.
    """

    start: int
    end: int
    cut: bool = False
    gap: bool = False


@dataclass(frozen=True)
class _Page:
    start: int
    end: int
    kind: int
    granule: int
    serial: int
    number: int
    goes_on: bool = False  # what it holds last is not whole

    @property
    def begins(self) -> bool:
        return bool(self.kind & BEGINS)

    def follows(self, page: _Page | None) -> bool:
        """Whether no page of sound is missing between that one and this."""
        # Whoever tunes in to a radio station gets its headers, and then what is on air.
        return page is None or page.granule <= 0 or self.number == (page.number + 1) % NUMBERS


def links(path: Path) -> tuple[Link, ...]:
    """The links of an Ogg file; () for a file of another kind."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return ()
        found = _links(_pages(file, size), size)
    return tuple(found) if len(found) <= MOST_LINKS else (Link(0, size, found[-1].cut),)


def _links(pages: Iterator[_Page], size: int) -> list[Link]:
    found: list[Link] = []
    latest: dict[int, _Page] = {}  # of each stream of the link
    last: _Page | None = None
    for page in pages:
        if page.begins and (last is None or not last.begins):  # the streams of one link begin together
            if found and last is not None:
                cut = last.end > page.start or any(end.goes_on for end in latest.values())
                found[-1] = replace(found[-1], end=page.start, cut=cut)
            found.append(Link(page.start, size))
            latest = {}
        if found and not page.follows(latest.get(page.serial)):
            found[-1] = replace(found[-1], gap=True)
        last = page
        if len(latest) < MOST_STREAMS or page.serial in latest:
            latest[page.serial] = page
    if found and last is not None:
        found[-1] = replace(found[-1], cut=last.end > size)
    return found


def _pages(file: BinaryIO, size: int) -> Iterator[_Page]:
    position, inside = 0, 1  # inside: where to look for a page if none begins at the position
    while position != size:
        file.seek(position)
        header = file.read(HEADER.size)
        if len(header) < HEADER.size and header[: len(MAGIC)] == MAGIC[: len(header)]:
            yield _Page(position, position + HEADER.size, 0, 0, 0, 0)
            return
        magic, version, kind, granule, serial, number, _, segments = (
            HEADER.unpack(header) if len(header) == HEADER.size else (b"", 1, 0, 0, 0, 0, 0, 0)
        )
        if magic != MAGIC or version != 0:
            found = _next(file, inside)  # the page before may have been cut in its middle
            if found is None:
                return
            position, inside = found, found + 1
            continue
        table = file.read(segments)
        end = position + HEADER.size + segments + sum(table)
        if len(table) < segments:
            end = size + 1
        yield _Page(position, end, kind, granule, serial, number, table[-1:] == bytes([FULL]))
        position, inside = end, position + 1


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
