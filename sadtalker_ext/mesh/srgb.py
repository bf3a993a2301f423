"""Codes of pictures into linear light, and back (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np


def to_linear(codes: np.ndarray) -> np.ndarray:
    """Linear light 0..1 of sRGB codes 0..1, of any shape."""
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def to_srgb(light: np.ndarray) -> np.ndarray:
    """sRGB codes 0..1 of linear light 0..1, of any shape."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
