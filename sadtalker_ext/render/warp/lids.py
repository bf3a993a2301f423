"""Turns blink, gaze, squint and wide into moved eyelids and irises of one picture."""

from __future__ import annotations

import numpy as np

from .lid_plate import EyePatch, make_patch, smoothstep

SIDES = ("left", "right")  # of the person, as in ARKit: the person's left eye is at the picture's right
LEAST = 0.004  # coefficient below which nothing is drawn
LOWER_RISE = 0.16  # share of the upper lid's travel by which the lower lid comes up at full blink
SQUINT_UPPER = 0.16  # share of its travel by which the upper lid sinks at full squint
SQUINT_LOWER = 0.22
WIDE_UPPER = 0.16  # share of its travel by which the upper lid goes up at full wide
EYEBALL_SHADE = 0.34  # how much darker the eyeball is just under a moving lid
PAD = 4  # px around the moved eye that are looked at


class Eyelids:
    """The eyelids and irises of one picture; `draw` costs nothing while they rest.

    image: uint8 (H, W, 3), the region of interest. landmarks: (478, 3) px in it. face_width: px.
    strength: 0..1, how far a full blink closes; 0 where the eyes' height is not known (five points).
    """

    def __init__(
        self, image: np.ndarray, landmarks: np.ndarray, face_width: float, *, strength: float = 1.0
    ) -> None:
        self._image = np.ascontiguousarray(image)
        self._strength = strength
        self._eyes: dict[str, EyePatch] = {}
        for side in SIDES:
            patch = make_patch(self._image, landmarks, side) if strength > 0 else None
            # An eye far smaller than the face is a mesh gone wrong (or one turned out of sight).
            if patch is not None and patch.frame.width > 0.05 * face_width:
                self._eyes[side] = patch

    @property
    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Rectangles (x0, y0, x1, y1), px, in which `draw` may paint while the head rests."""
        return [eye.box for eye in self._eyes.values()]

    def draw(
        self,
        out: np.ndarray,
        map_x: np.ndarray,
        map_y: np.ndarray,
        *,
        blink: tuple[float, float] = (0.0, 0.0),
        look: tuple[float, float] = (0.0, 0.0),
        squint: tuple[float, float] = (0.0, 0.0),
        wide: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Paint the eyes into `out` in place.

        out: uint8 (H, W, 3), already warped by map_x, map_y: float32 (H, W), where in the source each
        pixel of `out` comes from. blink, squint, wide: 0..1 for the person's (left, right) eye.
        look: −1..1, positive towards the picture's right and downwards, both eyes alike.
        """
        for index, side in enumerate(SIDES):
            eye = self._eyes.get(side)
            if eye is None:
                continue
            close = float(np.clip(blink[index], 0, 1)) * self._strength
            narrow = float(np.clip(squint[index], 0, 1)) * self._strength
            open_ = float(np.clip(wide[index], 0, 1)) * self._strength * (1 - close)
            upper = min(1.0, close + SQUINT_UPPER * narrow * (1 - close)) - WIDE_UPPER * open_
            lower = LOWER_RISE * close + SQUINT_LOWER * narrow * (1 - close)
            move = (float(np.clip(look[0], -1, 1)), float(np.clip(look[1], -1, 1)))
            if max(abs(upper), lower, abs(move[0]), abs(move[1])) > LEAST:
                self._draw_eye(eye, out, map_x, map_y, upper, lower, move)

    def _draw_eye(
        self,
        eye: EyePatch,
        out: np.ndarray,
        map_x: np.ndarray,
        map_y: np.ndarray,
        upper: float,
        lower: float,
        look: tuple[float, float],
    ) -> None:
        import cv2

        place = _where(eye, map_x, map_y)
        if place is None:
            return
        rows, columns = place
        qx, qy = map_x[rows, columns], map_y[rows, columns]
        px, py = qx - eye.box[0], qy - eye.box[1]
        constant = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (0, 0, 0, 0)}
        below, travel, lift, part = cv2.split(
            cv2.remap(eye.geometry, px, py, cv2.INTER_LINEAR, **constant)
        )
        width = eye.frame.width
        down_x, down_y = (float(c) for c in eye.frame.down)
        across_x, across_y = (float(c) for c in eye.frame.across)
        source = out[rows, columns]

        def sample(picture: np.ndarray, shift: np.ndarray, ox: float = 0.0, oy: float = 0.0) -> np.ndarray:
            return cv2.remap(
                picture, qx - ox + shift * down_x, qy - oy + shift * down_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )

        # The eyeball and the lower lid: the source, moved a little.
        sunk = travel * upper  # how far the upper lid's edge has sunk in this column
        under = below - travel / 0.86  # below the lower lid
        spread = np.where(under > 0, np.float32(0.22 * width), np.float32(0.4 * eye.travel + 1))
        rise = lower * eye.travel * np.exp(-((under / spread) ** 2))
        rise *= part * np.minimum(travel / (0.5 * eye.travel), 1)
        if upper < 0:
            rise = rise - sunk * np.exp(-((below / (0.22 * width)) ** 2))
        ball_x, ball_y = qx + rise * down_x, qy + rise * down_y
        if look != (0.0, 0.0):
            follow = cv2.remap(eye.gaze, px, py, cv2.INTER_LINEAR, **constant)
            shift_u, shift_v = look[0] * eye.reach[0], look[1] * eye.reach[1]
            ball_x = ball_x - follow * (shift_u * across_x + shift_v * down_x)
            ball_y = ball_y - follow * (shift_u * across_y + shift_v * down_y)
        colour = cv2.remap(self._image, ball_x, ball_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        if upper > LEAST:
            edge = below - sunk  # below the moving lid's edge
            shade = EYEBALL_SHADE * min(1.0, upper * 4) * np.exp(-np.maximum(edge, 0) / (0.07 * width))
            shade *= np.minimum(travel / (0.3 * eye.travel), 1) * (under < 0)
            colour *= (1 - shade)[..., None]
            # The picture's own lid carried down, giving way to smooth lid skin.
            lash_zone = np.minimum(0.06 * width, 0.5 * lift)
            stretched = (below + lift) * (lift - lash_zone) / np.maximum(lift + sunk - lash_zone, 1e-3) - lift
            carried = np.where(edge < -lash_zone, stretched, edge)
            carried = np.where(below < -lift, below, carried)
            lid = sample(self._image, carried - below).astype(np.float32)
            flat = (below + lift) * (lift + travel) / np.maximum(lift + sunk, 1e-3) - lift
            flat = np.where(below < -lift, below, flat)
            skin = sample(eye.closed, flat - below, eye.box[0], eye.box[1]).astype(np.float32)
            fresh = _step(upper, 0.05, 0.45) * part * smoothstep(below / np.maximum(lift, 1e-3), -1.0, -0.5)
            lid += (skin - lid) * fresh[..., None]
            cover = np.clip(0.5 - edge, 0, 1)
            colour += (lid - colour) * cover[..., None]
            colour += (eye.lash_rgb - colour) * self._lash_line(eye, sample, below, edge, travel, part, upper)[..., None]
        zone = part * (below > -lift)
        out[rows, columns] = np.clip(source + (colour - source) * zone[..., None] + 0.5, 0, 255).astype(np.uint8)

    @staticmethod
    def _lash_line(eye, sample, below, edge, travel, part, upper):
        """Opacity of the lash line along the moving edge: the picture's own lashes, at last turned down."""
        width = eye.frame.width
        taper = np.sqrt(np.clip(travel / max(eye.travel, 1e-3), 0, 1))
        thick = eye.line * (0.2 + 0.65 * taper)
        soft = 0.5 + 0.35 * thick
        drawn = np.clip((thick * 0.5 - np.abs(edge + 0.2 * thick)) / soft + 0.5, 0, 1) * np.minimum(thick, 1)
        drawn *= smoothstep(taper, 0.15, 0.6) * _step(upper, 0.1, 0.5)
        turned = _step(upper, 0.45, 0.9)
        upright = sample(eye.lashes, edge - below, eye.box[0], eye.box[1]) * np.float32(1 / 255)
        hanging = sample(eye.lashes, -1.5 * edge - below, eye.box[0], eye.box[1]) * np.float32(1 / 255)
        hanging = np.where(edge > -1, hanging, 0)
        own = upright * (1 - turned) + hanging * turned * 0.8
        return np.maximum(drawn * 0.85, own * _step(upper, 0.02, 0.3)) * part


def _step(x: float, low: float, high: float) -> float:
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _where(eye: EyePatch, map_x: np.ndarray, map_y: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the output in which the moved eye lies."""
    height, width = map_x.shape
    x0, y0, x1, y1 = eye.box
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    at = centre.copy()
    for _ in range(4):
        column = int(np.clip(at[0], 0, width - 1))
        row = int(np.clip(at[1], 0, height - 1))
        at = at + centre - (map_x[row, column], map_y[row, column])
    half = np.array([x1 - x0, y1 - y0]) / 2 * 1.08 + PAD
    low = np.maximum(np.floor(at - half), 0).astype(int)
    high = np.minimum(np.ceil(at + half), [width, height]).astype(int)
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
