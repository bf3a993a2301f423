"""Paints a face whose mesh is known: what the eye and mouth tests look at."""

from __future__ import annotations

import sys
from types import ModuleType

import cv2
import numpy as np
import pytest

from sadtalker_ext.face.mean import mean_face

SKIN = np.array([205, 160, 135], np.float32)
LIPS = (170, 85, 85)
WHITE, IRIS, PUPIL = (225, 222, 215), (60, 90, 130), (15, 15, 20)
TEETH = (222, 205, 170)
UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)
MIRRORED_UPPER_LID = (263, 466, 388, 387, 386, 385, 384, 398, 362)
MIRRORED_LOWER_LID = (263, 249, 390, 373, 374, 380, 381, 382, 362)
LIPS_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
SHIFT = 4  # fractional bits of a polygon's corners


@pytest.fixture(scope="session")
def face() -> ModuleType:
    """This module: test modules are imported alone and cannot import their neighbours."""
    return sys.modules[__name__]


def mesh(face_width: float = 220.0, size: int = 512, gap: float = 0.0) -> np.ndarray:
    """The mean face (478, 3) px in the middle of a square picture, lips parted by `gap` face widths."""
    points = mean_face().points.copy()
    for weight, indices in ((-0.4, INNER_UPPER), (0.6, INNER_LOWER)):
        shares = np.sin(np.linspace(0, np.pi, len(indices)))
        points[list(indices), 1] += weight * gap * shares
    points *= face_width
    points[:, :2] += (size / 2, size / 2 - 0.05 * face_width)
    return points.astype(np.float32)


def _fill(image: np.ndarray, polygon: np.ndarray, colour: tuple[int, ...]) -> None:
    corners = np.round(polygon * 2**SHIFT).astype(np.int32)
    cv2.fillPoly(image, [corners], [float(c) for c in colour], cv2.LINE_AA, SHIFT)


def paint(points: np.ndarray, size: int = 512, *, flat: bool = False, teeth: bool = False) -> np.ndarray:
    """The face as uint8 (size, size, 3); `flat` without shading, `teeth` shown between parted lips."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    light = np.ones((size, size), np.float32)
    if not flat:
        noise = np.random.default_rng(3).standard_normal((size, size)).astype(np.float32)
        light = 1.1 - 0.35 * np.abs(columns - 0.45) - 0.12 * rows + 0.015 * noise
    image = np.clip(light[..., None] * SKIN, 0, 255).astype(np.uint8)
    flat_points = points[:, :2].astype(np.float64)
    for upper, lower, iris in (
        (UPPER_LID, LOWER_LID, 468),
        (MIRRORED_UPPER_LID, MIRRORED_LOWER_LID, 473),
    ):
        ring = np.concatenate([flat_points[list(upper)], flat_points[list(lower[-2:0:-1])]])
        mask = np.zeros((size, size, 3), np.uint8)
        _fill(mask, ring, (255, 255, 255))
        ball = np.full_like(image, 0)
        ball[:] = WHITE
        radius = float(np.hypot(*(flat_points[iris + 1] - flat_points[iris])))
        for share, colour in ((1.0, IRIS), (0.45, PUPIL)):
            centre = tuple(round(c * 2**SHIFT) for c in flat_points[iris])
            size_ = int(radius * share * 2**SHIFT)
            cv2.circle(ball, centre, size_, [float(c) for c in colour], -1, cv2.LINE_AA, SHIFT)
        image = np.where(mask > 127, ball, image)
        lash = np.round(flat_points[list(upper)] * 2**SHIFT).astype(np.int32)
        thick = max(1, round(0.03 * np.hypot(*(flat_points[upper[0]] - flat_points[upper[-1]]))))
        image = np.ascontiguousarray(image)
        cv2.polylines(image, [lash], False, (35.0, 25.0, 25.0), thick, cv2.LINE_AA, SHIFT)
    _fill(image, flat_points[list(LIPS_OUTER)], LIPS)
    inner = np.concatenate([flat_points[list(INNER_UPPER)], flat_points[list(INNER_LOWER[-2:0:-1])]])
    if np.hypot(*(flat_points[14] - flat_points[13])) > 1:
        _fill(image, inner, TEETH if teeth else (40, 15, 15))
    return image
