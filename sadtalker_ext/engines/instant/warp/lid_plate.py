"""Turns the picture around one eye into what a blink needs: lid curves, a closed lid, and its lashes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .grid import smoothstep
from .lid_shape import EyeFrame, EyeShape, eye_shape

# Lengths below are in eye widths (corner to corner) unless a name says otherwise.
SIDE = 0.32  # how far the patch reaches beyond the eye's corners
ABOVE = 0.42  # and above the upper lid
BELOW = 0.5  # and below the lower lid
PULLED = 0.34  # how far from a lid's edge the skin goes with it
MEETING = 0.86  # where between the open lids they meet (0 upper, 1 lower)
TALL_MEETING = 0.72  # the same in eyes as tall as those of comics, which shut to an arc
TALL = (0.5, 0.9)  # eye heights from which … at which an eye is such
WORK_WIDTH = 110.0  # px of an eye's width above which its lid is worked out smaller
LINE_OPACITY = 0.85  # of the lash line in pictures that are shaded
GRAIN_LIMIT = 3.0  # grey levels; wrinkles are stronger and are no grain


@dataclass(frozen=True, eq=False)
class EyePatch:
    """Everything about one eye that depends on the picture alone, over the pixels of `box`.

    `geometry` holds four planes: how far (px) the pixel lies below the open upper lid, how far (px) that lid
    travels in its column until the lids meet, how far above it (px) the picture is replaced, and the share
    (0..1) in which this column takes part. `follow` holds four more: px that the pixel goes up with the
    lower lid and with a widened upper one, how much lid there is in its column (0..1), and the share (0..1)
    in which it follows the iris.
    """

    frame: EyeFrame
    box: tuple[int, int, int, int]  # x0, y0, x1, y1
    iris_box: tuple[int, int, int, int]  # where anything follows the iris
    geometry: np.ndarray  # float32 (h, w, 4)
    follow: np.ndarray  # float32 (h, w, 4)
    closed: np.ndarray  # uint8 (h, w, 3): smooth lid skin down to where the lids meet
    lashes: np.ndarray  # uint8 (h, w): opacity of the upper lashes as the picture has them
    lash_rgb: np.ndarray  # float32 (3,)
    line: float  # px, thickness of the lash line
    line_opacity: float
    reach: tuple[float, float]  # px, how far the iris may move across and down


def make_patch(
    image: np.ndarray, landmarks: np.ndarray, side: str, *, flat: float, skin: np.ndarray
) -> EyePatch | None:
    """The patch of one eye ("left" or "right" of the person), or None where there is no open eye to close.

    image: uint8 (H, W, 3). landmarks: (478, 3) or (468, 3) px. flat: how flatly the picture is drawn, 0..1.
    skin: (3,) RGB of the face.
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    shape = eye_shape(image, points, side, flat, skin)
    box = _box(shape, image.shape) if shape is not None else None
    if shape is None or box is None:
        return None
    frame = shape.frame
    x0, y0, x1, y1 = box
    ys, xs = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    u, v = frame.coordinates(xs, ys)
    curves = (shape.upper, shape.lower, shape.lift)
    yu, yl, up = (np.interp(u, shape.knots, curve).astype(np.float32) for curve in curves)
    below_upper, below_lower = v - yu, v - yl
    width = frame.width
    meeting, tall = _meeting(shape)
    travel = np.clip(np.interp(u, shape.knots, meeting).astype(np.float32) - yu, 0, None)
    most = float(travel.max())
    part = smoothstep(u, -0.3 * width, -0.08 * width) * (1 - smoothstep(u, 1.08 * width, 1.3 * width))
    crop = image[y0:y1, x0:x1].astype(np.float32)
    lid = _lid_skin_at_scale(crop, below_upper, below_lower, up, u, width)
    dark, line, lashes = _lashes(crop, lid, below_upper, u, width)
    line, line_opacity = max(line, 1.25 * shape.lash), LINE_OPACITY + (1 - LINE_OPACITY) * flat
    closed = _shade(lid, crop, below_upper, below_lower, travel, up, u, width, flat)
    gaze, reach = _gaze(shape, u, below_upper, -below_lower)
    pulled = PULLED * width * (1 + 0.7 * tall)
    below_meeting = below_upper - travel
    with_lower = _bump(below_meeting / np.where(below_meeting > 0, pulled, 0.75 * most + 1))
    with_lower = with_lower * part * np.maximum(yl - yu - travel, 0)
    with_upper = travel * part * _bump(below_upper / (PULLED * width))
    planes = [
        np.ascontiguousarray(np.stack(four, -1), np.float32)
        for four in ((below_upper, travel, up, part), (with_lower, with_upper, np.sqrt(travel / most), gaze))
    ]
    rows, columns, box = _bounds((part > 0) & (below_upper > -up) & (below_lower < pulled), x0, y0)
    iris_box = _bounds(gaze > 0, x0, y0)[2]
    geometry, follow, closed, lashes = (
        np.ascontiguousarray(plane[rows, columns]) for plane in (*planes, closed, lashes)
    )
    return EyePatch(frame, box, iris_box, geometry, follow, closed, lashes, dark, line, line_opacity, reach)


