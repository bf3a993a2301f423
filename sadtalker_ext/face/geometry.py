"""Turns a face mesh into measurements: head pose, lip gap, mouth width, eye aperture.

Landmarks are float (478, 3) in pixels: x right, y down, z away from the viewer (smaller is nearer).
Lip distances are in face widths (the cheek-to-cheek distance in three dimensions, so that a turned
head does not look narrow); they do not change with the head's pose or the picture's size.
"""

from __future__ import annotations

import numpy as np

from . import topology
from .mean import mean_face

# Vertical pairs over the middle of the lips, with the weights of a mean that favours the centre.
LIP_PAIRS = ((13, 14), (82, 87), (312, 317))


def face_width(landmarks: np.ndarray) -> float:
    """Distance between the cheeks at ear level (points 234 and 454) in three dimensions, in pixels."""
    return float(np.linalg.norm(landmarks[topology.LEFT_CHEEK] - landmarks[topology.RIGHT_CHEEK]))


def head_rotation(landmarks: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) that turns the frontal mean face to the head's pose, from its rigid points.

    Solved in closed form (Kabsch 1976, with scale) over points that speech and blinks do not move.
    """
    rigid = list(topology.RIGID)
    source = mean_face().points[rigid].astype(np.float64)
    target = np.asarray(landmarks, np.float64)[rigid]
    u, _, vt = np.linalg.svd((target - target.mean(0)).T @ (source - source.mean(0)))
    turn = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return u @ turn @ vt


def head_pose(landmarks: np.ndarray) -> tuple[float, float, float]:
    """Head pose (yaw, pitch, roll) in degrees relative to a face that looks straight out of the picture.

    yaw > 0: the face is turned to the picture's right; pitch > 0: the chin is up; roll > 0: the head
    leans clockwise as the viewer sees it. The rotation is roll after yaw after pitch.
    """
    rotation = head_rotation(landmarks)
    # rotation = Rz(roll) · Ry · Rx with z away from the viewer; its first column is the ear-to-ear axis.
    across = rotation[:, 0]
    yaw = np.arcsin(np.clip(across[2], -1, 1))
    roll = np.arctan2(across[1], across[0])
    pitch = np.arctan2(-rotation[2, 1], rotation[2, 2])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def rotation_from_pose(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """Rotation (3, 3) of mesh points for a head pose in degrees; the inverse of `head_pose`."""
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def lip_gap(landmarks: np.ndarray) -> float:
    """Distance between the inner lips at the middle of the mouth, in face widths, ≥ 0.

    Measured along the face's own down direction over three neighbouring pairs: closed lips measure
    about 0 whatever the noise, where the plain distance of two points could only be positive.
    """
    down = head_rotation(landmarks)[:, 1]
    gaps = [(landmarks[low] - landmarks[high]) @ down for high, low in LIP_PAIRS]
    return max(0.0, float(np.mean(gaps)) / face_width(landmarks))


def eye_aperture(landmarks: np.ndarray) -> tuple[float, float]:
    """Lid opening over the eye's width, (person's left, person's right): about .3 open, below .12 shut."""
    left = _aperture(landmarks, topology.LEFT_LID_PAIRS, topology.LEFT_EYE_INNER, topology.LEFT_EYE_OUTER)
    right = _aperture(landmarks, topology.RIGHT_LID_PAIRS, topology.RIGHT_EYE_OUTER, topology.RIGHT_EYE_INNER)
    return left, right


def _aperture(landmarks: np.ndarray, pairs: tuple[tuple[int, int], ...], start: int, end: int) -> float:
    width = float(np.linalg.norm(landmarks[end] - landmarks[start]))
    heights = [float(np.linalg.norm(landmarks[high] - landmarks[low])) for high, low in pairs]
    return float(np.mean(heights)) / max(width, 1e-6)
