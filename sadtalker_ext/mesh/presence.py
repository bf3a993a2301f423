"""Quiet presence as offsets of a head's vertices: a template sways, the neutral head moves its brows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..face.geometry import rotation_from_pose
from ..tracks import HEAD_POSE, MotionSpace, MotionTrack
from .neutral import DOWN
from .retarget import landmark_ways
from .template import Template

BEND_FROM, BEND_TO = 0.1, 0.5  # share of a template's height between which it bends; below stays where it is
BROW_PER_DEG = 0.04  # of browInnerUp, for a degree that the head would nod
ROWS = 256  # worked on at once


def swaying(template: Template, pose: MotionTrack) -> Iterator[np.ndarray]:
    """Offsets (n, 3V), rows of `pose` (an `arkit` track) in turn, of a head that is turned as it says."""
    vertices = np.asarray(template.vertices, np.float32)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    up = (vertices[:, 1] - low[1]) / max(float(high[1] - low[1]), 1e-9)
    rise = np.clip((up - BEND_FROM) / (BEND_TO - BEND_FROM), 0, 1)
    share = (rise * rise * (3 - 2 * rise)).astype(np.float32)[:, None]
    middle = (low + high) / 2
    neck = np.array([middle[0], low[1] + BEND_FROM * (high[1] - low[1]), middle[2]], np.float32)
    arms = vertices - neck
    for angles in zip(*(pose.column(name) for name in HEAD_POSE), strict=True):
        turn = (DOWN @ rotation_from_pose(*map(float, angles)) @ DOWN).astype(np.float32)
        yield (share * (arms @ turn.T - arms)).reshape(1, -1)


def browing(space: MotionSpace, pose: MotionTrack) -> Iterator[np.ndarray]:
    """Offsets (n, space.dim) of a head of known landmarks whose brows move as that of `pose` nods."""
    raised = np.abs(pose.column("headPitch")) * np.float32(BROW_PER_DEG)
    ways = landmark_ways(space, "browInnerUp")
    for start in range(0, len(raised), ROWS):
        yield raised[start : start + ROWS, None] * ways