def _meeting(shape: EyeShape) -> tuple[np.ndarray, float]:
    """Where the lids meet, V px at the shape's knots, and how far (0..1) the eye is one of a comic."""
    width, height = shape.frame.width, shape.lower - shape.upper
    tall = float(smoothstep(np.array(height.max() / width), *TALL))
    meeting = shape.upper + height * MEETING
    if tall > 0:
        u = np.clip(shape.knots / width, 0, 1)
        start, middle, end = np.interp(
            [0.04 * width, 0.5 * width, 0.96 * width], shape.knots, shape.upper + height * TALL_MEETING
        )
        arc = start + (end - start) * u + 4 * (middle - (start + end) / 2) * u * (1 - u)
        meeting += (np.clip(arc, shape.upper, shape.lower) - meeting) * tall
    return meeting, tall


def _bump(x: np.ndarray) -> np.ndarray:
    """1 at 0, smoothly 0 from 1 on."""
    t = np.clip(1 - x * x, 0, 1)
    return t * t


def _bounds(mask: np.ndarray, x0: int, y0: int) -> tuple[slice, slice, tuple[int, int, int, int]]:
    """Rows and columns of a mask that hold anything, and the same as a box in the picture."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return slice(0, 0), slice(0, 0), (x0, y0, x0, y0)
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return slice(top, bottom), slice(left, right), (x0 + left, y0 + top, x0 + right, y0 + bottom)


def _box(shape: EyeShape, size: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The part of the picture that is looked at, x0, y0, x1, y1."""
    frame = shape.frame
    corners = [
        frame.origin + frame.across * frame.width * side + frame.down * height
        for side in (-SIDE, 1 + SIDE)
        for height in (shape.upper.min() - ABOVE * frame.width, shape.lower.max() + BELOW * frame.width)
    ]
    low = np.maximum(np.floor(np.min(corners, 0)), 0).astype(int)
    high = np.minimum(np.ceil(np.max(corners, 0)), [size[1], size[0]]).astype(int)
    if (high - low).min() < 8:
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _lid_skin_at_scale(
    crop: np.ndarray,
    below_upper: np.ndarray,
    below_lower: np.ndarray,
    lift: np.ndarray,
    u: np.ndarray,
    width: float,
) -> np.ndarray:
    """`_lid_skin`, worked out on a smaller picture where the eye is large: it is smooth anyhow."""
    scale = min(1.0, WORK_WIDTH / width)
    if scale == 1.0:
        return _lid_skin(crop, below_upper, below_lower, lift, u, width)
    size = (max(8, round(crop.shape[1] * scale)), max(8, round(crop.shape[0] * scale)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    upper_, lower_, lift_, u_ = (
        cv2.resize(plane.astype(np.float32), size) * scale for plane in (below_upper, below_lower, lift, u)
    )
    skin = _lid_skin(small, upper_, lower_, lift_, u_, width * scale)
    return cv2.resize(skin, (crop.shape[1], crop.shape[0]), interpolation=cv2.INTER_LINEAR)


def _thin_and_dark(crop: np.ndarray, width: float) -> np.ndarray:
    """Grey levels by which thin things (lashes, liner, drawn creases, spectacles) are darker than around."""
    lum = crop.mean(-1)
    size = int(0.09 * width) * 2 + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.morphologyEx(lum, cv2.MORPH_CLOSE, kernel) - lum


def _lid_skin(
    crop: np.ndarray,
    below_upper: np.ndarray,
    below_lower: np.ndarray,
    lift: np.ndarray,
    u: np.ndarray,
    width: float,
) -> np.ndarray:
    """Skin without eye, lashes and liner: what is around it, carried inwards smoothly; float32 (h, w, 3)."""
    lum, thin = crop.mean(-1), _thin_and_dark(crop, width)
    near = (u > -0.15 * width) & (u < 1.15 * width)
    above = near & (below_upper < -0.5 * lift) & (below_upper > -1.2 * lift)
    under = near & (below_lower > 0.10 * width) & (below_lower < 0.32 * width)
    weight = np.zeros_like(lum)
    for zone, share, reach in (
        (above, 0.55, below_upper < -0.3 * lift),
        (under, 0.6, below_lower > 0.06 * width),
    ):
        if not zone.any():
            continue
        reference = float(np.percentile(lum[zone], 50))
        usable = smoothstep(lum, share * reference, (share + 0.2) * reference)
        usable *= 1 - smoothstep(lum, 1.3 * reference, 1.5 * reference)
        usable *= 1 - smoothstep(thin, 0.05 * reference, 0.15 * reference)
        weight = np.where(reach, np.maximum(weight, usable * usable), weight)
    # Half-dark pixels at the rim of a lash would leave its outline behind.
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(0.02 * width) + 3,) * 2)
    skin = _fill(crop, cv2.erode(weight.astype(np.float32), rim))
    return cv2.GaussianBlur(skin, (0, 0), 0.05 * width)


