"""Turns the frames of a video into a few numbers a frame: lips, eyes, head pose, how fast the head moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..face import Face, eye_aperture, head_pose, lip_gap, topology

Tracker = Callable[[Iterable[np.ndarray]], Iterator[Face | None]]


@dataclass(frozen=True, eq=False)
class Observation:
    """What was seen in T frames; NaN in frames without a face.

    gap: lip opening (T,) in face widths. eyes: aperture (T, 2) of the person's left and right eye, lid
    distance over eye width. pose: yaw, pitch, roll (T, 3) in degrees. speed: of the skull's points,
    (T,) in face widths a second, since the frame before. box: x0, y0, x1, y1 around every face seen.
    """

    fps: float
    gap: np.ndarray
    eyes: np.ndarray
    pose: np.ndarray
    speed: np.ndarray
    box: tuple[float, float, float, float] | None

    def __len__(self) -> int:
        return len(self.gap)

    @property
    def found(self) -> np.ndarray:
        """Whether a face was seen, bool (T,)."""
        return ~np.isnan(self.gap)

    @property
    def times(self) -> np.ndarray:
        """Seconds at which each frame is half-way through its time on screen, (T,)."""
        return (np.arange(len(self)) + 0.5) / self.fps


def observe(
    frames: Iterable[np.ndarray], fps: float, track: Tracker, offset: tuple[float, float] = (0, 0)
) -> Observation:
    """Follow the face through uint8 RGB frames (H, W, 3), which are read once and not kept.

    offset: x, y in the video of the frames' top left corner, when they are cut from larger ones.
    """
    rows: list[tuple[float, ...]] = []
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    rigid = list(topology.RIGID)
    before: np.ndarray | None = None
    for face in track(frames):
        if face is None:
            rows.append((np.nan,) * 7)
            before = None
            continue
        points = np.asarray(face.landmarks, np.float64)
        width = float(np.linalg.norm(points[topology.LEFT_CHEEK] - points[topology.RIGHT_CHEEK]))
        here = points[rigid, :2]
        moved = np.nan if before is None else np.linalg.norm(here - before, axis=1).mean() / max(width, 1e-6)
        before = here
        rows.append((lip_gap(points), *eye_aperture(points), *head_pose(points), moved * fps))
        low, high = np.minimum(low, points[:, :2].min(axis=0)), np.maximum(high, points[:, :2].max(axis=0))
    table = np.array(rows, np.float64).reshape(-1, 7)
    x0, y0, x1, y1 = (float(edge) for edge in np.concatenate([low + offset, high + offset]))
    box = (x0, y0, x1, y1) if np.isfinite(x0) else None
    return Observation(fps, table[:, 0], table[:, 1:3], table[:, 3:6], table[:, 6], box)
