"""One JSON document into a container's comment, and back out of mp4, webm, gif and picture folders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import Place, VideoError
from ..system.ffmpeg import input_arguments, run
from ..system.foreign import JSON_BYTES, parse_json, read_file
from ..system.paths import existing_file, is_folder, user_path
from .gif import gif_facts, is_gif
from .target import FOLDER_FILE

HEADER = ";FFMETADATA1"


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

    Whoever made the file can have put anything there: values are of plain and bounded kinds, and numbers are
    finite or None, but what the texts say is not to be trusted. Raises `VideoError` when the file cannot be
    read.
    """
    folder = user_path(path)
    if is_folder(folder):
        try:
            stored = parse_json(read_file(folder / FOLDER_FILE, JSON_BYTES))
        except (OSError, ValueError):
            return {}
        document = stored.get("document") if isinstance(stored, dict) else None
        return document if isinstance(document, dict) else {}
    found, problem = existing_file(path)
    if problem:
        raise VideoError("The video {path!r} {problem}.", Place(path), problem=problem)
    comment = gif_facts(found).comment if is_gif(found) else _container_comment(found)
    try:
        document = parse_json(comment)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _container_comment(path: Path) -> str:
    _, output, _ = run([*input_arguments(path), "-f", "ffmetadata", "pipe:1"])
    return parse_ffmetadata(output).get("comment", "")
