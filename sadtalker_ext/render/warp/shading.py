"""Turns an opening jaw into soft shade beside the nose, under the lip and under the chin."""

from __future__ import annotations

import cv2
import numpy as np

from ...face import topology
from .frame import FaceFrame


def skin_tone(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Mean colour of the cheeks, float32 (3,) in 0..255.

    image: uint8 (H, W, 3). points: (478, 3) mesh in its pixels; parts outside the picture are left out.
    """
    height, width = image.shape[:2]
    radius = max(1, round(0.02 * float(np.linalg.norm(points[454] - points[234]))))
    patches = []
    for x, y in points[[50, 280, 205, 425], :2]:
        column, row = int(np.clip(x, 0, width - 1)), int(np.clip(y, 0, height - 1))
        patch = image[max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1]
        patches.append(patch.reshape(-1, 3).mean(0))
    return np.mean(patches, 0).astype(np.float32)


class FaceShading:
    """Shade of one face, in its own pixels, multiplied in as the jaw opens."""

    def __init__(self, image: np.ndarray, frame: FaceFrame) -> None:
        self._frame = frame

    def apply(self, out: np.ndarray, map_x: np.ndarray, map_y: np.ndarray, *, jaw: float, gap: float) -> None:
        """Darken `out` (uint8, in place) for a jaw opening of 0..1."""
