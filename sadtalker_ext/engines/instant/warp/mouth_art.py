"""Turns a resolution into pictures of upper teeth, lower teeth and a tongue, in face widths."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .grid import smoothstep

# Half an arch from the middle outwards, as seen from the front: (width, how much shorter than the
# first, pointedness). Widths and lengths in fw (1 fw is about 14 cm).
UPPER_TEETH = (
    (0.0600, 0.0000, 0.00),
    (0.0470, 0.0050, 0.10),
    (0.0430, 0.0010, 0.75),
    (0.0310, 0.0070, 0.45),
    (0.0230, 0.0100, 0.30),
    (0.0150, 0.0130, 0.20),
)
LOWER_TEETH = (
    (0.0350, 0.0000, 0.00),
    (0.0380, 0.0008, 0.05),
    (0.0390, 0.0000, 0.60),
    (0.0300, 0.0050, 0.40),
    (0.0220, 0.0080, 0.30),
)
SUPERSAMPLING = 3
RELIEF = 0.17  # how much darker a tooth gets towards its sides
GROOVE = 0.0022  # fw, half width of the shadow between two teeth


@dataclass(frozen=True, eq=False)
class Art:
    """A picture in face widths: `pixels` float32 (h, w, 4), light (already times opacity) and opacity.

    Light is a factor of the tissue's own colour. `left`, `top`: fw coordinates of the first pixel's
    centre; `density`: pixels per fw.
    """

    pixels: np.ndarray
    left: float
    top: float
    density: float


def _grid(
    left: float, right: float, top: float, bottom: float, density: float
) -> tuple[np.ndarray, np.ndarray]:
    step = 1 / (density * SUPERSAMPLING)
    columns = round((right - left) * density) * SUPERSAMPLING
    rows = round((bottom - top) * density) * SUPERSAMPLING
    x = left + (np.arange(columns, dtype=np.float32) + 0.5) * step
    y = top + (np.arange(rows, dtype=np.float32) + 0.5) * step
    return x[None, :], y[:, None]


def _art(light: np.ndarray, opacity: np.ndarray, left: float, top: float, density: float) -> Art:
    full = np.concatenate([light * opacity[..., None], opacity[..., None]], -1).astype(np.float32)
    size = full.shape[1] // SUPERSAMPLING, full.shape[0] // SUPERSAMPLING
    pixels = cv2.resize(full, size, interpolation=cv2.INTER_AREA)
    return Art(pixels, left + 0.5 / density, top + 0.5 / density, density)


def _row(x: np.ndarray, teeth: tuple[tuple[float, float, float], ...]) -> tuple[np.ndarray, ...]:
    """Per column of x: place across its tooth (−1..1), distance to its side, height lost, tooth number."""
    bounds = np.cumsum([0.0] + [w for w, _, _ in teeth])
    table = np.asarray(teeth)
    number = np.clip(np.searchsorted(bounds, np.abs(x), side="right") - 1, 0, len(teeth) - 1)
    half = table[number, 0] / 2
    across = np.clip((np.abs(x) - bounds[number] - half) / half, -1, 1)
    side = (1 - np.abs(across)) * half
    point = table[number, 2]
    lost = table[number, 1] + (1 - point) * 0.0080 * np.abs(across) ** 4.5
    lost = lost + point * 0.010 * np.abs(across) ** 1.6
    return across, side, lost, number


def upper_teeth(density: float) -> Art:
    """Upper teeth: y = 0 is the edge of the middle ones, the gum is at negative y."""
    left, right, top, bottom = -0.235, 0.235, -0.085, 0.012
    x, y = _grid(left, right, top, bottom, density)
    across, side, lost, number = _row(x, UPPER_TEETH)
    arch = 0.020 * (np.abs(x) / 0.16) ** 2.2
    height = -(lost + arch) - y  # above the tooth's edge
    opacity = np.clip(0.5 + height * density * SUPERSAMPLING, 0, 1)
    light = 1 - RELIEF * np.abs(across) ** 2.6
    groove = np.exp(-((side / GROOVE) ** 2))
    light = light * (1 - groove * (0.34 + 0.26 * np.exp(-np.maximum(height, 0) / 0.010)))
    light = light * (1 - 0.10 * np.exp(-np.maximum(height, 0) / 0.005))  # the edge lets light through
    light = light * (1 + 0.05 * np.exp(-(((across + 0.2) / 0.35) ** 2) - ((height - 0.020) / 0.010) ** 2))
    light = light * (1 - 0.16 * smoothstep(height, 0.015, 0.060))
    light = light * (1 - 0.74 * smoothstep(np.abs(x), 0.095, 0.205))
    tone = np.array([1.0, 0.985, 0.955, 0.97, 0.97, 0.97])[number]
    warm = np.stack([light * tone, light**1.07 * tone**1.3, light**1.18 * tone**2.2], -1)
    clear = np.exp(-np.maximum(height, 0) / 0.006)[..., None] * np.array([-0.035, -0.01, 0.02])
    opacity = opacity * (1 - smoothstep(np.abs(x), 0.205, 0.219))
    return _art((warm + clear).astype(np.float32), opacity, left, top, density)


def lower_teeth(density: float) -> Art:
    """Lower teeth: y = 0 is the edge of the middle ones, the gum is at positive y."""
    left, right, top, bottom = -0.175, 0.175, -0.010, 0.075
    x, y = _grid(left, right, top, bottom, density)
    across, side, lost, _ = _row(x, LOWER_TEETH)
    arch = 0.014 * (np.abs(x) / 0.13) ** 2.0
    depth = y - lost - arch
    opacity = np.clip(0.5 + depth * density * SUPERSAMPLING, 0, 1)
    light = 1 - RELIEF * np.abs(across) ** 2.4
    light = light * (1 - 0.50 * np.exp(-((side / (GROOVE * 0.9)) ** 2)))
    light = light * (1 + 0.06 * np.exp(-(((depth - 0.004) / 0.003) ** 2)))
    light = light * (1 - 0.45 * smoothstep(depth, 0.008, 0.045))
    light = light * (1 - 0.80 * smoothstep(np.abs(x), 0.060, 0.150))
    opacity = opacity * (1 - smoothstep(np.abs(x), 0.140, 0.163))
    warm = np.stack([light, light**1.07, light**1.18], -1).astype(np.float32)
    return _art(warm, opacity, left, top, density)


def tongue(density: float) -> Art:
    """The tongue seen from the front: y = 0 is its highest point, its tip lies lower and nearer."""
    left, right, top, bottom = -0.170, 0.170, -0.015, 0.160
    x, y = _grid(left, right, top, bottom, density)
    depth = y - 0.050 * (np.abs(x) / 0.13) ** 2.4
    opacity = smoothstep(depth, -0.004, 0.008)
    nearer = smoothstep(depth, 0.0, 0.055)
    light = 0.50 + 0.50 * nearer
    light = light * (1 - 0.35 * (np.abs(x) / 0.15) ** 2)
    light = light * (1 - 0.20 * np.exp(-((x / 0.007) ** 2)) * (1 - 0.6 * nearer))
    light = light * (1 - 0.10 * np.exp(-((x / 0.020) ** 2)))
    grain = np.random.default_rng(1).standard_normal(light.shape).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), max(0.004 * density * SUPERSAMPLING, 1.0))
    light = light * (1 + 0.035 * grain / max(float(grain.std()), 1e-6))
    wet = np.exp(-(((np.abs(x) - 0.034) / 0.016) ** 2) - ((depth - 0.030) / 0.010) ** 2)
    colour = light[..., None] + 0.16 * wet[..., None] * np.array([0.8, 1.2, 1.2])
    return _art(colour.astype(np.float32), np.broadcast_to(opacity, light.shape), left, top, density)
