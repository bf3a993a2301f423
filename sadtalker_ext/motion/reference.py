"""Turns a reference video, or a motion file, into head pose or blinks to follow, looped without a jump."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from ..audio.features import smooth
from ..errors import OptionsError, TrackError, VideoError
from ..host import Check, nothing
from ..tracks import ARKIT, HEAD_POSE, MotionSpace, MotionTrack
from ..tracks.files import SUFFIXES, load_track

CHANNELS = ("pose", "blink")
MOST_FPS = 30.0  # head and lids say no more at a higher rate
SHORTER_SIDE = 720  # pixels; larger videos are tracked at this size
LEAST_SEEN = 0.1  # share of the frames in which the face must be found
POSE_SIGMA_S = 0.06  # takes the tracker's jitter away, keeps nods
OPEN_PERCENTILE = 75  # of an eye's aperture around a moment: open, whatever the person and the pose
OPEN_WINDOW_S, OPEN_STEP_S = 4.0, 0.5
LEAST_OPEN = 0.7  # of the clip's own open eye: long shut eyes are not open ones
BLINK_BEGINS, BLINK_ENDS = 0.82, 0.42  # of the open aperture: where closing starts to count, where it is full
CROSSFADE_S = 0.6  # from a loop's end into its start
DEFAULT_FPS = 25.0  # of a video that does not state its rate


def track_reference(
    video: str | os.PathLike[str],
    *,
    fps: float,
    channels: str | Iterable[str] = CHANNELS,
    frames: int | None = None,
    check: Check = nothing,
) -> MotionTrack:
    """Head pose (degrees, relative to the video's median) and blinks (0..1) of the largest face in a video.

    video: a video, or a motion file in the `arkit` space, as the engine instant makes them. Returns an
    `arkit` track at `fps` with only `channels` (of "pose", "blink") filled: as long as the video, or
    exactly `frames` rows, cut or looped with a cross-fade. Frames without a face are filled in from their
    neighbours. check: called for every frame. Raises `VideoError`: unreadable, no video stream, no face;
    `TrackError`: a motion file that is unreadable, or in another space.
    """
    wanted = (channels,) if isinstance(channels, str) else tuple(channels)
    if not wanted or set(wanted) - set(CHANNELS):
        raise OptionsError(f"A reference video gives {' and '.join(CHANNELS)}, not {', '.join(wanted)}.")
    given = reference_track(video, ARKIT)
    if given is not None:
        kept = MotionTrack.rest(len(given), given.fps).with_channels(given, wanted)
        made_by = {"reference": Path(video).name, "channels": list(wanted)}
        track = MotionTrack(ARKIT, given.fps, kept.data, made_by).resampled(fps)
        return track if frames is None else loop(track, frames)
    seconds = None if frames is None else frames / fps
    rate, seen, poses, apertures = _observe(Path(video), seconds, check)
    where, rows = np.flatnonzero(seen), np.arange(len(seen))
    columns: dict[str, np.ndarray | float] = {}
    if "pose" in wanted:
        for axis, name in enumerate(HEAD_POSE):
            curve = smooth(_without_spikes(np.interp(rows, where, poses[:, axis])), POSE_SIGMA_S * rate)
            columns[name] = curve - np.median(curve)
    if "blink" in wanted:
        for eye, name in enumerate(("eyeBlinkLeft", "eyeBlinkRight")):
            columns[name] = closure(np.interp(rows, where, apertures[:, eye]), rate)
    provenance = {"reference": Path(video).name, "channels": list(wanted), "found": float(seen.mean())}
    track = MotionTrack(ARKIT, rate, np.zeros((len(seen), ARKIT.dim), np.float32), provenance)
    track = track.with_columns(columns).resampled(fps)
    return track if frames is None else loop(track, frames)


def reference_track(path: str | os.PathLike[str], space: MotionSpace) -> MotionTrack | None:
    """The motion in a file, which must be in this space; None where the file is none: then it is a video."""
    if Path(path).suffix.lower() not in SUFFIXES:
        return None
    track = load_track(path)
    if track.space != space:
        raise TrackError(
            f"{Path(path).name} holds motion in the {track.space.name} space, and what is asked of it can be "
            f"taken from the {space.name} space alone; give a video, or the motion of another engine."
        )
    return track


def loop(track: MotionTrack, frames: int, crossfade_s: float = CROSSFADE_S) -> MotionTrack:
    """The track cut, or repeated, to `frames` rows; where it starts again it fades over, without a jump."""
    rows = len(track)
    fade = min(round(crossfade_s * track.fps), rows // 2)
    period = rows - fade
    data = track.data.copy()
    if frames > rows and fade > 0:
        # What comes after the last period fades into what came first; from then on every round is alike.
        weight = ((np.arange(fade) + 1) / (fade + 1))[:, None].astype(np.float32)
        weight = weight * weight * (3 - 2 * weight)
        joined = track.data.copy()
        joined[:fade] = track.data[period:] * (1 - weight) + track.data[:fade] * weight
        repeats = -(-(frames - period) // period)
        data = np.concatenate([track.data[:period], np.tile(joined[:period], (repeats, 1))])
    elif frames > rows:
        data = np.tile(data, (-(-frames // rows), 1))
    return MotionTrack(track.space, track.fps, data[:frames], track.provenance)


def closure(aperture: np.ndarray, fps: float) -> np.ndarray:
    """How far an eye is shut, (T,) 0..1, from its lid opening (T,) in any unit, by its own open level."""
    window, step = max(1, round(OPEN_WINDOW_S * fps / 2)), max(1, round(OPEN_STEP_S * fps))
    centres = np.arange(0, len(aperture) + step, step).clip(max=len(aperture) - 1)
    levels = [np.percentile(aperture[max(0, c - window) : c + window + 1], OPEN_PERCENTILE) for c in centres]
    level = np.interp(np.arange(len(aperture)), centres, levels)
    level = np.maximum(level, LEAST_OPEN * np.percentile(aperture, OPEN_PERCENTILE))
    share = aperture / np.maximum(level, 1e-6)
    return np.clip((BLINK_BEGINS - share) / (BLINK_BEGINS - BLINK_ENDS), 0, 1)


def _observe(
    video: Path, seconds: float | None, check: Check
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Frame rate, (T,) whether a face was seen, and of those frames (S, 3) poses and (S, 2) eye apertures."""
    from ..face import FaceTracker, eye_aperture, head_pose
    from ..video import probe, read_frames

    facts = probe(video)
    if not facts.has_video:
        raise VideoError(f"{video.name} has no picture to follow: it holds no video stream.")
    rate = min(facts.fps or DEFAULT_FPS, MOST_FPS)
    shrink = min(1.0, SHORTER_SIDE / max(1, min(facts.width, facts.height)))
    size = (round(facts.width * shrink), round(facts.height * shrink)) if shrink < 1 else None
    pictures = read_frames(video, fps=rate, size=size, check=check)
    if seconds is not None:
        pictures = islice(pictures, int(np.ceil(seconds * rate)) + 1)
    seen: list[bool] = []
    poses: list[tuple[float, float, float]] = []
    apertures: list[tuple[float, float]] = []
    for face in FaceTracker().track(pictures):
        seen.append(face is not None)
        if face is not None:
            poses.append(head_pose(face.landmarks))
            apertures.append(eye_aperture(face.landmarks))
    if not poses:
        raise VideoError(f"No face was found in the reference video {video.name}; choose another one.")
    if len(poses) < LEAST_SEEN * len(seen):
        raise VideoError(
            f"A face was found in only {len(poses)} of {len(seen)} frames of the reference video "
            f"{video.name}; choose one that shows the face."
        )
    return rate, np.array(seen), np.array(poses), np.array(apertures)


def _without_spikes(curve: np.ndarray) -> np.ndarray:
    """Median of three: a single frame in which the tracker slipped leaves no trace."""
    padded = np.pad(curve, 1, mode="edge")
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
