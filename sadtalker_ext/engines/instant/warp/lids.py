"""Turns blink, gaze, squint and wide into moved eyelids and irises of one picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .grid import Box, smooth_share, smoothstep
from .lid_plate import MEETING, EyePatch, make_patch
from .style import flatness, skin_rgb

Look = tuple[float, float]

SIDES = ("left", "right")  # of the person, as in ARKit: the person's left eye is at the picture's right
LEAST = 0.004  # coefficient below which nothing is drawn
SQUINT_UPPER = 0.16  # share of its travel by which the upper lid sinks at full squint
SQUINT_LOWER = 1.3  # of the way that the lower lid comes up in a blink, by which it does at full squint
WIDE_UPPER = 0.16  # share of its travel by which the upper lid goes up at full wide
EYEBALL_SHADE = 0.34  # how much darker the eyeball is just under a moving lid
SHADE_REACH = 0.13  # eye widths below the lid in which it shades the eyeball
RIGID_LID = 0.06  # eye widths above the lid's edge that are carried without stretching
GROWTH, PAD = 1.06, 3  # factor and px by which a moved eye may be larger than at rest


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
        if strength <= 0:
            return
        points = np.asarray(landmarks, np.float64)[:, :2]
        flat = flatness(self._image, points, face_width)
        skin = skin_rgb(self._image, points, face_width)
        for side in SIDES:
            patch = make_patch(self._image, landmarks, side, flat=flat, skin=skin)
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

        out: uint8 (H, W, 3), the picture or any part of it, already warped by map_x, map_y: float32 (H, W),
        where in the picture each pixel of `out` comes from. blink, squint, wide: 0..1 for the person's
        (left, right) eye. look: −1..1, positive towards the picture's right and downwards, both eyes alike.
        """
        for index, side in enumerate(SIDES):
            eye = self._eyes.get(side)
            if eye is None:
                continue
            close = float(np.clip(blink[index], 0, 1)) * self._strength
            narrow = float(np.clip(squint[index], 0, 1)) * self._strength
            open_ = float(np.clip(wide[index], 0, 1)) * self._strength * (1 - close)
            upper = min(1.0, close + SQUINT_UPPER * narrow * (1 - close)) - WIDE_UPPER * open_
            lower = close + SQUINT_LOWER * narrow * (1 - close)
            move = (float(np.clip(look[0], -1, 1)), float(np.clip(look[1], -1, 1)))
            if max(abs(upper), lower) > LEAST:
                self._move_lids(eye, out, map_x, map_y, upper, lower, move)
            elif max(abs(move[0]), abs(move[1])) > LEAST:
                self._move_iris(eye, out, map_x, map_y, move)

    def _move_iris(
        self, eye: EyePatch, out: np.ndarray, map_x: np.ndarray, map_y: np.ndarray, look: Look
    ) -> None:
        place = _where(eye.iris_box, map_x, map_y)
        if place is None:
            return
        x, y = map_x[place], map_y[place]
        follow = np.ascontiguousarray(_sample(eye.follow, x - eye.box[0], y - eye.box[1])[..., 3])
        shift_x, shift_y = _iris_shift(eye, look)
        seen = _picture(self._image, x - follow * shift_x, y - follow * shift_y)
        np.copyto(out[place], seen, where=(follow > 0)[..., None])

    def _move_lids(
        self,
        eye: EyePatch,
        out: np.ndarray,
        map_x: np.ndarray,
        map_y: np.ndarray,
        upper: float,
        lower: float,
        look: Look,
    ) -> None:
        place = _where(eye.box, map_x, map_y)
        if place is None:
            return
        x, y = map_x[place], map_y[place]
        px, py = x - np.float32(eye.box[0]), y - np.float32(eye.box[1])
        below, travel, lift, part = cv2.split(_sample(eye.geometry, px, py))
        with_lower, with_upper, lid_share, follow = cv2.split(_sample(eye.follow, px, py))
        down_x, down_y = (np.float32(c) for c in eye.frame.down)

        # The eyeball and the skin around it: the picture, moved a little.
        shift = with_lower * np.float32(lower)
        if upper < 0:
            shift -= with_upper * np.float32(upper)
        shift_x, shift_y = _iris_shift(eye, look)
        at_x, at_y = x + shift * down_x - follow * shift_x, y + shift * down_y - follow * shift_y
        colour = _picture(self._image, at_x, at_y).astype(np.float32)
        if upper > LEAST:
            pose = _LidPose(below, travel, lift, part, lid_share, upper, px, py, down_x, down_y)
            self._lay_lid(eye, pose, colour)
        colour -= out[place]
        colour *= (part * (below > -lift))[..., None]
        colour += out[place]
        colour += np.float32(0.5)
        out[place] = np.clip(colour, 0, 255, out=colour).astype(np.uint8)

    def _lay_lid(self, eye: EyePatch, pose: _LidPose, colour: np.ndarray) -> None:
        """Lay the upper lid, its shade and its lashes over `colour` in place."""
        below, lift = pose.below, pose.lift
        width = np.float32(eye.frame.width)
        sunk = pose.travel * np.float32(pose.upper)  # px that the lid's edge has sunk in each column
        edge = below - sunk  # px below that edge
        shade = np.clip(1 - edge / (SHADE_REACH * width), 0, 1)
        shade *= shade * pose.lid_share * np.float32(EYEBALL_SHADE * min(1.0, pose.upper * 4))
        shade *= below < pose.travel / MEETING
        colour *= (1 - shade)[..., None]
        # The picture's own lid carried down, stretched above the lashes, gives way to smooth lid skin.
        rigid = np.minimum(RIGID_LID * width, lift * np.float32(0.5))
        height = np.maximum(below + lift, 0)  # px below the zone's upper end
        stretched = height * (lift - rigid) / np.maximum(lift + sunk - rigid, 1e-3) - height
        carried = np.where(edge < -rigid, stretched, -sunk)
        carried *= below > -lift
        x0, y0 = np.float32(eye.box[0]), np.float32(eye.box[1])
        lid_x, lid_y = pose.px + x0 + carried * pose.down_x, pose.py + y0 + carried * pose.down_y
        lid = cv2.remap(self._image, lid_x, lid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        fresh = smoothstep(height / np.maximum(lift, 1e-3), 0.0, 0.5)
        fresh *= pose.part * np.float32(smooth_share(pose.upper, 0.05, 0.45))
        unrolled = height * ((lift + pose.travel) / np.maximum(lift + sunk, 1e-3) - 1)
        skin = cv2.remap(
            eye.closed, pose.px + unrolled * pose.down_x, pose.py + unrolled * pose.down_y, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        lid = cv2.blendLinear(lid, skin, 1 - fresh, fresh)
        colour += (lid - colour) * np.clip(0.5 - edge, 0, 1)[..., None]
        colour += (eye.lash_rgb - colour) * self._lash_opacity(eye, pose, edge)[..., None]

    @staticmethod
    def _lash_opacity(eye: EyePatch, pose: _LidPose, edge: np.ndarray) -> np.ndarray:
        """Opacity of the lashes along the moving edge: the picture's own, turned down at last; a line."""
        thick = (0.2 + 0.65 * pose.lid_share) * np.float32(eye.line)
        soft = 0.5 + 0.35 * thick
        line = np.clip((thick * 0.5 - np.abs(edge + 0.2 * thick)) / soft + 0.5, 0, 1) * np.minimum(thick, 1)
        opacity = np.float32(eye.line_opacity * smooth_share(pose.upper, 0.1, 0.5))
        line *= smoothstep(pose.lid_share, 0.15, 0.6) * opacity
        turned = smooth_share(pose.upper, 0.45, 0.9)
        own = np.zeros_like(line)
        mirrored = np.where(edge > -1, -1.5 * edge, np.float32(1e4))
        for share, source in ((1 - turned, edge), (0.8 * turned, mirrored)):
            if share > 0:
                shift = source - pose.below
                lashes = _sample(eye.lashes, pose.px + shift * pose.down_x, pose.py + shift * pose.down_y)
                own += lashes * np.float32(share * smooth_share(pose.upper, 0.02, 0.3) / 255)
        return np.maximum(line, own) * pose.part


@dataclass(frozen=True, eq=False)
class _LidPose:
    """One frame's geometry of a lid, planes in px over the pixels painted."""

    below: np.ndarray
    travel: np.ndarray
    lift: np.ndarray
    part: np.ndarray
    lid_share: np.ndarray
    upper: float  # 0 open … 1 shut
    px: np.ndarray  # source positions within the eye's patch
    py: np.ndarray
    down_x: np.floating
    down_y: np.floating


def _sample(planes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _picture(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _iris_shift(eye: EyePatch, look: Look) -> tuple[np.float32, np.float32]:
    across, down = look[0] * eye.reach[0], look[1] * eye.reach[1]
    shift = across * eye.frame.across + down * eye.frame.down
    return np.float32(shift[0]), np.float32(shift[1])


def _where(box: Box, map_x: np.ndarray, map_y: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the output in which a box of the source lies after the head has moved."""
    height, width = map_x.shape
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return None
    source = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    at = source.copy()
    for _ in range(4):
        column = int(np.clip(at[0], 0, width - 1))
        row = int(np.clip(at[1], 0, height - 1))
        at = np.array([column, row]) + source - (map_x[row, column], map_y[row, column])
    half = np.array([x1 - x0, y1 - y0]) / 2 * GROWTH + PAD
    low = np.maximum(np.floor(at - half), 0).astype(int)
    high = np.minimum(np.ceil(at + half), [width, height]).astype(int)
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
