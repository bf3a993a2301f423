"""68 landmarks into the part of a picture that SadTalker's networks see, in the picture's own pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

Mode = Literal["crop", "extcrop", "resize", "full", "extfull"]
MODES: tuple[Mode, ...] = ("crop", "extcrop", "resize", "full", "extfull")

OUTPUT = 512  # px, the size above which large faces are shrunk first
BORDER, LEAST_BORDER = 0.1, 3  # around the face square, of its side, and in px
EYE_DISTANCES, MOUTH_DISTANCES = 2.0, 1.8  # half the square's side in eye and in eye-to-mouth distances
TOWARDS_MOUTH = 0.1  # the square's centre on the way from the eyes to the mouth
SETTLED = 6  # decimals of a pixel

# Landmarks of the 68-point scheme, counted from 0.
EYE_LEFT, EYE_RIGHT = slice(36, 42), slice(42, 48)
MOUTH_CORNERS = (48, 54)


class Box(NamedTuple):
    """Whole pixels; right and bottom are not included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def moved(self, x: int, y: int) -> Box:
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)


def as_mode(name: str) -> Mode:
    """The mode of that name; raises `ValueError` for another."""
    for mode in MODES:
        if mode == name:
            return mode
    raise ValueError(f"no crop mode is called {name!r}")


@dataclass(frozen=True)
class FaceCrop:
    """Where a face is cut out.

    picture: (width, height) the picture is resized to first; smaller than it is only where the face is huge.
    outer: the face with its surroundings, in that picture. inner: the face more tightly, in the same pixels.
    """

    picture: tuple[int, int]
    outer: Box
    inner: Box

    def box(self, mode: Mode) -> Box:
        """What becomes the networks' square in a mode."""
        if mode == "resize":
            return Box(0, 0, *self.picture)
        return self.outer if mode.startswith("ext") else self.inner


def face_crop(landmarks: np.ndarray, width: int, height: int) -> FaceCrop:
    """The crop around a face in a picture of `width` × `height` px.

    landmarks: (68, 2) x, y in pixels. After FFHQ's alignment, of which only the bounding box is used: nothing
    is turned.
    """
    corners, side = map(settled, _face_square(np.asarray(landmarks, np.float64)))
    shrink = int(np.floor(side / OUTPUT * 0.5))
    if shrink > 1:
        width, height = int(np.rint(width / shrink)), int(np.rint(height / shrink))
        corners, side = corners / shrink, side / shrink
    border = max(int(np.rint(side * BORDER)), LEAST_BORDER)
    low, high = corners.min(axis=0), corners.max(axis=0)
    outer = Box(
        max(int(np.floor(low[0])) - border, 0),
        max(int(np.floor(low[1])) - border, 0),
        min(int(np.ceil(high[0])) + border, width),
        min(int(np.ceil(high[1])) + border, height),
    )
    corners = corners - (outer.left, outer.top) + 0.5
    inner = Box(
        int(max(min(corners[0, 0], corners[1, 0]), 0)),
        int(max(min(corners[0, 1], corners[3, 1]), 0)),
        int(min(max(corners[2, 0], corners[3, 0]), outer.width)),
        int(min(max(corners[1, 1], corners[2, 1]), outer.height)),
    )
    return FaceCrop((width, height), outer, inner.moved(outer.left, outer.top))


def settled(pixels: Any) -> Any:
    """Pixels, a number or an array, ready to be cut to whole ones.

    The last bits of linear algebra differ from processor to processor: 128 may arrive as 127.999….
    """
    return np.round(pixels, SETTLED)


def _face_square(landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """The square around a face: corners (4, 2) from the top left by the bottom left, and its side in px."""
    left, right = landmarks[EYE_LEFT].mean(axis=0), landmarks[EYE_RIGHT].mean(axis=0)
    eyes, between = (left + right) / 2, right - left
    to_mouth = landmarks[list(MOUTH_CORNERS)].mean(axis=0) - eyes
    across = between - to_mouth[::-1] * (-1, 1)
    across = across / np.hypot(*across)
    across *= max(np.hypot(*between) * EYE_DISTANCES, np.hypot(*to_mouth) * MOUTH_DISTANCES)
    down = across[::-1] * (-1, 1)
    centre = eyes + to_mouth * TOWARDS_MOUTH
    corners = np.stack(
        [centre - across - down, centre - across + down, centre + across + down, centre + across - down]
    )
    return corners, 2 * float(np.hypot(*across))
