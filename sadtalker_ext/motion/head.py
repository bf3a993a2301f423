"""Turns speech, or key values, into head pose: drift, a new posture for a phrase, nods on stresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..audio import Speech
from ..audio.features import smooth
from ..errors import OptionsError
from ..host import Check, nothing
from ..tracks import HEAD_POSE, MotionTrack
from .prosody import RATE, Prosody, analyse, streams

SPREAD_DEG = (4.0, 2.5, 2.0)  # standard deviation of yaw, pitch, roll while speaking
LIMIT_DEG = (12.0, 8.0, 6.0)  # never turned further than this; larger motion is bent towards it
LISTENING = 0.45  # share of the spread that is left when nobody speaks
SILENT_PACE = 0.4  # how fast the drift goes on in silence, 1 while speaking
STILL = 0.06  # share of the spread that `still` leaves: breathing, not a photograph
EASE_S = 0.5  # from rest at the start and back to rest at the end
EASE_SHARE = 0.35  # of a clip, at most, is spent on either

SLOW_S = (1.7, 1.5, 1.9)  # seconds between the control points of the slow drift of yaw, pitch, roll
QUICK_S = (0.7, 0.65, 0.8)  # and of the quick one
SLOW, QUICK, POSTURE = (0.8, 0.75, 0.8), (0.28, 0.25, 0.25), (0.6, 0.35, 0.4)  # their weights
POSTURE_SIGMA_S = 0.28  # how gradually a new posture is taken
POSTURE_BEFORE_S = 0.1  # people move just before they speak
LEAN_WITH_TURN = 0.12  # degrees of roll for a degree of yaw: heads lean into a turn

NOD_SHARE = (0.15, 0.55)  # probability of a nod at stress 0, and what full stress adds
NOD_DEG = (0.8, 2.2)  # depth of a nod at stress 0, and what full stress adds
NOD_UP = 0.15  # share of nods that lift the chin instead
NOD_FALL_S, NOD_RISE_S = 0.34, 0.56  # down, centred on the onset, and back
NOD_SIDEWAYS = 0.35  # of its depth, how far a nod tilts the head at most

SPLINE_SPREAD = float(np.sqrt(151 / 315))  # of a cubic B-spline over independent unit control points
GAIN = (0.6, 1.9)  # how far a clip's own spread may be scaled to the wanted one
STREAM = 1  # keeps the head's random numbers apart from those of the eyes


def generate_head(
    speech: Speech,
    *,
    fps: float,
    frames: int,
    seed: int,
    head_motion: float = 1.0,
    still: bool = False,
    check: Check = nothing,
) -> MotionTrack:
    """Head pose for speech: an `arkit` track of `frames` ≥ 1 rows with only the pose channel filled, degrees.

    Zero in the first and the last frame and zero-mean between; within `LIMIT_DEG`; standard deviation
    about `SPREAD_DEG` × `head_motion` (0: no motion at all), less in silence and in short clips. `still`
    leaves a hint of sway. The same seed gives the same motion in time at any frame rate.
    """
    knobs = {"seed": seed, "head_motion": head_motion, "still": still}
    track = replace(MotionTrack.rest(frames, fps), provenance={"generator": "procedural", **knobs})
    if frames < 3 or head_motion == 0:
        return track
    prosody = analyse(speech.samples, frames / fps)
    check()
    pose = _raw_pose(prosody, seed, still)
    check()
    times = np.arange(frames) / fps
    moments = np.arange(len(prosody.activity)) / RATE
    end = times[-1]
    columns: dict[str, np.ndarray | float] = {}
    for axis, name in enumerate(HEAD_POSE):
        spread = SPREAD_DEG[axis] * head_motion * _liveliness(prosody, still)
        curve = _settled(pose[axis], eased(moments, end), spread, LIMIT_DEG[axis])
        columns[name] = np.interp(times, moments, curve) * eased(times, end)
    return track.with_columns(columns)


def eased(times: np.ndarray, end: float) -> np.ndarray:
    """0 at time 0 and at `end` (seconds), 1 between, with smooth flanks of at most `EASE_S` seconds."""
    ease = min(EASE_S, EASE_SHARE * end)
    if ease <= 0:
        return np.zeros(len(times))
    return smootherstep(np.minimum(times, end - times) / ease)


def smootherstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, between them without a jump in velocity or acceleration."""
    x = np.clip(x, 0, 1)
    return x * x * x * (x * (6 * x - 15) + 10)


def ramp(values: Sequence[float], frames: int) -> np.ndarray:
    """Key values spread evenly over a clip, (frames,) float32, joined smoothly without overshoot.

    The first value is met in the first frame and the last in the last; one value, or equal neighbours, stay
    constant. Raises `OptionsError` when there is no value.
    """
    keys = np.asarray(values, np.float64)
    if keys.ndim != 1 or len(keys) == 0 or not np.isfinite(keys).all():
        raise OptionsError("A ramp needs one or more numbers, like 0 20 -10.")
    if len(keys) == 1 or frames < 2:
        return np.full(frames, keys[0], np.float32)
    # Monotone cubic Hermite (Fritsch and Carlson 1980) with harmonic-mean slopes, at rest at both ends.
    steps = np.diff(keys)
    before, after = steps[:-1], steps[1:]
    agree = before * after > 0
    inner = np.where(agree, 2 * before * after / np.where(agree, before + after, 1), 0)
    slopes = np.concatenate([[0], inner, [0]])
    position = np.linspace(0, len(keys) - 1, frames)
    i = np.minimum(position.astype(int), len(keys) - 2)
    u = position - i
    rise = u * u * (3 - 2 * u)
    curve = keys[i] + steps[i] * rise + slopes[i] * u * (1 - u) ** 2 - slopes[i + 1] * u * u * (1 - u)
    return curve.astype(np.float32)


