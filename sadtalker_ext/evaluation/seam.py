"""Turns frames, one at a time, into whether a seam shows where the rendered face meets the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OUTSIDE = 12  # px beyond the border that tell what the codec does to gradients
BORDER = 2  # px on either side of the border that the index is measured on
DEPTH = 0.12  # of the region's shorter side, inwards, in which any other line is looked for
FLOOR = 0.5  # levels of 255, added to both gradients: a blank wall has none to compare
LEAST_SIDE = 16  # px


@dataclass(frozen=True)
class Seam:
    """Gradients across the border of the region that may move, over the same in the picture.

    index: on the border itself; 1 is no seam, more is an edge, less is a blur. steepest: the greatest ratio
    of any line parallel to the border up to `DEPTH` inside it; within: the mean over those lines. What
    compression does to gradients just outside the region (softening) is divided out of all three.
    """

    index: float
    steepest: float
    within: float
    softening: float


class SeamWatcher:
    """Sums gradients across the lines around a region's border; memory of a few numbers a line."""

    def __init__(self, picture: np.ndarray, region: tuple[float, ...]) -> None:
        """picture: uint8 (H, W, 3) the video was made from. region: x0, y0, x1, y1 in its pixels."""
        height, width = picture.shape[:2]
        x0, y0 = max(0, round(region[0])), max(0, round(region[1]))
        x1, y1 = min(width, round(region[2])), min(height, round(region[3]))
        self._size = (height, width)
        self._box = (x0, y0, x1, y1)
        shorter = min(x1 - x0, y1 - y0)
        self._depth = round(DEPTH * shorter)
        self._sides = [
            side
            for side, room in (("left", x0), ("top", y0), ("right", width - x1), ("bottom", height - y1))
            if shorter >= LEAST_SIDE and room > OUTSIDE
        ]
        self._wanted = self._profile(picture)
        self._seen = np.zeros_like(self._wanted)
        self._count = 0

    def watch(self, frame: np.ndarray) -> None:
        """One more uint8 frame (H, W, 3 or 4); frames of another size than the picture are left out."""
        height, width = self._size
        if self._sides and 0 <= frame.shape[0] - height <= 1 and 0 <= frame.shape[1] - width <= 1:
            self._seen += self._profile(frame)
            self._count += 1

    def result(self) -> Seam | None:
        """None where no frame could be compared, or every side of the region lies on the picture's edge."""
        if not self._sides or not self._count:
            return None
        ratio = (self._seen / self._count + FLOOR) / (self._wanted + FLOOR)
        softening = float(ratio[: OUTSIDE - BORDER].mean())
        ratio = ratio / softening
        border = slice(OUTSIDE - BORDER, OUTSIDE + BORDER + 1)
        inside = ratio[OUTSIDE:]
        return Seam(float(ratio[border].mean()), float(inside.max()), float(inside.mean()), softening)

    def _profile(self, image: np.ndarray) -> np.ndarray:
        """Mean gradient, in levels, between neighbouring lines, from outside the border inwards."""
        lines, weight = np.zeros(OUTSIDE + self._depth), 0
        for side in self._sides:
            part = self._lines(image, side)
            lines += np.abs(np.diff(part.astype(np.int16), axis=0)).mean(axis=(1, 2)) * part.shape[1]
            weight += part.shape[1]
        return lines / max(1, weight)

    def _lines(self, image: np.ndarray, side: str) -> np.ndarray:
        """The lines along one side, uint8 (lines, pixels, 3), from outside to inside."""
        x0, y0, x1, y1 = self._box
        if side in ("left", "right"):
            image = image[:, :, :3].transpose(1, 0, 2)
            x0, y0, x1, y1 = y0, x0, y1, x1
        else:
            image = image[:, :, :3]
        part = image[:, x0:x1]
        if side in ("left", "top"):
            return part[y0 - OUTSIDE - 1 : y0 + self._depth]
        return part[y1 - self._depth : y1 + OUTSIDE + 1][::-1]
