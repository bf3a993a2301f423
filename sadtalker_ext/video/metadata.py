"""One JSON document into a container's comment, and back out of mp4, webm, gif and picture folders."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ..errors import VideoError
from ..ffmpeg import existing_file, input_arguments, run
from .target import FOLDER_FILE

HEADER = ";FFMETADATA1"
GIF_BLOCK = 255  # bytes in one sub-block
GIF_EXTENSION, GIF_COMMENT, GIF_IMAGE, GIF_TRAILER = 0x21, 0xFE, 0x2C, 0x3B


def to_json(document: Mapping[str, object]) -> str:
    """One line of ASCII, so that no container or code page can change it; unknown values by their name."""
    return json.dumps(dict(document), ensure_ascii=True, separators=(",", ":"), default=str)


def write_ffmetadata(path: Path, document: Mapping[str, object]) -> None:
    """Writes the file that hands the document to ffmpeg: it is too long and too wild for a command line."""
    text = to_json(document)
    for special in "\\=;#\n":
        text = text.replace(special, "\\" + special)
    path.write_text(f"{HEADER}\ncomment={text}\n", encoding="utf-8", newline="\n")


def parse_ffmetadata(text: str) -> dict[str, str]:
    """Global tags of ffmpeg's metadata format, names in lower case."""
    tags: dict[str, str] = {}
    key, part, escaped = "", [], False
    in_value = in_section = False
    for character in text[text.find("\n") + 1 :] + "\n":
        if escaped:
            part.append(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "=" and not in_value:
            key, part, in_value = "".join(part).strip().lower(), [], True
        elif character == "\n":
            if in_value and not in_section:
                tags[key] = "".join(part)
            elif "".join(part).startswith("["):  # a [STREAM] or [CHAPTER] section
                in_section = True
            key, part, in_value = "", [], False
        else:
            part.append(character)
    return tags


def read_metadata(path: str | os.PathLike[str]) -> dict[str, object]:
    """The JSON document that the writer stored in a video or a folder of pictures; {} when there is none.

    Raises `VideoError` when the file cannot be read.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        try:
            stored = json.loads((folder / FOLDER_FILE).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        document = stored.get("document") if isinstance(stored, dict) else None
        return document if isinstance(document, dict) else {}
    found, problem = existing_file(path)
    if problem:
        raise VideoError(f"The video {os.fspath(path)!r} {problem}.")
    with found.open("rb") as file:
        is_gif = file.read(4) == b"GIF8"
    comment = read_gif_comment(found) if is_gif else _container_comment(found)
    try:
        document = json.loads(comment)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _container_comment(path: Path) -> str:
    _, output, _ = run([*input_arguments(path), "-f", "ffmetadata", "pipe:1"])
    return parse_ffmetadata(output).get("comment", "")


def append_gif_comment(path: Path, document: Mapping[str, object]) -> None:
    """Puts the document into a finished gif as a comment block before its end mark."""
    data = to_json(document).encode("ascii")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1)[0] != GIF_TRAILER:
            raise VideoError(f"{path.name} is not a whole gif file.")
        file.seek(-1, os.SEEK_END)
        file.write(bytes([GIF_EXTENSION, GIF_COMMENT]))
        for start in range(0, len(data), GIF_BLOCK):
            block = data[start : start + GIF_BLOCK]
            file.write(bytes([len(block)]) + block)
        file.write(bytes([0, GIF_TRAILER]))


def read_gif_comment(path: Path) -> str:
    """The last comment of a gif; "" when it has none or is damaged."""
    comment = b""
    try:
        with path.open("rb") as file:
            flags = file.read(13)[10]
            _skip_colours(file, flags)
            while (mark := file.read(1)) and mark[0] != GIF_TRAILER:
                if mark[0] == GIF_IMAGE:
                    _skip_colours(file, file.read(9)[8])
                    file.seek(1, os.SEEK_CUR)  # size of the smallest code
                    _blocks(file, keep=False)
                elif mark[0] == GIF_EXTENSION:
                    label = file.read(1)[0]
                    data = _blocks(file, keep=label == GIF_COMMENT)
                    comment = data or comment
                else:
                    break
    except (IndexError, struct.error):
        return ""
    return comment.decode("utf-8", "replace")


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
