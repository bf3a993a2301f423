"""Turns a video into one picture of many of its frames, so that its motion can be judged at a glance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from os import PathLike
from pathlib import Path

import cv2
import numpy as np

from ..errors import VideoError
from ..face import FaceTracker
from ..host import Check, nothing
from ..video import probe, read_frames

CELL_WIDTH = 192  # pixels
GUTTER = 4  # pixels between cells
PAPER = 24  # grey level of gutters and empty cells
FACE_MARGIN = 0.35  # of the face's box, shown on every side of it
LABEL_SCALE = 0.45  # OpenCV's font scale in a cell of CELL_WIDTH
LOOKED_AT = 25  # first frames in which the face is looked for


def contact_sheet(
    video: str | PathLike[str],
    columns: int = 8,
    rows: int = 5,
    *,
    crop: str | None = "face",
    labels: bool | Sequence[str] = True,
    times: Sequence[float] | None = None,
    cell_width: int = CELL_WIDTH,
    check: Check = nothing,
) -> np.ndarray:
    """uint8 RGB picture of columns × rows frames, evenly spread over the video.

    crop: "face" shows the face and what is around it, the same cut in every cell; None shows whole frames.
    labels: True writes the time into each cell, a sequence gives the texts. times: seconds of the frames to
    show instead of an even spread. Raises `VideoError` for a video without frames.
    """
    path = Path(video)
    info = probe(path)
    if not info.has_video or not info.fps:
        raise VideoError(f"{path.name} holds no video; give a video file.")
    fps, count = float(info.fps), columns * rows
    total = info.frames or math.floor(info.duration * fps)
    if total < 1:
        total = sum(1 for _ in read_frames(path, check=check))
    if times is None:
        wanted = np.linspace(0, total - 1, min(count, max(total, 1))).round().astype(int)
    else:
        wanted = np.clip(np.round(np.asarray(times) * fps).astype(int), 0, total - 1)[:count]
    box = _face_box(path, check) if crop == "face" else None
    cells: dict[int, np.ndarray] = {}
    for number, frame in enumerate(read_frames(path, check=check)):
        if number in wanted:
            cells[number] = _cell(frame, box, cell_width)
        if number >= wanted.max():
            break
    if not cells:
        raise VideoError(f"No frame could be read from {path.name}.")
    # A container may promise a frame more than it holds: the last one stands in for it.
    shown = [cells.get(number, cells[max(cells)]).copy() for number in wanted.tolist()]
    if labels is not False:
        texts = [f"{number / fps:.2f} s" for number in wanted] if labels is True else labels
        for cell, text in zip(shown, texts, strict=False):
            _write(cell, text)
    return _grid(shown, columns)


def _face_box(path: Path, check: Check) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 (the latter two maybe beyond the edge) around the first face seen, with a margin."""
    for face in FaceTracker().track(islice(read_frames(path, check=check), LOOKED_AT)):
        if face is not None:
            x0, y0, x1, y1 = face.box
            across, down = FACE_MARGIN * (x1 - x0), FACE_MARGIN * (y1 - y0)
            return max(0, int(x0 - across)), max(0, int(y0 - down)), int(x1 + across), int(y1 + down)
    return None


def _cell(frame: np.ndarray, box: tuple[int, int, int, int] | None, width: int) -> np.ndarray:
    x0, y0, x1, y1 = box or (0, 0, frame.shape[1], frame.shape[0])
    cut = frame[y0:y1, x0:x1, :3]
    height = max(1, round(width * cut.shape[0] / cut.shape[1]))
    shrinking = width < cut.shape[1]
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)


def _write(cell: np.ndarray, text: str) -> None:
    """White letters with a dark rim, so that they can be read on anything."""
    scale = LABEL_SCALE * cell.shape[1] / CELL_WIDTH
    place = (round(0.03 * cell.shape[1]), cell.shape[0] - round(0.04 * cell.shape[1]))
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(cell, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)


def _grid(cells: Sequence[np.ndarray], columns: int) -> np.ndarray:
    height, width = cells[0].shape[:2]
    columns = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns)
    size = (rows * (height + GUTTER) + GUTTER, columns * (width + GUTTER) + GUTTER)
    sheet = np.full((*size, 3), PAPER, np.uint8)
    for number, cell in enumerate(cells):
        top = GUTTER + number // columns * (height + GUTTER)
        left = GUTTER + number % columns * (width + GUTTER)
        sheet[top : top + height, left : left + width] = cell
    return sheet