def _fill(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Push-pull interpolation: where `weight` is 0 the values come from coarser and coarser scales."""
    num, den = values * weight[..., None], weight
    stack = [(num, den)]
    while min(num.shape[:2]) > 2:
        num, den = cv2.pyrDown(num), cv2.pyrDown(den)
        stack.append((num, den))
    num, den = stack[-1]
    if float(den.max()) < 1e-4:
        return np.broadcast_to(values.reshape(-1, 3).mean(0), values.shape).astype(np.float32)
    filled = num / np.maximum(den, 1e-4)[..., None]
    for num, den in stack[-2::-1]:
        coarse = cv2.pyrUp(filled, dstsize=(num.shape[1], num.shape[0]))
        known = np.clip(den * 1.5, 0, 1)[..., None]
        filled = coarse * (1 - known) + num / np.maximum(den, 1e-4)[..., None] * known
    return filled.astype(np.float32)


def _shade(
    skin: np.ndarray,
    crop: np.ndarray,
    below_upper: np.ndarray,
    below_lower: np.ndarray,
    travel: np.ndarray,
    lift: np.ndarray,
    u: np.ndarray,
    width: float,
    flat: float,
) -> np.ndarray:
    """The closed lid: the skin bulging over the eyeball, with the picture's own grain; uint8 (h, w, 3)."""
    down = np.clip((below_upper + lift) / np.maximum(lift + travel, 1e-3), 0, 1)
    middle = np.exp(-(((u / width - 0.5) / 0.32) ** 2))
    bulge = np.exp(-(((down - 0.55) / 0.24) ** 2)) * middle
    edge = smoothstep(down, 0.72, 1.0) * np.minimum(2 * travel / max(float(travel.max()), 1e-3), 1)
    fold = np.exp(-(((down - 0.20) / 0.10) ** 2)) * (0.4 + 0.6 * middle)
    shade = 1 + (0.075 * bulge - 0.10 * edge - 0.085 * fold) * (1 - 0.8 * flat)
    return np.clip(skin * shade[..., None] + _grain(crop, below_lower, width), 0, 255).astype(np.uint8)


def _grain(crop: np.ndarray, below_lower: np.ndarray, width: float) -> np.ndarray:
    """Fine noise as strong as that of the skin just below the eye; float32 (h, w, 1)."""
    detail = crop - cv2.GaussianBlur(crop, (0, 0), max(1.0, 0.03 * width))
    under = (below_lower > 0.2 * width) & (below_lower < 0.45 * width)
    spread = float(np.median(np.abs(detail[under]))) * 1.48 if under.any() else 0.0
    noise = np.random.default_rng(0).standard_normal(crop.shape[:2]).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), max(0.6, 0.008 * width))
    grain = grain * np.float32(min(spread, GRAIN_LIMIT) / max(float(grain.std()), 1e-6))
    return grain[..., None]


