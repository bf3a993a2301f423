"""Fixed lights around a head as tables: what a surface sends to the camera by the direction it faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..srgb import to_srgb

CELLS = 256  # of the table along each of the normal's x and y
BEYOND = 1.02  # |x| or |y| of the table's border: interpolated normals reach a little past 1
CODES = 4096  # steps of linear light in the table that encodes it for the screen


@dataclass(frozen=True)
class Light:
    """A light far away. way: towards it, x right, y up, z to the viewer. colour: linear light."""

    way: tuple[float, float, float]
    colour: tuple[float, float, float]
    wrap: float  # how far the light reaches around the terminator, 0..1


LIGHTS = (
    Light((-0.55, 0.65, 0.75), (0.80, 0.76, 0.70), 0.25),  # key: warm, upper left, before the face
    Light((0.80, 0.15, 0.55), (0.20, 0.23, 0.28), 0.40),  # fill: cool, from the right
    Light((0.75, 0.35, -0.55), (0.55, 0.58, 0.66), 0.0),  # rim: behind, right
    Light((-0.85, 0.25, -0.50), (0.30, 0.30, 0.32), 0.0),  # rim: behind, left
)
SKY, GROUND = (0.24, 0.26, 0.29), (0.12, 0.105, 0.095)  # of the surroundings, from above and from below
SHINE = ((14.0, 0.20), (70.0, 0.55))  # exponent and strength: a broad sheen and a small highlight
EDGE_SHEEN = 0.25  # additional reflection where the surface turns away (Schlick's approximation)
BACK_MIDDLE, BACK_EDGE = (0.60, 0.63, 0.67), (0.30, 0.33, 0.38)  # linear light of the background


def light_table() -> np.ndarray:
    """float32 (4, CELLS²) by the normal's y, then x: red, green, blue that white sends on, and shine."""
    axis = np.linspace(-BEYOND, BEYOND, CELLS)
    x, y = np.meshgrid(axis, axis)
    length = np.maximum(np.hypot(x, y), 1e-9)
    inside = np.minimum(length, 1.0)
    x, y = x / length * inside, y / length * inside
    z = np.sqrt(np.maximum(0, 1 - inside**2))
    normal = np.stack([x, y, z], 2)
    up = (y[..., None] + 1) / 2
    diffuse = up * np.array(SKY) + (1 - up) * np.array(GROUND)
    shine = np.zeros_like(x)
    sheen = EDGE_SHEEN * (1 - z) ** 4
    for light in LIGHTS:
        way = np.array(light.way) / np.linalg.norm(light.way)
        facing = np.maximum(0, (normal @ way + light.wrap) / (1 + light.wrap)) ** (1 + light.wrap)
        diffuse += facing[..., None] * np.array(light.colour)
        half = way + np.array([0, 0, 1])
        half /= np.linalg.norm(half)
        bright = float(np.mean(light.colour)) * (facing > 0)
        for exponent, strength in SHINE:
            shine += bright * strength * np.maximum(0, normal @ half) ** exponent
        shine += bright * sheen * facing
    table = np.concatenate([diffuse, shine[..., None]], 2).reshape(-1, 4)
    return np.ascontiguousarray(table.T, dtype=np.float32)


def table_place(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Row of the table for each normal, by its x and y in −1..1; those beyond take the border's."""
    scale, last = np.float32((CELLS - 1) / (2 * BEYOND)), CELLS - 1
    column = np.clip((x + np.float32(BEYOND)) * scale + np.float32(0.5), 0, last).astype(np.intp)
    row = np.clip((y + np.float32(BEYOND)) * scale + np.float32(0.5), 0, last).astype(np.intp)
    return row * CELLS + column


def background(width: int, height: int) -> np.ndarray:
    """Linear light float32 (H, W, 3) behind the head: bright behind the face, falling off softly."""
    x = (np.arange(width) + 0.5) / width - 0.5
    y = (np.arange(height) + 0.5) / height - 0.45
    away = np.clip(np.hypot(*np.meshgrid(x, y)) / 0.75, 0, 1)[..., None]
    share = away * away * (3 - 2 * away)
    return ((1 - share) * np.array(BACK_MIDDLE) + share * np.array(BACK_EDGE)).astype(np.float32)


class Screen:
    """Linear light into uint8 sRGB, with a fixed grain of half a step against bands in soft gradients."""

    def __init__(self, width: int, height: int) -> None:
        grain = np.random.default_rng(0).random((height, width, 1), np.float32) - np.float32(0.5)
        self._grain = grain * np.float32(1 / 255)
        self._code = to_srgb(np.arange(CODES) / (CODES - 1)).astype(np.float32)

    def encode(self, light: np.ndarray, top: int) -> np.ndarray:
        """uint8 (h, W, 3) of linear light (h, W, 3), the rows of the frame from `top` on."""
        place = np.clip(light * np.float32(CODES - 1) + np.float32(0.5), 0, CODES - 1).astype(np.intp)
        shown = self._code.take(place)
        shown += self._grain[top : top + len(light)]
        return np.clip(shown * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
