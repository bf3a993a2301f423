"""Turns a face's skin into how flatly it is drawn: 0 shaded like a photo, 1 filled with one tone."""

from __future__ import annotations

import numpy as np

SKIN_POINTS = (50, 280, 205, 425, 36, 266, 199, 151)  # cheeks, chin, forehead
RADIUS = 0.05  # fw around each point
QUANTILE = 30  # hair or a nose may cross some of them
FLAT_RANGE = (2.5, 6.0)  # grey levels within a patch: one tone … shaded


def pixels_around(image: np.ndarray, point: np.ndarray, radius: float) -> np.ndarray:
    """Pixels float64 (n, 3) of a square around a point (x, y) px, at least one, moved into the picture."""
    r = max(1, int(radius))
    x = int(np.clip(point[0], r, max(r, image.shape[1] - 1 - r)))
    y = int(np.clip(point[1], r, max(r, image.shape[0] - 1 - r)))
    return image[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1].reshape(-1, 3).astype(np.float64)


def flatness(image: np.ndarray, points: np.ndarray, face_width: float) -> float:
    """How flatly a face is drawn, 0..1.

    image: uint8 (H, W, 3). points: (≥468, ≥2) px of its mesh. face_width: px.
    """
    ranges = []
    for index in SKIN_POINTS:
        lum = pixels_around(image, points[index], RADIUS * face_width).mean(1)
        ranges.append(float(np.subtract(*np.percentile(lum, [92, 8]))))
    low, high = FLAT_RANGE
    t = float(np.clip((float(np.percentile(ranges, QUANTILE)) - low) / (high - low), 0, 1))
    return 1 - t * t * (3 - 2 * t)


def skin_rgb(image: np.ndarray, points: np.ndarray, face_width: float) -> np.ndarray:
    """The usual colour of a face's skin, (3,) 0..255, robust against hair and shade."""
    around = (pixels_around(image, points[index], 0.03 * face_width) for index in SKIN_POINTS)
    return np.median([np.median(pixels, axis=0) for pixels in around], axis=0)
