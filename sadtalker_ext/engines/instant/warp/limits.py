"""Turns a picture's displacement fields into the largest motions that do not fold them."""

from __future__ import annotations

from itertools import product

import numpy as np

from .basis import MOVE_INDEX, MOVES, ExpressionBasis
from .grid import Grid, jacobian
from .head import RELIABLE, HeadMotion

JAW_STEPS = (1.0, 0.85, 0.7, 0.55, 0.4)
TOGETHER_STEPS = (1.4, 1.2, 1.0, 0.85, 0.7, 0.55, 0.4)  # radii of the ellipsoid of joint angles
LEAST_JACOBIAN = 0.2  # for expressions, whose folds would be small


def measure_limits(
    head: HeadMotion, basis: ExpressionBasis, grid: Grid, below_lips: np.ndarray
) -> dict[str, float]:
    """Degrees for yaw, pitch, roll; `together`: how far within the ellipsoid of these angles the head may
    turn about several axes at once; `jaw`: scale of the jaw's drop, 0..1.

    below_lips: fw below the lip line of each node of the face grid; each layer is judged on its own side.
    """
    limits = dict(head.limits)
    limits["together"] = _together(head)
    limits["jaw"] = _jaw(basis, grid, below_lips)
    return limits


def _together(head: HeadMotion) -> float:
    yaw, pitch, roll = (head.limits[axis] for axis in ("yaw", "pitch", "roll"))
    for radius in TOGETHER_STEPS:
        share = radius / np.sqrt(3)
        corners = product((-share, share), repeat=3)
        moved = (head.displacement(a * yaw, b * pitch, c * roll) for a, b, c in corners)
        if min(float(jacobian(*field, head.grid.step).min()) for field in moved) >= RELIABLE:
            return radius
    return TOGETHER_STEPS[-1]


def _jaw(basis: ExpressionBasis, grid: Grid, below_lips: np.ndarray) -> float:
    for scale in JAW_STEPS:
        amounts = np.zeros(len(MOVES), np.float32)
        amounts[MOVE_INDEX["jaw"]] = scale
        upper = jacobian(*basis.combine(basis.upper, amounts), grid.step)
        lower = jacobian(*basis.combine(basis.lower, amounts), grid.step)
        if min(float(upper[below_lips < 0].min()), float(lower[below_lips > 0].min())) >= LEAST_JACOBIAN:
            return scale
    return JAW_STEPS[-1]