def _liveliness(prosody: Prosody, still: bool) -> float:
    if still:
        return STILL
    return LISTENING + (1 - LISTENING) * min(1.0, prosody.speaking / 0.6)


def _raw_pose(prosody: Prosody, seed: int, still: bool) -> list[np.ndarray]:
    """Yaw, pitch and roll without units, on `prosody`'s clock; only the nods are in degrees already."""
    # In silence the drift does not shrink, it slows down: a head at rest stays where it is.
    phase = np.cumsum(SILENT_PACE + (1 - SILENT_PACE) * prosody.activity) / RATE
    *slow, quick_yaw, quick_pitch, quick_roll, posture, nod = streams(seed, STREAM, 8)
    drift = [
        SLOW[axis] * _spline(slow[axis], phase, SLOW_S[axis])
        + QUICK[axis] * _spline(quick, phase, QUICK_S[axis])
        for axis, quick in enumerate((quick_yaw, quick_pitch, quick_roll))
    ]
    if still:
        return drift
    postures = _postures(prosody, posture)
    nods, tilts = _nods(prosody, nod)
    # Degrees become shares of the spread, which `_settled` turns back into degrees.
    yaw, pitch, roll = (d + POSTURE[axis] * postures[axis] for axis, d in enumerate(drift))
    roll = roll + LEAN_WITH_TURN * yaw * SPREAD_DEG[0] / SPREAD_DEG[2]
    return [yaw, pitch + nods / SPREAD_DEG[1], roll + tilts / SPREAD_DEG[2]]


def _spline(rng: np.random.Generator, phase: np.ndarray, spacing: float) -> np.ndarray:
    """Band-limited noise of unit spread: a uniform cubic B-spline over random control points."""
    u = phase / spacing
    i = u.astype(int)
    f = u - i
    points = rng.standard_normal(int(i[-1]) + 4)
    weights = (
        lambda: (1 - f) ** 3,
        lambda: 3 * f**3 - 6 * f**2 + 4,
        lambda: -3 * f**3 + 3 * f**2 + 3 * f + 1,
        lambda: f**3,
    )
    curve = np.zeros(len(u))
    for k, weight in enumerate(weights):  # one at a time: those of long speech are large
        curve += points[i + k] * weight() / 6
    return curve / SPLINE_SPREAD


def _postures(prosody: Prosody, rng: np.random.Generator) -> np.ndarray:
    """(3, N) of about unit spread: a random pose for every phrase, taken just before it starts."""
    starts = np.maximum(0, (prosody.phrases[:, 0] - POSTURE_BEFORE_S) * RATE).astype(int)
    poses = rng.standard_normal((len(starts) + 1, 3)).T
    which = np.searchsorted(starts, np.arange(len(prosody.activity)), side="right")
    return np.stack([smooth(pose[which], POSTURE_SIGMA_S * RATE) for pose in poses])


def _nods(prosody: Prosody, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pitch and roll of the nods, (N,) degrees each."""
    pitch, roll = np.zeros(len(prosody.activity)), np.zeros(len(prosody.activity))
    length = int((NOD_FALL_S + NOD_RISE_S) * RATE) + 1
    since = np.arange(length) / RATE
    shape = smootherstep(since / NOD_FALL_S) - smootherstep((since - NOD_FALL_S) / NOD_RISE_S)
    for time, stress in zip(prosody.stress_times, prosody.stresses, strict=True):
        wanted, depth, up, side = rng.random(4)
        if wanted > NOD_SHARE[0] + NOD_SHARE[1] * stress:
            continue
        degrees = (NOD_DEG[0] + NOD_DEG[1] * stress) * (0.7 + 0.6 * depth) * (0.6 if up < NOD_UP else -1)
        start = round((time - NOD_FALL_S / 2) * RATE)
        first, last = max(0, start), min(len(pitch), start + length)
        if first < last:
            bump = shape[first - start : last - start]
            pitch[first:last] += degrees * bump
            roll[first:last] += degrees * NOD_SIDEWAYS * (2 * side - 1) * bump
    return pitch, roll


def _settled(curve: np.ndarray, weight: np.ndarray, spread: float, limit: float) -> np.ndarray:
    """`curve` scaled to `spread`, bent to stay within ±`limit`, and centred by its weighted mean."""
    total = weight.sum()
    if total == 0:
        return np.zeros(len(curve))
    centred = curve - (curve * weight).sum() / total
    own = float(np.sqrt(np.mean((weight * centred) ** 2)))
    degrees = centred * spread * float(np.clip(1 / max(own, 1e-6), *GAIN))
    for _ in range(4):
        degrees = degrees - (_bent(degrees, limit) * weight).sum() / total
    return _bent(degrees, limit)


def _bent(degrees: np.ndarray, limit: float) -> np.ndarray:
    """Nearly unchanged up to half of `limit`, which is never reached."""
    return degrees / (1 + (degrees / limit) ** 4) ** 0.25
