"""Turns a mouth pose into the colours of what shows between the lips: teeth, tongue and the dark behind."""

from __future__ import annotations

import cv2
import numpy as np

from .grid import smooth_share
from .mouth_art import Art, lower_teeth, tongue, upper_teeth
from .mouth_own import own_mouth
from .mouth_tone import INNER_LOWER, INNER_UPPER, mouth_tone

USUAL_HALF_WIDTH = 0.172  # fw, half a relaxed mouth, for which the teeth are drawn
TEETH_SCALE = (0.35, 1.12)  # smallest and largest teeth, relative to a usual mouth
DENSITY_LIMITS = (48.0, 900.0)  # pixels per fw of the teeth's pictures
SAMPLES_PER_PIXEL = 1.15

# Heights in fw for a mouth of usual size.
UPPER_SHOWN = 0.0150  # upper teeth below where the relaxed upper lip ends
UPPER_SHOWN_TEETH = 0.0060  # more of them at teeth = 1
UPPER_SHOWN_GAP = 0.05  # and per opening
LOWER_SHOWN = 0.0085  # lower teeth above where the relaxed lower lip ends
LOWER_SHOWN_TEETH = 0.0050
TONGUE_REST = 0.36  # share of the way from the lower teeth to the upper that the tongue lies high at rest
TONGUE_RAISED = 0.95  # and when it is at the teeth
REST_JAW, REST_ROUNDING = 0.10, 0.25  # from these on a mouth does not rest
LIT_GAP = 0.055  # opening at which all light gets in
SHADOW_RGB = np.array([0.96, 1.03, 1.06], np.float32)  # light in there has been reflected by red


