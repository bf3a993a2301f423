"""A gif file into its frame count, its length and its comment; a comment into a gif file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import VideoError

BLOCK = 255  # bytes in one sub-block
EXTENSION, COMMENT, CONTROL, IMAGE, TRAILER = 0x21, 0xFE, 0xF9, 0x2C, 0x3B
HEADER_BYTES = 13
COMMENT_BYTES = 8_000_000  # that are looked at
FLAGS = 10  # byte of the header that says whether, and how long, a colour table follows


@dataclass(frozen=True)
class GifFacts:
    """frames: pictures in the file; seconds: the sum of their delays; comment: the last one, or ""."""

    frames: int
    seconds: float
    comment: str


def is_gif(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GIF8"


def append_comment(path: Path, text: str) -> None:
    """Puts ASCII text of any length into a finished gif as a comment before its end mark."""
    data = text.encode("ascii")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1)[0] != TRAILER:
            raise VideoError(f"{path.name} is not a whole gif file.")
        file.seek(-1, os.SEEK_END)
        file.write(bytes([EXTENSION, COMMENT]))
        for start in range(0, len(data), BLOCK):
            block = data[start : start + BLOCK]
            file.write(bytes([len(block)]) + block)
        file.write(bytes([0, TRAILER]))


def gif_facts(path: Path) -> GifFacts:
    """Walks the blocks of a gif without decoding pictures; a damaged one counts as far as it is whole."""
    comment, frames, hundredths = b"", 0, 0
    try:
        with path.open("rb") as file:
            _skip_colours(file, file.read(HEADER_BYTES)[FLAGS])
            while (mark := file.read(1)[0]) != TRAILER:
                if mark == IMAGE:
                    _skip_colours(file, file.read(9)[8])
                    file.seek(1, os.SEEK_CUR)  # size of the smallest code
                    _blocks(file, keep=False)
                    frames += 1
                elif mark == EXTENSION:
                    label = file.read(1)[0]
                    data = _blocks(file, keep=label in (COMMENT, CONTROL))[:COMMENT_BYTES]
                    if label == CONTROL:
                        hundredths += int.from_bytes(data[1:3], "little")
                    elif label == COMMENT:
                        comment = data
                else:
                    break
    except IndexError:
        pass  # the file ends early
    return GifFacts(frames, hundredths / 100, comment.decode("utf-8", "replace"))


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 * 2 ** ((flags & 7) + 1), os.SEEK_CUR)


def _blocks(file: BinaryIO, *, keep: bool) -> bytes:
    parts = bytearray()
    while size := file.read(1)[0]:
        if keep:
            parts += file.read(size)
        else:
            file.seek(size, os.SEEK_CUR)
    return bytes(parts)
