"""Turns a jittery motion track into a clean one by the nearest codes of known movements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..audio.features import smooth
from ..errors import TrackError
from ..host import Check, nothing
from ..tracks import ARKIT, BFM, MotionTrack
from .code_layout import ROWS_A_SECOND, joined, split
from .code_lips import BFM_FILE, bfm_weights, load_code_prior

if TYPE_CHECKING:
    from .code_prior import Codec

AT_ONCE = 1500  # rows that pass through a codec together, 30 s
SLOW_S = 0.15  # what the codes cannot say, and is slower than this, is kept as it was


def denoised(track: MotionTrack, models_dir: Path | None = None, check: Check = nothing) -> MotionTrack:
    """The track as the codebook of motion says it: jitter, spikes and held frames go, closures stay closed.

    arkit tracks: lips, blinks, eyes, brows and cheeks; gaze and head are left as they are. bfm tracks:
    expressions, by the user's own prior in `models_dir`. Raises TrackError for other spaces, or where a
    bfm track finds no prior.
    """
    if track.space == ARKIT:
        prior = load_code_prior()
        assert prior.face is not None
        mouth, face = split(_at_rows(track.data, track.fps))
        clean = (_coded(prior.motion, mouth, check), _coded(prior.face, face, check))
        columns = joined(*(_at_frames(rows, track.fps, len(track)) for rows in clean))
    elif track.space == BFM:
        path = None if models_dir is None else bfm_weights(models_dir)
        if path is None:
            raise TrackError(
                f"A bfm track is cleaned by your own code prior; put {BFM_FILE} into the models folder."
            )
        prior = load_code_prior(path, "bfm")
        index = list(BFM.channels["expression"])
        rows = _at_rows(track.data[:, index], track.fps)
        mean = rows.mean(axis=0)
        frames = _at_frames(_coded(prior.motion, rows - mean, check) + mean, track.fps, len(track))
        columns = {BFM.columns[number]: column for number, column in zip(index, frames.T, strict=True)}
    else:
        raise TrackError(f"Only arkit and bfm tracks can be cleaned by codes, not {track.space.name}.")
    clean_track = track.with_columns(columns)
    provenance = {**track.provenance, "denoised": {"code prior": prior.sha256}}
    return MotionTrack(track.space, track.fps, clean_track.data, provenance)


def _times(rows: int, fps: float) -> np.ndarray:
    """Seconds at which frames are half-way through their time on screen."""
    return (np.arange(rows) + 0.5) / fps


def _at_rows(data: np.ndarray, fps: float) -> np.ndarray:
    """Frames (T, C) at `fps` as an even number of rows at 50 Hz, from their start to their end."""
    count = int(np.ceil(len(data) / fps * ROWS_A_SECOND)) + 1
    wanted = np.arange(count + count % 2) / ROWS_A_SECOND
    shown = _times(len(data), fps)
    return np.stack([np.interp(wanted, shown, column) for column in data.T], axis=1).astype(np.float32)


def _at_frames(rows: np.ndarray, fps: float, frames: int) -> np.ndarray:
    at = np.arange(len(rows)) / ROWS_A_SECOND
    return np.stack([np.interp(_times(frames, fps), at, column) for column in rows.T], axis=1)


def _coded(codec: Codec, rows: np.ndarray, check: Check) -> np.ndarray:
    """Rows (T, C) as their codes say them, in pieces that overlap by what the codec sees around a row."""
    import torch

    from .code_prior import REACH

    said = np.empty_like(rows)
    for start in range(0, len(rows), AT_ONCE):
        check()
        first, last = max(0, start - 2 * REACH), min(len(rows), start + AT_ONCE + 2 * REACH)
        with torch.inference_mode():
            piece = codec(torch.from_numpy(rows[first:last]).T[None])[0].T.numpy()
        said[start : start + AT_ONCE] = piece[start - first :][:AT_ONCE]
    return said + smooth(rows - said, SLOW_S * ROWS_A_SECOND)