class MouthInterior:
    """The inside of one mouth.

    image: uint8 (H, W, 3). landmarks: (≥468, ≥2) px in it. face_width: px. skin_rgb: (3,) 0..255. marked: see
    `mouth_tone`.
    """

    def __init__(
        self,
        image: np.ndarray,
        landmarks: np.ndarray,
        face_width: float,
        skin_rgb: np.ndarray,
        marked: bool = False,
    ) -> None:
        points = np.asarray(landmarks, np.float64)[:, :2]
        self._face_width = float(face_width)
        across = points[308] - points[78]
        width = float(np.hypot(*across))
        across = across / max(width, 1e-6)
        if width < 1e-3:
            across = np.array([1.0, 0.0])
        self._across, self._down = across, np.array([-across[1], across[0]])
        self._upper_origin, self._lower_origin = points[13], points[14]
        # The middle of the teeth is under the middle of the lips; a turned face shows one side narrower.
        sides = np.abs([(points[i] - points[13]) @ across for i in (78, 308)]) / face_width
        sides = np.maximum(sides, 0.15 * sides.sum() + 1e-4)
        self._bend = float(np.clip((sides[0] - sides[1]) / (sides[0] ** 2 + sides[1] ** 2), -2.5, 2.5))
        self._half_width = float(sides.mean())
        self._scale = float(np.clip(self._half_width / USUAL_HALF_WIDTH, *TEETH_SCALE))
        self._upper_lip = self._lip_curve(points, INNER_UPPER, self._upper_origin)
        self._lower_lip = self._lip_curve(points, INNER_LOWER, self._lower_origin)
        self.tone = mouth_tone(image, points, face_width, skin_rgb, marked)
        self._image = np.ascontiguousarray(image)
        self._own = own_mouth(self._image, points, face_width, self.tone.own_teeth)
        if self._own is not None and self.tone.own_teeth is not None:
            # Lips that are parted by a smile say nothing of the jaw: the teeth rest on each other.
            self._lower_origin = points[13] + (points[14] - points[13]) * self._own.teeth_end
        density = float(np.clip(SAMPLES_PER_PIXEL * face_width * self._scale, *DENSITY_LIMITS))
        self._upper = self._styled(upper_teeth(density))
        self._lower = self._styled(lower_teeth(density))
        self._tongue = self._styled(tongue(density))

    def draw(
        self,
        upper_x: np.ndarray,
        upper_y: np.ndarray,
        lower_x: np.ndarray,
        lower_y: np.ndarray,
        *,
        jaw: float,
        gap: float,
        rounding: float,
        teeth: float,
        tongue: float,
    ) -> np.ndarray:
        """Colours float32 (h, w, 3), 0..255, shadows of the lips included.

        upper_x, upper_y, lower_x, lower_y: float32 (h, w), px of the picture from which the upper lip
        (and skull) and the lower lip (and jaw) would come at each pixel. gap: opening shown, fw ≥ 0.
        jaw, rounding, teeth (how much of them shows), tongue (1: its tip at the upper teeth): 0..1.
        """
        scale, flat = self._scale, self.tone.flat
        upper_u, upper_v = self._local(upper_x, upper_y, self._upper_origin)
        lower_u, lower_v = self._local(lower_x, lower_y, self._lower_origin)
        middle = (upper_v.shape[0] // 2, upper_v.shape[1] // 2)
        sunk = max(float(upper_v[middle] - lower_v[middle]), 0.0)  # fw from the upper origin to the lower
        opening = max(gap, 0.0)
        light = 0.70 + 0.30 * min(1.0, opening / (LIT_GAP * scale))
        light += (1 - light) * flat
        shown = UPPER_SHOWN + UPPER_SHOWN_TEETH * teeth + UPPER_SHOWN_GAP * min(opening, 0.1) / scale
        upper_edge = scale * shown * (1 - 0.75 * rounding)
        lower_edge = scale * (LOWER_SHOWN + LOWER_SHOWN_TEETH * teeth) * (1 - 0.95 * rounding)
        filled = TONGUE_REST + (TONGUE_RAISED - TONGUE_REST) * tongue
        tongue_top = sunk * filled + 0.006 * scale

        deep = np.clip((upper_v - upper_edge) * np.float32(1 / (0.10 * scale)), 0, 1)
        depth = (0.34 + 0.66 * deep) * (1 - flat) + flat
        out = depth[..., None] * self.tone.cavity
        self._lay(out, self._tongue, self.tone.tongue, lower_u, lower_v + tongue_top, 0.95 * light)
        behind = (1.0 - 0.85 * smooth_share(tongue, 0.45, 0.95)) * (1 - flat)
        lower_light = (0.50 + 0.32 * min(1.0, opening / (0.05 * scale))) * light
        self._lay(out, self._lower, self.tone.teeth, lower_u, lower_v + lower_edge, lower_light, behind)
        if self.tone.own_teeth is None:  # two rows, one below the other, are no set of teeth
            self._lay(out, self._upper, self.tone.teeth, upper_u, upper_v - upper_edge, light)
        shadow = self._lip_shadow(upper_u, upper_v, lower_u, lower_v, rounding)
        out *= 1 - (1 - shadow)[..., None] * SHADOW_RGB
        if self._own is not None:
            # An opening may pass the picture's own in speech: that is no rest.
            self._lay_own(out, upper_x, upper_y, opening, jaw / REST_JAW + rounding / REST_ROUNDING)
        return np.clip(out, 0, 255).astype(np.float32)

    def _lip_curve(self, points: np.ndarray, indices: tuple[int, ...], origin: np.ndarray) -> np.ndarray:
        """Coefficients of v(u), fw, of an inner lip about its middle (parabola)."""
        relative = (points[list(indices)] - origin) / self._face_width
        u, v = relative @ self._across, relative @ self._down
        bend = float((u * u) @ v / max((u**4).sum(), 1e-9))
        tilt = float(u @ (v - bend * u * u) / max((u * u).sum(), 1e-9))
        return np.array([bend, tilt], np.float32)

    def _local(self, x: np.ndarray, y: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(u, v), fw, about a lip's middle."""
        k = 1 / self._face_width
        ax, ay = (np.float32(c * k) for c in self._across)
        dx, dy = (np.float32(c * k) for c in self._down)
        ox, oy = np.float32(origin[0]), np.float32(origin[1])
        return (x - ox) * ax + (y - oy) * ay, (x - ox) * dx + (y - oy) * dy

    def _lay(
        self,
        out: np.ndarray,
        art: Art,
        colour: np.ndarray,
        u: np.ndarray,
        v: np.ndarray,
        light: float,
        strength: float = 1.0,
    ) -> None:
        """Lay a picture over `out` in place."""
        k = np.float32(art.density / self._scale)
        x = u * (1 + np.float32(self._bend) * u) * k - np.float32(art.left * art.density)
        y = v * k - np.float32(art.top * art.density)
        y = np.clip(y, -1, art.pixels.shape[0] - 1)  # towards the gum it goes on as it ends
        if art is self._upper:
            y = np.clip(v * k - np.float32(art.top * art.density), 0, art.pixels.shape[0])
        drawn = cv2.remap(art.pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        out *= 1 - drawn[..., 3:] * np.float32(strength)
        out += drawn[..., :3] * (colour * np.float32(light * strength))

    def _lay_own(self, out: np.ndarray, x: np.ndarray, y: np.ndarray, gap: float, speaking: float) -> None:
        """Lay over `out` in place what the picture itself shows between its lips."""
        assert self._own is not None
        opacity = self._own.opacity(x, y, gap, speaking)[..., None]
        seen = cv2.remap(self._image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        out += (seen - out) * opacity

    def _styled(self, art: Art) -> Art:
        """Towards one tone where the portrait itself is drawn in flat tones."""
        flat = self.tone.flat
        if flat <= 0:
            return art
        alpha = art.pixels[..., 3:]
        plain = np.repeat(alpha, 3, -1)
        light = art.pixels[..., :3] * (1 - flat) + plain * flat
        return Art(np.concatenate([light, alpha], -1), art.left, art.top, art.density)

    def _lip_shadow(
        self,
        upper_u: np.ndarray,
        upper_v: np.ndarray,
        lower_u: np.ndarray,
        lower_v: np.ndarray,
        rounding: float,
    ) -> np.ndarray:
        """Factor 0..1: dark just behind the lips and in the mouth's corners."""
        strength = 1 - self.tone.flat
        bend, tilt = self._upper_lip
        below = (upper_v - (bend * upper_u + tilt) * upper_u) * np.float32(1 / self._scale)
        bend, tilt = self._lower_lip
        above = ((bend * lower_u + tilt) * lower_u - lower_v) * np.float32(1 / self._scale)
        upper = 1 - np.float32(0.26 * strength) * np.exp(-np.maximum(below, 0) * np.float32(1 / 0.009))
        lower = 1 - np.float32(0.24 * strength) * np.exp(-np.maximum(above, 0) * np.float32(1 / 0.007))
        side = np.abs(upper_u) * np.float32(1 / self._half_width)
        t = np.clip((side - 0.5) * np.float32(1 / 0.5), 0, 1)
        corner = 1 - np.float32(strength * (0.62 + 0.1 * rounding)) * t * t * (3 - 2 * t)
        return upper * lower * corner
