"""Draws the faces that were found onto their picture, numbered, and saves pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import OutputError
from ..system.outputs import check_new_file, write_whole
from ..system.paths import user_path
from . import topology
from .faces import Face
from .portrait import Portrait

Colour = tuple[int, int, int]  # RGB

CHOSEN = (60, 214, 130)  # RGB
OTHER = (255, 196, 61)
INK = (22, 26, 29)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
QUALITY = 95  # of 100, where the format loses something
LINE = 0.0032  # width of boxes over the picture's mean side
BOX_LINE = 0.012  # the same over the face's size, for faces that are small in their picture
MESH_LINE = 0.006  # width of the mesh's outlines over the face's size
RIM_FROM = 160.0  # px of face from which outlines get a dark rim; on smaller ones it would hide the face
CONTOURS = (
    (topology.FACE_OVAL, True),
    (topology.LIPS_OUTER, True),
    (topology.LIPS_INNER, True),
    (topology.LEFT_EYE, True),
    (topology.RIGHT_EYE, True),
    (topology.LEFT_BROW_UPPER, False),
    (topology.RIGHT_BROW_UPPER, False),
    (topology.LEFT_IRIS_RIM, True),
    (topology.RIGHT_IRIS_RIM, True),
    ((168, 6, 197, 195, 5, 4), False),  # the ridge of the nose
    ((129, 98, 2, 327, 358), False),  # its wings
)


def draw_faces(
    picture: Portrait | np.ndarray, faces: Sequence[Face], chosen: Face | int | None
) -> np.ndarray:
    """The picture, uint8 (H, W, 3), with a numbered box around each face and the chosen one's mesh outlined.

    picture: a portrait or a uint8 (H, W, 3) RGB image. chosen: a face, its number from 1, or None.
    """
    canvas = np.ascontiguousarray(picture if isinstance(picture, np.ndarray) else picture.image).copy()
    widest = LINE * (canvas.shape[0] + canvas.shape[1]) / 2
    for number, face in sorted(enumerate(faces, 1), key=lambda pair: _is(chosen, *pair)):  # the chosen on top
        selected = _is(chosen, number, face)
        line = max(1, round(min(widest, BOX_LINE * face.size)))
        colour = CHOSEN if selected else OTHER
        if selected:
            thin, rim = max(1, round(MESH_LINE * face.size)), face.size >= RIM_FROM
            for contour, closed in CONTOURS:
                _polyline(canvas, face.landmarks[list(contour), :2], closed, colour, thin, rim=rim)
        _box(canvas, face, colour, line)
        _label(canvas, face, str(number), colour, line)
    return canvas


def save_preview(portrait: Portrait, target: str | Path, *, overwrite: bool = False) -> Path:
    """Draw a portrait's faces into a picture file; returns its path. Raises `OutputError`."""
    return save_picture(draw_faces(portrait, portrait.faces, portrait.face), target, overwrite=overwrite)


def check_picture_output(target: str | Path, overwrite: bool = False) -> Path:
    """Refuse, before any work, a place where a picture cannot be written; returns the path with `~` expanded.

    Raises `OutputError`: unknown ending, missing or unwritable folder, or a file that exists.
    """
    path = user_path(target)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"A picture is saved as {', '.join(SUFFIXES)}, not as {path.name!r}; rename it.")
    check_new_file(path, overwrite)
    return path


def save_picture(image: np.ndarray, target: str | Path, *, overwrite: bool = False) -> Path:
    """Write a uint8 (H, W, 3|4) picture to a .png, .jpg or .webp file; returns its path.

    Raises `OutputError` as `check_picture_output` does, or when writing fails. Nothing half-written is left.
    """
    path = check_picture_output(target, overwrite)
    kind = path.suffix.lower().lstrip(".").replace("jpg", "jpeg")
    picture = Image.fromarray(image)
    if kind == "jpeg":
        picture = picture.convert("RGB")
    encoded = io.BytesIO()  # into a file on a full disk, Pillow writes half a JPEG without a word
    picture.save(encoded, kind, quality=QUALITY)
    write_whole(path, overwrite, lambda file: file.write(encoded.getbuffer()))
    return path


def _is(chosen: Face | int | None, number: int, face: Face) -> bool:
    return chosen is face or (isinstance(chosen, int) and chosen == number)


def _polyline(
    canvas: np.ndarray, points: np.ndarray, closed: bool, colour: Colour, line: int, *, rim: bool = True
) -> None:
    # Four more bits of position, so that outlines of small faces do not look jagged.
    fixed = [np.round(points * 16).astype(np.int32)]
    if rim:
        cv2.polylines(canvas, fixed, closed, INK, line + 2, cv2.LINE_AA, shift=4)
    cv2.polylines(canvas, fixed, closed, colour, line, cv2.LINE_AA, shift=4)


def _box(canvas: np.ndarray, face: Face, colour: Colour, line: int) -> None:
    """Corner brackets, so that the face inside stays in view."""
    x0, y0, x1, y1 = _frame(face)
    reach = 0.22 * min(x1 - x0, y1 - y0)
    for x, y, dx, dy in ((x0, y0, 1, 1), (x1, y0, -1, 1), (x1, y1, -1, -1), (x0, y1, 1, -1)):
        corner = np.array([(x + dx * reach, y), (x, y), (x, y + dy * reach)])
        _polyline(canvas, corner, False, colour, line * 2)


def _label(canvas: np.ndarray, face: Face, text: str, colour: Colour, line: int) -> None:
    x0, y0, _, _ = _frame(face)
    scale = max(0.4, line * 0.36)
    thick = max(1, round(line * 0.8))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thick)
    pad = max(3, round(height * 0.45))
    left = int(np.clip(x0, 0, max(0, canvas.shape[1] - width - 2 * pad)))
    bottom = int(np.clip(y0 - line * 2, height + 2 * pad, canvas.shape[0]))
    corner = (left + width + 2 * pad, bottom - height - 2 * pad)
    cv2.rectangle(canvas, (left, bottom), corner, INK, -1)
    cv2.rectangle(canvas, (left, bottom), corner, colour, max(1, line // 2), cv2.LINE_AA)
    place = (left + pad, bottom - pad)
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, colour, thick, cv2.LINE_AA)


def _frame(face: Face) -> tuple[float, float, float, float]:
    """The box with a little air, so that brackets do not touch the face's own outline."""
    air = 0.08 * face.size
    return face.box[0] - air, face.box[1] - air, face.box[2] + air, face.box[3] + air
