"""A reference video into SadTalker's coefficients, frame by frame."""

from __future__ import annotations

import os
from itertools import accumulate, islice

import numpy as np

from ....errors import Place, VideoError
from ....face import FaceTracker
from ....host import Check, nothing
from ....video import read_frames
from ..networks.recon import ReconNet
from .source import cut_out, reconstruct

FPS = 25.0
ROW = 70


def video_coefficients(
    video: str | os.PathLike[str], recon: ReconNet, frames: int, check: Check = nothing
) -> np.ndarray:
    """(at most `frames`, 70) float32 at 25 frames/s; where no face is seen, what was seen last is kept.

    Raises `VideoError`: unreadable, or without a face.
    """
    tracker = FaceTracker()
    rows: list[np.ndarray | None] = []
    for picture in islice(read_frames(video, fps=FPS, check=check), frames):
        face = tracker.follow(picture)
        if face is None:
            rows.append(None)
            continue
        square, landmarks, _ = cut_out(np.ascontiguousarray(picture[:, :, :3]), face, "crop", 256)
        rows.append(reconstruct(square, landmarks, recon)[:ROW])
    seen = [row for row in rows if row is not None]
    if not seen:
        raise VideoError("No face was found in the reference video {path}; choose another one.", Place(video))
    filled = accumulate(rows, lambda last, row: last if row is None else row, initial=seen[0])
    return np.stack(list(filled)[1:])