def _lashes(
    crop: np.ndarray, skin: np.ndarray, below_upper: np.ndarray, u: np.ndarray, width: float
) -> tuple[np.ndarray, float, np.ndarray]:
    """Colour (3,), line thickness in px, and opacity uint8 (h, w) of the picture's own upper lashes."""
    lum, base = crop.mean(-1), skin.mean(-1)
    inside = (u > 0.05 * width) & (u < 0.95 * width)
    strip = inside & (below_upper > -0.10 * width) & (below_upper < 0.03 * width)
    if not strip.any():
        strip = np.ones_like(inside)
    limit = np.percentile(lum[strip], 12)
    dark = np.median(crop[strip & (lum <= limit)], axis=0)
    reference = float(np.median(base[strip]))
    dark = dark * min(1.0, 0.42 * reference / max(float(dark.mean()), 1e-3))
    contrast = np.clip((base - lum) / np.maximum(base - dark.mean(), 8.0), 0, 1)
    fade = smoothstep(below_upper, -0.17 * width, -0.02 * width)
    fade = fade * (1 - smoothstep(below_upper, 0.0, 0.03 * width))
    fade = fade * smoothstep(u, -0.18 * width, -0.02 * width)
    fade = fade * (1 - smoothstep(u, 1.02 * width, 1.18 * width))
    opacity = cv2.GaussianBlur(smoothstep(contrast, 0.35, 0.8) * fade, (0, 0), max(0.5, 0.012 * width))
    core = inside & (below_upper > -0.14 * width) & (below_upper < 0.03 * width)
    covered = float((contrast[core] > 0.55).mean()) if core.any() else 0.2
    line = float(np.clip(covered * 0.17 * width * 0.55, 0.022 * width, 0.07 * width))
    return dark.astype(np.float32), max(line, 0.8), np.round(opacity * 255).astype(np.uint8)


def _gaze(
    shape: EyeShape, u: np.ndarray, from_upper: np.ndarray, from_lower: np.ndarray
) -> tuple[np.ndarray, tuple[float, float]]:
    """How far each pixel follows the iris (0..1), and how far the iris may go across and down, px."""
    width = shape.frame.width
    height = float((shape.lower - shape.upper).max())
    radius = float(np.clip(shape.iris[1], 0.10 * width, 0.34 * width))
    centre = float(np.clip(shape.iris[0], 0.3 * width, 0.7 * width))
    vertical = smoothstep(np.minimum(from_upper, from_lower), 0.0, 0.10 * height)
    # The ends of a drawn lash line reach into the eye.
    rim = 0.02 * width + shape.lash
    room = max(min(centre, width - centre) - 0.9 * radius - rim, 0.04 * width)
    left = smoothstep(u, centre - 0.9 * radius - room, centre - 0.9 * radius)
    right = 1 - smoothstep(u, centre + 0.9 * radius, centre + 0.9 * radius + room)
    weight = vertical * np.minimum(left, right)
    return weight.astype(np.float32), (min(0.12 * width, 0.5 * room), min(0.05 * width, 0.09 * height))
