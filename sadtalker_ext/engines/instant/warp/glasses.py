"""Turns a face into how surely it wears glasses, whose rims must not bend with brows and cheeks."""

from __future__ import annotations

import cv2
import numpy as np

from ....face import topology
from .frame import FaceFrame
from .grid import smoothstep

STEP = 0.004  # fw between samples of a profile
EDGE = 0.012  # fw over which a rim's edge is measured
BRIDGE = (0.085, 0.20)  # contrast of an edge across the nose, of the skin's brightness: none … surely one
RIM = (0.07, 0.18)  # the same below the eyes
BRIDGE_SPAN = (-0.06, 0.10)  # fw below the point between the eyes
RIM_SPAN = (0.045, 0.20)  # fw below the lower lid


def wears_glasses(image: np.ndarray, frame: FaceFrame) -> float:
    """0 for a bare face, 1 where a bar crosses the nose and rims run below both eyes.

    image: uint8 (H, W, 3) in whose pixels the frame is.
    """
    light = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), max(0.6, 0.004 * frame.width))
    bridge = _edge(light, frame, frame.points[topology.NOSE_BRIDGE, :2], BRIDGE_SPAN, half_width=0.022)
    rims = []
    for lower in (topology.RIGHT_EYE_LOWER, topology.LEFT_EYE_LOWER):
        middle = frame.points[list(lower[3:6]), :2].mean(0)
        rims.append(_edge(light, frame, middle, RIM_SPAN, half_width=0.05))
    return float(smoothstep(bridge, *BRIDGE) * smoothstep(min(rims), *RIM))


def spectacle_zone(frame: FaceFrame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 where glasses sit on the face, falling to 0 around them, at pixels x, y."""
    eyes = frame.points[[*topology.RIGHT_EYE, *topology.LEFT_EYE], :2].mean(0)
    across, down = frame.plane(x, y, eyes)
    tall = smoothstep(down, -0.25, -0.15) * (1 - smoothstep(down, 0.16, 0.26))
    return tall * (1 - smoothstep(np.abs(across), 0.46, 0.60))


def _edge(
    light: np.ndarray, frame: FaceFrame, origin: np.ndarray, span: tuple[float, float], half_width: float
) -> float:
    """Contrast of the sharpest line across the face within `span` fw below a point, over the brightness.

    A line counts as far as it shows in most columns, which wrinkles, lashes and hair seldom do.
    """
    down = np.arange(span[0], span[1], STEP)
    u, v = np.meshgrid(np.linspace(-half_width, half_width, 9), down)
    x = origin[0] + frame.width * (u * frame.across[0] + v * frame.down[0])
    y = origin[1] + frame.width * (u * frame.across[1] + v * frame.down[1])
    inside = (x >= 0) & (y >= 0) & (x < light.shape[1]) & (y < light.shape[0])
    if not inside.all():
        return 0.0
    strip = cv2.remap(light, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).astype(np.float64)
    lag = max(1, round(EDGE / STEP))
    steps = np.abs(strip[lag:] - strip[:-lag])
    # A rim may run aslant: let each column find it within a few rows of the others.
    slack = np.max([np.roll(steps, shift, axis=0) for shift in range(-3, 4)], axis=0)
    return float(np.quantile(slack, 0.25, axis=1).max() / max(float(np.median(strip)), 20.0))
