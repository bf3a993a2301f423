"""Turns speech into eyes and brows: blinks near pauses, gaze that holds and jumps, brows up on stresses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..audio import Speech
from ..audio.features import smooth
from ..host import Check, nothing
from ..tracks import MotionTrack
from .head import eased, smootherstep
from .prosody import RATE, Prosody, analyse, streams

BLINKS_PER_MINUTE = 17.0  # of relaxed conversation, at blink_rate 1
BLINK_CLOSE_S, BLINK_SHUT_S, BLINK_OPEN_S = 0.08, 0.05, 0.11  # 240 ms: six frames at 25 fps, closing faster
BLINK_S = BLINK_CLOSE_S + BLINK_SHUT_S + BLINK_OPEN_S
BLINK_REGULARITY = 3.0  # shape of the gamma distribution of intervals: 1 purely random, more is more even
BLINK_REFRACTORY_S = 0.7  # from one blink's start to the next one's, unless it is a double
DOUBLE_SHARE = 0.08  # of blinks that are followed by another one
DOUBLE_AFTER_S = (0.30, 0.42)  # from the first one's start
PAUSE_PULL = 5.0  # how much likelier a blink is where a phrase ends
PAUSE_LAG_S, PAUSE_WIDTH_S = 0.12, 0.14  # the pull's centre after the phrase's end, and its spread
FIRST_BLINK_S = 0.2  # the eyes stay open this long

EYE_DEG = 35.0  # rotation of an eye that eyeLook… = 1 stands for, as in recordings by Live Link Face
HOLD_S, HOLD_SPREAD = 0.95, 0.45  # median time between jumps of the eyes, and spread of its logarithm
HOLD_RANGE_S = (0.4, 2.6)
FIXATION_DEG = (0.9, 0.5)  # spread of the small jumps, across and down
GLANCE_SHARE = (0.08, 0.35)  # of jumps that look away: while talking, and in a pause, where people think
GLANCE_DEG = (3.0, 6.0)  # how far away
JUMP_S, JUMP_S_PER_DEG = 0.021, 0.0022  # duration of a jump by its size (Carpenter 1988)
STEADY_HEAD = 0.7  # share of the head's turn that the eyes take back to stay with the viewer
LARGEST_GAZE = 0.35  # of eyeLook…: further, the white of a painted eye would have to be invented

BROW_SHARE = (0.05, 0.4)  # probability of a raise at stress 0, and what full stress adds
BROW_RAISE = (0.10, 0.22)  # its size at stress 0, and what full stress adds
BROW_UP_S, BROW_HOLD_S, BROW_DOWN_S = 0.16, 0.10, 0.42
BROW_LEAD_S = 0.12  # brows are up when the stressed vowel starts
BROW_OUTER, BROW_WIDE = 0.65, 0.3  # of the inner raise: the outer brow's, and the upper lid's
BLINK_STREAM, GAZE_STREAM, BROW_STREAM = 2, 3, 4  # random numbers apart: one knob moves one thing


def generate_eyes(
    speech: Speech,
    *,
    fps: float,
    frames: int,
    seed: int,
    blink_rate: float = 1.0,
    gaze: float = 1.0,
    brows: float = 1.0,
    still: bool = False,
    head: MotionTrack | None = None,
    check: Check = nothing,
) -> MotionTrack:
    """Blinks, gaze and brows for speech: an `arkit` track of `frames` ≥ 1 rows with those channels filled.

    All zero in the first and the last frame. blink_rate: times about 17 a minute, 0 none. gaze, brows:
    scale how far the eyes wander and the brows rise, 0 not at all. still: no glances away and no brows.
    head: the pose that will be shown, which the eyes partly take back so that they stay with the viewer.
    The same seed gives the same motion in time at any frame rate, blinks within half a frame.
    """
    knobs = {"seed": seed, "blink_rate": blink_rate, "gaze": gaze, "brows": brows, "still": still}
    track = replace(MotionTrack.rest(frames, fps), provenance={"generator": "procedural", **knobs})
    if frames < 3:
        return track
    prosody = analyse(speech.samples, frames / fps)
    check()
    times = np.arange(frames) / fps
    rest = eased(times, times[-1])
    shut = _blinks(prosody, seed, blink_rate, fps, frames)
    columns: dict[str, np.ndarray | float] = {"eyeBlinkLeft": shut, "eyeBlinkRight": shut}
    if gaze > 0:
        across, up = _gaze(prosody, seed, times, still)
        if head is not None:
            pose = head.resampled(fps).fitted(frames)
            across = across - STEADY_HEAD * pose.column("headYaw")
            up = up - STEADY_HEAD * pose.column("headPitch")
        columns |= look(gaze * rest * across, gaze * rest * up)
    check()
    if brows > 0 and not still:
        moments = np.arange(len(prosody.activity)) / RATE
        raised = np.interp(times, moments, _brows(prosody, seed)) * brows * rest
        columns["browInnerUp"] = raised
        for side in ("Left", "Right"):
            columns[f"browOuterUp{side}"] = raised * BROW_OUTER
            columns[f"eyeWide{side}"] = raised * BROW_WIDE
    return track.with_columns(columns)


def look(across_deg: np.ndarray, up_deg: np.ndarray) -> dict[str, np.ndarray]:
    """The eight eyeLook… columns, each (T,) 0..`LARGEST_GAZE`, of eyes turned together by so many degrees.

    across_deg > 0 looks to the picture's right, which is the person's own left; up_deg > 0 looks up.
    """
    across, up = (_within(angle / EYE_DEG) for angle in (across_deg, up_deg))
    columns = {"eyeLookOutLeft": across, "eyeLookInRight": across}
    columns |= {"eyeLookInLeft": -across, "eyeLookOutRight": -across}
    for side in ("Left", "Right"):
        columns |= {f"eyeLookUp{side}": up, f"eyeLookDown{side}": -up}
    return {name: np.maximum(value, 0).astype(np.float32) for name, value in columns.items()}


def _within(gaze: np.ndarray) -> np.ndarray:
    return LARGEST_GAZE * np.tanh(gaze / LARGEST_GAZE)


def blink_shape(since: np.ndarray) -> np.ndarray:
    """Closure 0..1 of a blink `since` seconds after its start; 0 outside its `BLINK_S` seconds."""
    opening = (since - BLINK_CLOSE_S - BLINK_SHUT_S) / BLINK_OPEN_S
    return _smoothstep(since / BLINK_CLOSE_S) - _smoothstep(opening)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _blinks(prosody: Prosody, seed: int, rate: float, fps: float, frames: int) -> np.ndarray:
    """(frames,) closure of the eyes."""
    shut = np.zeros(frames)
    if rate <= 0:
        return shut
    # A frame must show the eye fully shut: a blink seen only half way looks drunk.
    phase = 0.5 / fps if 1 / fps <= BLINK_SHUT_S else BLINK_CLOSE_S + BLINK_SHUT_S / 2
    for start in _blink_starts(prosody, seed, rate):
        begin = round((start + phase) * fps) / fps - phase
        first, last = int(np.ceil(begin * fps)), int(begin * fps + BLINK_S * fps) + 1
        if first >= 1 and last < frames - 1:
            seen = np.arange(first, last + 1)
            shut[seen] = np.maximum(shut[seen], blink_shape(seen / fps - begin))
    return shut


def _blink_starts(prosody: Prosody, seed: int, rate: float) -> list[float]:
    # A renewal process on a clock that runs faster where phrases end: random, but rarely inside a phrase.
    moments = np.arange(len(prosody.activity)) / RATE
    ends = np.zeros(len(moments))
    at = np.round((prosody.phrases[:, 1] + PAUSE_LAG_S) * RATE).astype(int)
    ends[at[at < len(ends)]] = 1
    sigma = PAUSE_WIDTH_S * RATE
    pull = smooth(ends, sigma) * sigma * np.sqrt(2 * np.pi)
    clock = 1 + PAUSE_PULL * np.minimum(pull, 1)
    clock = np.cumsum(clock / clock.mean()) / RATE
    mean = 60 / (BLINKS_PER_MINUTE * rate) * (1 + DOUBLE_SHARE)
    count = int(prosody.seconds / mean * 2) + 20
    gap, first, double, delay = streams(seed, BLINK_STREAM, 4)
    gaps = gap.gamma(BLINK_REGULARITY, mean / BLINK_REGULARITY, count)
    gaps[0] *= first.random()
    doubles, delays = double.random(count) < DOUBLE_SHARE, delay.uniform(*DOUBLE_AFTER_S, count)
    starts: list[float] = []
    free = FIRST_BLINK_S
    for tick, twice, after in zip(np.cumsum(gaps), doubles, delays, strict=True):
        if tick > clock[-1]:
            break
        start = max(free, float(np.interp(tick, clock, moments)))
        starts.append(start)
        if twice:
            start += after
            starts.append(start)
        free = start + min(BLINK_REFRACTORY_S, mean / 2)
    return starts


def _gaze(prosody: Prosody, seed: int, times: np.ndarray, still: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where the eyes point at `times`, (T,) degrees across and up, in quick jumps between still fixations."""
    count = int(prosody.seconds / HOLD_RANGE_S[0]) + 2
    hold, near, distance, direction, choice = streams(seed, GAZE_STREAM, 5)
    holds = np.clip(HOLD_S * np.exp(HOLD_SPREAD * hold.standard_normal(count)), *HOLD_RANGE_S)
    jumps = np.cumsum(holds)
    small = near.standard_normal((count, 2)).T * np.array(FIXATION_DEG)[:, None]
    away, angle = distance.uniform(*GLANCE_DEG, count), direction.uniform(0, 2 * np.pi, count)
    # Who listens looks at the speaker; only the pauses of one's own speech are for thinking.
    talking = prosody.activity if len(prosody.phrases) else np.ones(1)
    talking = talking[np.minimum((jumps * RATE).astype(int), len(talking) - 1)]
    glance = choice.random(count) < GLANCE_SHARE[1] + (GLANCE_SHARE[0] - GLANCE_SHARE[1]) * talking
    glance[1:] &= ~glance[:-1]  # every look away comes back
    if still:
        glance[:] = False
    # Away is mostly sideways; an eye that climbs or drops far is a different expression.
    far = away * np.stack([np.cos(angle), 0.4 * np.sin(angle)])
    targets = np.concatenate([np.zeros((2, 1)), np.where(glance, far, small)], axis=1)
    which = np.searchsorted(jumps, times, side="right")
    before = np.maximum(which - 1, 0)
    size = np.hypot(*(targets[:, which] - targets[:, before]))
    since = times - np.where(which > 0, jumps[before], times)
    done = _smoothstep(since / (JUMP_S + JUMP_S_PER_DEG * size))
    across, up = targets[:, before] + (targets[:, which] - targets[:, before]) * done
    return across, up


def _brows(prosody: Prosody, seed: int) -> np.ndarray:
    """(N,) how far the inner brows are up, 0..1, on `prosody`'s clock."""
    (rng,) = streams(seed, BROW_STREAM, 1)
    up = np.zeros(len(prosody.activity))
    since = np.arange(int((BROW_UP_S + BROW_HOLD_S + BROW_DOWN_S) * RATE) + 1) / RATE
    shape = smootherstep(since / BROW_UP_S) - smootherstep((since - BROW_UP_S - BROW_HOLD_S) / BROW_DOWN_S)
    for time, stress in zip(prosody.stress_times, prosody.stresses, strict=True):
        wanted, size = rng.random(2)
        if wanted > BROW_SHARE[0] + BROW_SHARE[1] * stress:
            continue
        start = round((time - BROW_LEAD_S) * RATE)
        first, last = max(0, start), min(len(up), start + len(shape))
        if first < last:
            height = (BROW_RAISE[0] + BROW_RAISE[1] * stress) * (0.6 + 0.8 * size)
            up[first:last] = np.maximum(up[first:last], height * shape[first - start : last - start])
    return up
