"""Turns head poses over time into statistics of the motion, its jitter and its agreement with the beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .sound import Sound, smooth

AXES = ("yaw", "pitch", "roll")
FAST_HZ = 4.0  # a head does not nod faster; what is faster is jitter
LEAST_SEEN = 0.5  # share of frames with a face
LEAST_FRAMES = 10
BEAT_SIGMA_S = 0.1  # tolerance of the beat's alignment, as in the SadTalker comparisons
SPEED_SMOOTHING_S = 0.2  # 5 frames of 25 a second
CHANCE_STEP_S = 0.05
LEAST_SPEED = 0.04  # fw a second on average; slower is a head at rest, whose speed is the mesh's noise


@dataclass(frozen=True)
class Axis:
    """One angle in degrees. sd, range; speed: mean, degrees a second; jitter: root mean square of the second
    difference, degrees a frame²; fast: share of the motion's power above 4 Hz."""

    sd: float
    range: float
    speed: float
    jitter: float
    fast: float


@dataclass(frozen=True)
class Beats:
    """How close beats of the speech are to rests of the head: score 0..1, and the same by chance.

    score: mean over beats of exp(−d² / 2σ²), d the time to the nearest minimum of head speed, σ = 0.1 s.
    chance: the mean over all shifts of the beats in time.
    """

    count: int
    score: float
    chance: float


def head_motion(pose: np.ndarray, fps: float) -> Mapping[str, Axis] | None:
    """Statistics by axis of (T, 3) degrees, NaN where not seen; None when a face is seen too seldom."""
    seen = np.isfinite(pose).all(axis=1)
    if seen.mean() < LEAST_SEEN or len(pose) < LEAST_FRAMES:
        return None
    index = np.arange(len(pose))
    filled = np.stack([np.interp(index, index[seen], pose[seen, axis]) for axis in range(3)], axis=1)
    return {name: _axis(filled[:, number], fps) for number, name in enumerate(AXES)}


def _axis(angle: np.ndarray, fps: float) -> Axis:
    power = np.abs(np.fft.rfft(angle - angle.mean())) ** 2
    frequency = np.fft.rfftfreq(len(angle), 1 / fps)
    return Axis(
        sd=float(angle.std()),
        range=float(np.ptp(angle)),
        speed=float(np.abs(np.diff(angle)).mean() * fps),
        jitter=float(np.sqrt(np.mean(np.diff(angle, n=2) ** 2))),
        fast=float(power[frequency > FAST_HZ].sum() / max(power[1:].sum(), 1e-12)),
    )


def beat_alignment(speed: np.ndarray, fps: float, sound: Sound) -> Beats | None:
    """Beat alignment of head speed (T,), NaN where unknown; None without beats or without motion."""
    seen = np.isfinite(speed)
    heard = sound.beats()
    duration = min(sound.duration, len(speed) / fps)
    heard = heard[heard < duration]
    if seen.sum() < LEAST_FRAMES or not len(heard) or speed[seen].mean() < LEAST_SPEED:
        return None
    index = np.arange(len(speed))
    smoothed = smooth(np.interp(index, index[seen], speed[seen]), SPEED_SMOOTHING_S * fps)
    inner = smoothed[1:-1]
    rests = (1 + np.flatnonzero((inner < smoothed[:-2]) & (inner <= smoothed[2:]))) / fps
    if not len(rests):
        return None

    def score(beats: np.ndarray) -> float:
        distance = np.abs(beats[:, None] - rests[None]).min(axis=1)
        return float(np.exp(-(distance**2) / (2 * BEAT_SIGMA_S**2)).mean())

    shifts = np.arange(CHANCE_STEP_S, duration, CHANCE_STEP_S)
    chance = np.mean([score((heard + shift) % duration) for shift in shifts])
    return Beats(len(heard), score(heard), float(chance))
