"""Turns the two lip layers and the mouth's inside into the picture of a moving mouth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ....face import topology
from .frame import FaceFrame
from .grid import Box

EDGE = 0.004  # fw, half width of a lip's soft edge
FADE = 0.05  # fw from the box's border within which the layers give way to the plain warp
CONTACT_SHADE = 0.3  # how much darker the inside is where a lip touches it
CONTACT_WIDTH = 0.012  # fw
LIP_LINE_SHADE = 0.34  # how dark the line is between shut lips that were apart in the picture
LIP_LINE_WIDTH = 0.007  # fw

Maps = tuple[np.ndarray, np.ndarray]


class Interior(Protocol):
    """Draws teeth, tongue and cavity, see `mouth.MouthInterior`."""

    def draw(
        self, upper_x: np.ndarray, upper_y: np.ndarray, lower_x: np.ndarray, lower_y: np.ndarray, *,
        jaw: float, gap: float, rounding: float, teeth: float, tongue: float,
    ) -> np.ndarray: ...  # fmt: skip


@dataclass(frozen=True)
class MouthPose:
    """What a mouth does in one frame.

    seal: 0..1, how far the picture's own opening is closed. gap: fw shown. jaw, rounding, teeth, tongue:
    0..1, as `mouth.MouthInterior.draw` takes them.
    """

    seal: float
    gap: float
    jaw: float
    rounding: float
    teeth: float
    tongue: float


class LipLayers:
    """The two lips of a picture as layers that are parted or pressed together.

    image: uint8 (H, W, 3) working region. Which pixels belong to which lip is known from the
    signed distances to the lip line (px, positive inside the lip), one map a lip, in a box around the mouth.
    """

    def __init__(self, image: np.ndarray, frame: FaceFrame) -> None:
        self._image = image
        self._frame = frame
        height, width = image.shape[:2]
        lip_points = frame.points[list(topology.LIPS), :2]
        pad = 0.30 * frame.width
        x0, y0 = np.floor(np.maximum(lip_points.min(0) - pad, 0)).astype(int)
        x1, y1 = np.ceil(np.minimum(lip_points.max(0) + pad, (width, height))).astype(int)
        self._x0, self._y0 = int(x0), int(y0)
        gx, gy = np.meshgrid(np.arange(x0, max(x1, x0 + 2)), np.arange(y0, max(y1, y0 + 2)))
        x, y = gx.astype(np.float32), gy.astype(np.float32)
        self._upper, self._lower, self._soft, self._inner = self._distances(x, y)

    def lip_line(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance in fw below the line between the lips (negative above)."""
        u, v = self._frame.plane(x, y, self._frame.points[78, :2])
        upper, lower = self._lines(u)
        return v - (upper + lower) / 2

    def _lines(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        frame = self._frame
        origin = frame.points[78, :2]
        lines = []
        for ring in (topology.LIPS_INNER_UPPER, topology.LIPS_INNER_LOWER):
            points = frame.points[list(ring), :2]
            lines.append(frame.plane(points[:, 0], points[:, 1], origin))
        if frame.own_gap == 0:
            middle = ((lines[0][0] + lines[1][0]) / 2, (lines[0][1] + lines[1][1]) / 2)
            lines = [middle, middle]
        out = []
        for across, down in lines:
            order = np.argsort(across)
            out.append(np.interp(u, across[order], down[order]).astype(np.float32))
        return out[0], out[1]

    def _distances(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        frame, fw = self._frame, self._frame.width
        u, v = frame.plane(x, y, frame.points[78, :2])
        upper, lower = self._lines(u)
        length = float((frame.points[308, :2] - frame.points[78, :2]) @ frame.across) / fw
        aside = np.maximum(np.maximum(-u, u - length), 0)
        soft = np.maximum(0.8, fw * EDGE) + aside * fw * 0.9
        inner = np.clip(np.minimum(u, length - u) / (0.25 * length), 0, 1)
        maps = ((upper - v) * fw, (v - lower) * fw, soft, inner)
        return tuple(np.ascontiguousarray(m, np.float32) for m in maps)

    def _at(self, field: np.ndarray, maps: Maps) -> np.ndarray:
        x, y = maps[0] - np.float32(self._x0), maps[1] - np.float32(self._y0)
        return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def paint(
        self,
        out: np.ndarray,
        box: Box,
        upper: Maps,
        lower: Maps,
        skull: Maps,
        jaw_maps: Maps,
        interior: Interior,
        pose: MouthPose,
    ) -> None:
        """Paint the mouth into `out` (uint8 ROI, in place) within `box`.

        upper, lower: source positions of the box's pixels in the two lip layers; skull: the same with the
        head's motion alone, to which the picture's own teeth hold; jaw_maps: the same with the jaw's.
        """
        fw, own = self._frame.width, self._frame.own_gap
        x0, y0, x1, y1 = box
        soft_low, soft_up = self._at(self._soft, lower), self._at(self._soft, upper)
        edge_low, edge_up = self._at(self._lower, lower), self._at(self._upper, upper)
        rim = 0.0
        if own:
            rim = pose.seal * self._frame.rim * fw
            edge_low = edge_low - rim * self._at(self._inner, lower)
            edge_up = edge_up - rim * self._at(self._inner, upper)
        in_low = np.clip(edge_low / (2 * soft_low) + 0.5, 0, 1)
        in_up = np.clip(edge_up / (2 * soft_up) + 0.5, 0, 1)
        low = self._colour(lower)
        up = self._colour(upper)
        colour = cv2.blendLinear(low, up, in_low, in_up * (1 - in_low))
        cover = np.minimum(in_low + in_up, 1)
        hole = cover < 0.99
        if hole.any():
            # The picture's own opening has its shade already.
            shading = pose.seal if own else 1.0
            colour = self._fill(colour, cover, hole, skull, jaw_maps, interior, pose, shading)
        if own and pose.seal > 0:
            colour = self._lip_line(colour, edge_low, edge_up, self._at(self._inner, lower), pose.seal)
        fade = _feather(y1 - y0, x1 - x0, max(2.0, FADE * fw))
        out[y0:y1, x0:x1] = cv2.blendLinear(colour, np.ascontiguousarray(out[y0:y1, x0:x1]), fade, 1 - fade)

    def _colour(self, maps: Maps) -> np.ndarray:
        return cv2.remap(self._image, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def _fill(
        self,
        colour: np.ndarray,
        cover: np.ndarray,
        hole: np.ndarray,
        skull: Maps,
        jaw_maps: Maps,
        interior: Interior,
        pose: MouthPose,
        shading: float,
    ) -> np.ndarray:
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        pad = max(2, int(0.03 * self._frame.width))
        down = slice(max(0, rows[0] - pad), rows[-1] + pad + 1)
        part = (down, slice(max(0, columns[0] - pad), columns[-1] + pad + 1))
        inside = np.ascontiguousarray
        top = (inside(skull[0][part]), inside(skull[1][part]))
        bottom = (inside(jaw_maps[0][part]), inside(jaw_maps[1][part]))
        filled = interior.draw(
            *top, *bottom, jaw=pose.jaw, gap=pose.gap, rounding=pose.rounding,
            teeth=pose.teeth, tongue=pose.tongue,
        )  # fmt: skip
        seen = cover[part]
        shade = cv2.GaussianBlur(seen, (0, 0), max(1.0, CONTACT_WIDTH * self._frame.width))
        filled *= (1 - CONTACT_SHADE * shading * np.clip(shade * 1.2 - 0.1, 0, 1))[..., None]
        target = colour[part]
        blended = target * seen[..., None] + filled * (1 - seen)[..., None]
        target[...] = np.clip(blended + 0.5, 0, 255).astype(np.uint8)
        return colour

    def _lip_line(
        self, colour: np.ndarray, edge_low: np.ndarray, edge_up: np.ndarray, inner: np.ndarray, amount: float
    ) -> np.ndarray:
        # Where both lips end close to each other there is a line of shade, which open mouths lack.
        scale = np.float32(1 / max(0.7, LIP_LINE_WIDTH * self._frame.width))
        near = np.exp(-((edge_low * scale) ** 2)) * np.exp(-((edge_up * scale) ** 2))
        shade = 1 - LIP_LINE_SHADE * amount * near * np.minimum(inner * 2, 1)
        return np.clip(colour * shade[..., None] + 0.5, 0, 255).astype(np.uint8)


def _feather(height: int, width: int, band: float) -> np.ndarray:
    """float32 (height, width): 0 at the border, 1 from `band` px inside."""
    ramps = []
    for n in (height, width):
        distance = np.minimum(np.arange(n), n - 1 - np.arange(n)) / band
        t = np.clip(distance, 0, 1)
        ramps.append(t * t * (3 - 2 * t))
    return np.outer(ramps[0], ramps[1]).astype(np.float32)
