"""Turns a picture of parted lips into a matte of the teeth that it shows itself."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .mouth_tone import INNER_LOWER, INNER_UPPER, LIP_POINTS, OWN_GAP

LIP_LIKE = (0.20, 0.50)  # from teeth colour (0) to lip colour (1): inside … a lip
DARK = 0.42  # of the lips' light below which a pixel is inside, whatever its hue
COLUMNS, ROWS = 49, 48  # samples over the mouth in which the lower lip's edge is looked for
MARGIN = 0.25  # of the opening, how far beyond the mesh's lip lines is looked
BOUNDARY_DEGREE = 2
LIP_EDGE = 0.008  # fw
SAME_GAP = 0.004  # fw by which a gap may differ from the picture's own and count as the same
KEPT = 0.010  # fw of further change within which the picture's own inside fades out


@dataclass(frozen=True, eq=False)
class OwnMouth:
    """What the picture itself shows between its lips, over the pixels of `box`.

    mattes: uint8 (h, w, 2), opacity of its own teeth and of everything between its lips. gap: fw.
    teeth_end: where its upper teeth end in the middle, 0 the upper lip's edge, 1 the lower one's.
    """

    box: tuple[int, int, int, int]
    mattes: np.ndarray
    gap: float
    teeth_end: float

    def opacity(self, x: np.ndarray, y: np.ndarray, gap: float, speaking: float) -> np.ndarray:
        """Share 0..1, float32 (h, w), in which the picture's own pixels show at source positions x, y.

        speaking: 0 while the mouth rests, when all shows as it is in the picture … 1 while only its teeth do.
        """
        planes = cv2.remap(
            self.mattes, x - np.float32(self.box[0]), y - np.float32(self.box[1]), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )  # fmt: skip
        changed = max(0.0, abs(gap - self.gap) - SAME_GAP)
        kept = max(0.0, 1 - changed / KEPT) * (1 - min(max(speaking, 0.0), 1.0))
        teeth = planes[..., 0].astype(np.float32)
        if kept > 0:
            teeth += (planes[..., 1] - teeth) * np.float32(kept)
        return teeth * np.float32(1 / 255)


def own_mouth(
    image: np.ndarray, landmarks: np.ndarray, face_width: float, teeth: np.ndarray | None
) -> OwnMouth | None:
    """The mattes of a picture whose lips are parted, else None.

    image: uint8 (H, W, 3). landmarks: (≥468, ≥2) px. face_width: px. teeth: (3,) RGB of teeth seen there,
    None where none are.
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    gap = float(np.hypot(*(points[14] - points[13]))) / face_width
    if gap < OWN_GAP:
        return None
    upper, lower = points[list(INNER_UPPER)], points[list(INNER_LOWER)]
    ring = np.concatenate([upper, lower[-2:0:-1]])
    pad = 0.03 * face_width + 2
    low = np.maximum(np.floor(ring.min(0) - pad), 0).astype(int)
    high = np.minimum(np.ceil(ring.max(0) + pad) + 1, [image.shape[1], image.shape[0]]).astype(int)
    if (high - low).min() < 3:
        return None
    size = (int(high[1] - low[1]), int(high[0] - low[0]))
    # Soft edges of the lips let a little of their own picture through.
    grown = 2 * round(LIP_EDGE * face_width + 1.5) + 1
    between = cv2.dilate(_filled(ring - low, size), np.ones((grown, grown), np.uint8))
    matte = np.zeros_like(between)
    teeth_end = 1.0
    if teeth is not None:
        edge, teeth_end = _lower_edge(image, upper, lower, teeth, _lip_rgb(image, points))
        matte = _filled(np.concatenate([_resampled(upper), edge[::-1]]) - low, size)
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    mattes = cv2.GaussianBlur(np.dstack([matte, between]), (0, 0), max(0.6, 0.002 * face_width))
    return OwnMouth(box, np.ascontiguousarray(mattes), gap, teeth_end)


def _filled(polygon: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shift = 4  # fractional bits
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(polygon * 2**shift).astype(np.int32)], (255,), cv2.LINE_AA, shift)
    return mask


def _resampled(line: np.ndarray) -> np.ndarray:
    """A line of points at COLUMNS places, evenly along its index."""
    at = np.linspace(0, len(line) - 1, COLUMNS)
    return np.stack([np.interp(at, np.arange(len(line)), line[:, i]) for i in (0, 1)], 1)


def _lip_rgb(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    rows = np.clip(points[list(LIP_POINTS), 1].astype(int), 0, image.shape[0] - 1)
    columns = np.clip(points[list(LIP_POINTS), 0].astype(int), 0, image.shape[1] - 1)
    return np.median(image[rows, columns].astype(np.float32), axis=0)


def _lower_edge(
    image: np.ndarray, upper: np.ndarray, lower: np.ndarray, teeth: np.ndarray, lips: np.ndarray
) -> tuple[np.ndarray, float]:
    """Where the lower lip begins, (COLUMNS, 2) px from corner to corner: the mesh's line, mended by colour.

    Also its height in the middle as a share of the mesh's opening.
    """
    top, bottom = _resampled(upper), _resampled(lower)
    share = np.linspace(0.0, 1 + MARGIN, ROWS)
    grid = top[None] + (bottom - top)[None] * share[:, None, None]
    seen = cv2.remap(
        image, grid[..., 0].astype(np.float32), grid[..., 1].astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)  # fmt: skip
    # Hue without brightness tells a tooth in shade from a lip; a pixel much darker than lips is inside.
    lum = seen.mean(-1)
    hue = seen / np.maximum(lum, 8.0)[..., None]
    teeth_hue, lip_hue = teeth / max(float(teeth.mean()), 8.0), lips / max(float(lips.mean()), 8.0)
    axis = (lip_hue - teeth_hue).astype(np.float32)
    likeness = (hue - teeth_hue.astype(np.float32)) @ axis / max(float(axis @ axis), 1e-4)
    t = np.clip((likeness - LIP_LIKE[0]) / (LIP_LIKE[1] - LIP_LIKE[0]), 0, 1)
    lip = t * t * (3 - 2 * t) * (lum > DARK * lips.mean())
    # The best place to cut a column: inside above, lip below.
    gained = np.concatenate([np.zeros((1, COLUMNS)), np.cumsum(0.5 - lip, axis=0)])
    fair = 0.06 * np.abs(np.arange(ROWS + 1) / ROWS * (1 + MARGIN) - 1)[:, None] * ROWS * 0.5
    cut = share[np.clip(np.argmax(gained - fair, axis=0) - 1, 0, ROWS - 1)]
    cut = np.clip(cut, 0.45, 1 + MARGIN * 0.6)
    across = np.linspace(-1, 1, COLUMNS)
    inner = np.abs(across) < 0.85
    curve = cut
    for _ in range(3):
        curve = np.polyval(np.polyfit(across[inner], cut[inner], BOUNDARY_DEGREE), across)
        cut = np.clip(cut, curve - 0.08, curve + 0.08)
    curve = np.clip(curve, 0.45, 1 + MARGIN * 0.6)
    corner = np.clip((np.abs(across) - 0.8) / 0.2, 0, 1)
    curve = curve * (1 - corner) + corner
    return top + (bottom - top) * curve[:, None], float(curve[COLUMNS // 2])
