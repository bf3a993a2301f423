"""Turns a picture's displacement fields into the largest motions that do not fold them."""

from __future__ import annotations

from itertools import product

import numpy as np

from .basis import MOVE_INDEX, MOVES
from .folds import LEAST_AREA, Folds
from .grid import jacobian
from .head import RELIABLE, HeadMotion

TOGETHER_STEPS = (1.4, 1.2, 1.0, 0.85, 0.7, 0.55, 0.4)  # radii of the ellipsoid of joint angles
LEAST_JAW = 0.4  # scale of the jaw's drop that every picture gets
JAW_AREA = 0.2  # of a cell that is left: other movements come on top


def measure_limits(head: HeadMotion, folds: Folds) -> dict[str, float]:
    """Degrees for yaw, pitch, roll; `together`: how far within the ellipsoid of these angles the head may
    turn about several axes at once; `jaw`: scale of the jaw's drop, 0..1; `seal`: largest amount of the
    movement that shuts the picture's own mouth, 0..1.
    """
    alone = np.zeros((2, len(MOVES)), np.float32)
    alone[0, MOVE_INDEX["jaw"]] = alone[1, MOVE_INDEX["seal"]] = 1
    return {
        **head.limits,
        "together": _together(head),
        "jaw": max(LEAST_JAW, float(folds.share(alone[:1], JAW_AREA)[0])),
        "seal": float(folds.share(alone[1:], LEAST_AREA)[0]),
    }


def _together(head: HeadMotion) -> float:
    yaw, pitch, roll = (head.limits[axis] for axis in ("yaw", "pitch", "roll"))
    for radius in TOGETHER_STEPS:
        share = radius / np.sqrt(3)
        corners = product((-share, share), repeat=3)
        moved = (head.displacement(a * yaw, b * pitch, c * roll) for a, b, c in corners)
        if min(float(jacobian(*field, head.grid.step).min()) for field in moved) >= RELIABLE:
            return radius
    return TOGETHER_STEPS[-1]
