"""A square picture of a face and its landmarks into the 224-px picture that 3DMM reconstruction looks at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from .crop import settled

INPUT = 224  # px
MODEL_SCALE = 102.0  # px that the model's unit length takes in the input

# Groups of landmarks of the 68-point scheme (from 0), whose means are: left eye, right eye, nose tip, mouth
# corners. An eye is the mean of its two corners, as the network was trained.
GROUPS: tuple[tuple[int, ...], ...] = ((36, 39), (42, 45), (30,), (48,), (54,))


class Alignment(NamedTuple):
    """How a picture of (width, height) px was laid under the model: scaled, moved to t_x, t_y (y up)."""

    width: float
    height: float
    scale: float
    t_x: float
    t_y: float


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """(5, D) left eye, right eye, nose tip, left and right mouth corner from 68 landmarks (68, D)."""
    return np.stack([landmarks[list(group)].mean(axis=0) for group in GROUPS])


def align_to_model(points: np.ndarray, model: np.ndarray, width: int, height: int) -> Alignment:
    """The scale and shift that lay five points of a picture on those of the model.

    points: (5, 2) in pixels, y upwards from the picture's lower edge. model: (5, 3) in model units.
    Solves for a scaled orthographic camera by least squares.
    """
    system = np.zeros((2 * len(points), 8))
    system[0::2, :3] = system[1::2, 4:7] = model
    system[0::2, 3] = system[1::2, 7] = 1
    solution = np.linalg.lstsq(system, np.asarray(points, np.float64).reshape(-1), rcond=None)[0]
    scale = float(np.linalg.norm(solution[:3]) + np.linalg.norm(solution[4:7])) / 2
    return Alignment(width, height, MODEL_SCALE / scale, solution[3], solution[7])


def aligned_picture(picture: np.ndarray, alignment: Alignment) -> np.ndarray:
    """uint8 (224, 224, 3) cut from a uint8 (H, W, 3) picture; black where it does not reach."""
    height, width = picture.shape[:2]
    scale = alignment.scale
    wide, high = int(settled(width * scale)), int(settled(height * scale))
    left = int(settled(wide / 2 - INPUT / 2 + (alignment.t_x - width / 2) * scale))
    top = int(settled(high / 2 - INPUT / 2 + (height / 2 - alignment.t_y) * scale))
    resized = Image.fromarray(picture).resize((wide, high), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + INPUT, top + INPUT)))
