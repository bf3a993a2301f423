"""Turns frames, one at a time, into how much changes outside the face: a still background must stay still."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

BLOCK = 8  # pixels; means of blocks average away what the codec does to single pixels
BLOCK_TOLERANCE = 5.0  # levels of 255 that a block's mean may change in a compressed video
GROWTH = 1.0  # without a known region: the face's box and this share of its size on every side
LEAST_SHARE = 0.01  # of the picture that must lie outside the region


@dataclass(frozen=True)
class Background:
    """What changes outside the region that may move, x0, y0, x1, y1 in pixels.

    exact: lossless frames, compared pixel by pixel in every colour without tolerance. Otherwise the
    brightness of 8×8 blocks is compared, with a tolerance of `BLOCK_TOLERANCE` levels of 255.
    changed: share of pixels or blocks that differ from the reference in any frame. largest: greatest
    difference in levels. flicker: mean change from frame to frame in levels.
    reference: "picture" or "first frame". region_known: from the video's metadata, not estimated.
    """

    region: tuple[int, int, int, int]
    region_known: bool
    reference: str
    exact: bool
    changed: float
    largest: float
    flicker: float


class Watcher:
    """Compares every frame with a reference and with the frame before; memory of a few frames."""

    def __init__(
        self, reference: np.ndarray | None, opaque: np.ndarray | None = None, *, lossless: bool
    ) -> None:
        """reference: uint8 (H, W, 3) that an untouched background equals; None takes the first frame.

        opaque: which of its pixels to compare, bool (H, W); None means all.
        """
        self.given = reference
        self.opaque = None if opaque is None or opaque.all() else opaque
        self.lossless = lossless
        self.notice: str | None = None
        self._reference: np.ndarray | None = None
        self._before: np.ndarray | None = None
        self._peak = np.zeros((0, 0), np.float32)
        self._steps = np.zeros((0, 0), np.float32)
        self._count = 0

    def watch(self, frame: np.ndarray) -> None:
        """One more uint8 RGB frame (H, W, 3)."""
        reduced = self._reduce(frame)
        if self._reference is None or self._before is None:
            self._start(frame, reduced)
            assert self._reference is not None
            assert self._before is not None
        cv2.max(self._peak, _difference(reduced, self._reference), dst=self._peak)
        if self._count:
            cv2.add(self._steps, _difference(reduced, self._before), dst=self._steps)
        self._before = reduced
        self._count += 1

    def result(
        self, region: tuple[float, ...] | None, face: tuple[float, float, float, float] | None
    ) -> Background | None:
        """region: known from metadata; without it `face`, a box, is grown. None when nothing lies outside."""
        box = region if region is not None or face is None else _grown(face)
        if self._before is None or box is None:
            return None
        scale = 1 if self.lossless else BLOCK
        height, width = self._peak.shape
        x0, y0 = max(0, int(box[0] // scale)), max(0, int(box[1] // scale))
        x1, y1 = (min(width, -int(-box[2] // scale)), min(height, -int(-box[3] // scale)))
        outside = np.ones((height, width), bool)
        outside[y0:y1, x0:x1] = False
        if self.opaque is not None:
            outside &= self._comparable(self.opaque)
        if outside.mean() < LEAST_SHARE:
            return None
        peak, tolerance = self._peak[outside], 0.0 if self.lossless else BLOCK_TOLERANCE
        return Background(
            region=(x0 * scale, y0 * scale, x1 * scale, y1 * scale),
            region_known=region is not None,
            reference="first frame" if self.given is None else "picture",
            exact=self.lossless,
            changed=float((peak > tolerance).mean()),
            largest=float(peak.max()),
            flicker=float(self._steps[outside].mean() / max(1, self._count - 1)),
        )

    def _start(self, frame: np.ndarray, reduced: np.ndarray) -> None:
        given = self.given
        if given is not None:
            down, across = frame.shape[0] - given.shape[0], frame.shape[1] - given.shape[1]
            if not (0 <= down <= 1 and 0 <= across <= 1):
                self.given = given = self.opaque = None
                self.notice = "The picture's size is not the video's; the first frame was compared instead."
            else:  # an odd size was made even by repeating the last row or column
                given = np.pad(given, ((0, down), (0, across), (0, 0)), mode="edge")
        self._reference = reduced if given is None else self._reduce(given)
        self._before = reduced
        self._peak = np.zeros(reduced.shape[:2], np.float32)
        self._steps = np.zeros(reduced.shape[:2], np.float32)

    def _comparable(self, opaque: np.ndarray) -> np.ndarray:
        """Pixels, or blocks with those around them, that are opaque throughout; bool, shaped as the peak."""
        height, width = self._peak.shape
        scale = 1 if self.lossless else BLOCK
        canvas = np.zeros((height * scale, width * scale), np.uint8)
        part = opaque[: canvas.shape[0], : canvas.shape[1]]
        canvas[: part.shape[0], : part.shape[1]] = part
        if self.lossless:
            return canvas > 0
        whole = canvas.reshape(height, BLOCK, width, BLOCK).min(axis=(1, 3))
        # What a codec makes of a sharp edge reaches into the blocks beside it.
        return cv2.erode(whole, np.ones((3, 3), np.uint8)) > 0

    def _reduce(self, frame: np.ndarray) -> np.ndarray:
        """The frame itself, or its brightness as float32 means of whole blocks."""
        if self.lossless:
            return frame
        rows, columns = max(1, frame.shape[0] // BLOCK), max(1, frame.shape[1] // BLOCK)
        grey = cv2.cvtColor(np.ascontiguousarray(frame[:, :, :3]), cv2.COLOR_RGB2GRAY)
        whole = grey[: rows * BLOCK, : columns * BLOCK].astype(np.float32)
        return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Difference, the greatest over the colours, float32 (H, W)."""
    found = cv2.absdiff(one, other)
    return (found.max(axis=2) if found.ndim == 3 else found).astype(np.float32)


def _grown(box: tuple[float, float, float, float]) -> tuple[float, ...]:
    width, height = GROWTH * (box[2] - box[0]), GROWTH * (box[3] - box[1])
    return box[0] - width, box[1] - height, box[2] + width, box[3] + height
