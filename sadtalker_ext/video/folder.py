"""Frames into a folder of numbered PNG pictures, and such a folder back into frames."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import OutputError, VideoError
from ..host import Check, nothing
from ..system.foreign import JSON_BYTES, damage_as, parse_json, read_file
from .target import FOLDER_FILE, FRAME_PATTERN

FRAME_NAME = "frame_{:06d}.png"
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MOST = 1 << 31  # of frames, of pixels on a side, or of what a frame rate is made of
COMPRESSION = 1  # of 9: larger files, several times faster


class FolderSink:
    """Writes frame_000001.png … and, last, metadata.json, which marks the folder as whole and ours."""

    def __init__(self, folder: Path, rate: Fraction, metadata: Mapping[str, object]) -> None:
        self._folder, self._rate, self._metadata = folder, rate, metadata
        self._count = 0
        self._size = (0, 0)
        folder.mkdir()

    def write(self, frame: np.ndarray) -> None:
        self._count += 1
        self._size = (frame.shape[1], frame.shape[0])
        try:
            path = self._folder / FRAME_NAME.format(self._count)
            Image.fromarray(frame).save(path, compress_level=COMPRESSION)
        except OSError as error:
            full = error.errno in FULL_DISK
            reason = "the disk is full; free some space" if full else f"{error.strerror or error}"
            raise OutputError(f"Frame {self._count} cannot be written: {reason}.") from error

    def finish(self, check: Check = nothing) -> None:
        stored = {
            "writer": "sadtalker_ext",
            "frames": self._count,
            "fps": [self._rate.numerator, self._rate.denominator],
            "width": self._size[0],
            "height": self._size[1],
            "document": dict(self._metadata),
        }
        text = json.dumps(stored, indent=1, default=str)
        (self._folder / FOLDER_FILE).write_text(text + "\n", encoding="utf-8")

    def abort(self) -> None:
        """Nothing runs; the writer removes the folder."""


def folder_facts(folder: Path) -> dict[str, Any]:
    """What metadata.json of a folder of frames says; raises `VideoError` when it is not one of ours."""
    none = VideoError("The folder {path} holds no frames written by this tool.", folder)
    with damage_as(none, passing=()):
        facts = parse_json(read_file(folder / FOLDER_FILE, JSON_BYTES))
        numerator, denominator = facts["fps"]
        counts = (facts["frames"], facts["width"], facts["height"], numerator, denominator)
        if not all(isinstance(count, int) and 0 < count <= MOST for count in counts):
            raise ValueError("no frames")
        return dict(facts)


def folder_frames(folder: Path) -> Iterator[np.ndarray]:
    """Yields the frames of a folder in order, uint8 (H, W, 3), transparency left out."""
    for path in sorted(folder.glob(FRAME_PATTERN)):
        try:
            with damage_as(lambda error: _unreadable(folder, error)), Image.open(path) as picture:
                frame = np.asarray(picture.convert("RGB"))
        except OSError as error:
            raise _unreadable(folder, error) from error
        yield frame


def _unreadable(folder: Path, error: Exception) -> VideoError:
    return VideoError("A frame in {path} cannot be read ({error}).", folder, error)
