"""A portrait into what SadTalker's networks know of it: the face as a square and its 3DMM coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ....face import Face, Portrait, topology
from ..crop import Box, Mode, face_crop
from ..face3d import align_to_model, aligned_picture, five_points
from ..networks.recon import COLUMNS, ReconNet

# Left eye, right eye, nose tip and mouth corners of the mean face, in model units: x to the picture's right,
# y up, z to the viewer. The reconstruction was trained on pictures laid under these.
MODEL_POINTS = np.array([
    [-0.31148657, 0.29036078, 0.13377953], [0.30979887, 0.28972036, 0.13179526],
    [0.0032535, -0.04617932, 0.55244243],
    [-0.25216928, -0.38133916, 0.22405732], [0.2484662, -0.38128236, 0.22235769],
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class SourceFace:
    """The face of a portrait.

    square: uint8 (S, S, 3). coefficients: float32 (73,): 64 expression, pitch yaw roll (rad), x y z, and how
    the square lies under the model (scale, x, y). box: the square's place in the picture, in its pixels.
    height: of a frame that shows only the box, S wide, in its true shape.
    """

    square: np.ndarray
    coefficients: np.ndarray
    box: Box
    height: int


def source_face(portrait: Portrait, mode: Mode, size: int, recon: ReconNet) -> SourceFace:
    """What the networks see of a portrait in a crop mode, at `size` × `size` px."""
    square, landmarks, box = cut_out(portrait.image, portrait.face, mode, size)
    coefficients = reconstruct(square, landmarks, recon)
    return SourceFace(square, coefficients, box, max(1, int(size * box.height / box.width)))


def cut_out(picture: np.ndarray, face: Face, mode: Mode, size: int) -> tuple[np.ndarray, np.ndarray, Box]:
    """The face of a uint8 (H, W, 3) picture as a square, its 68 landmarks there, and the square's place."""
    height, width = picture.shape[:2]
    landmarks = landmarks_68(face)
    crop = face_crop(landmarks, width, height)
    shrunk = cv2.resize(picture, crop.picture)  # huge faces are shrunk; otherwise a copy
    box = crop.box(mode)
    # Squashed where the box is not square, as in training; frames get the box's shape back.
    square = cv2.resize(shrunk[box.top : box.bottom, box.left : box.right], (size, size))
    scale = np.array(crop.picture) / (width, height)
    inside = (landmarks * scale - (box.left, box.top)) * (size / box.width, size / box.height)
    return square, inside, Box(*(round(float(edge / scale[side % 2])) for side, edge in enumerate(box)))


def landmarks_68(face: Face) -> np.ndarray:
    """(68, 2) float64 points of the iBUG markup in pixels, read off the face's mesh."""
    return face.landmarks[list(topology.IBUG_68), :2].astype(np.float64)


def reconstruct(square: np.ndarray, landmarks: np.ndarray, recon: ReconNet) -> np.ndarray:
    """(73,) float32 coefficients of the face in a uint8 (S, S, 3) square with landmarks (68, 2)."""
    height, width = square.shape[:2]
    upwards = np.column_stack([landmarks[:, 0], height - 1 - landmarks[:, 1]])
    alignment = align_to_model(five_points(upwards), MODEL_POINTS, width, height)
    weight = next(recon.parameters())
    pixels = torch.from_numpy(aligned_picture(square, alignment).copy()).to(weight.device)
    with torch.no_grad():
        found = recon(pixels.permute(2, 0, 1)[None].to(weight.dtype) / 255)[0].float().cpu().numpy()
    placed = np.array([alignment.scale, alignment.t_x, alignment.t_y], np.float32)
    return np.concatenate([found[COLUMNS["exp"]], found[COLUMNS["angle"]], found[COLUMNS["trans"]], placed])
