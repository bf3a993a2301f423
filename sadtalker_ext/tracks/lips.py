"""What ARKit's lip coefficients mean in distances: the convention that motion and renderers share.

Distances are in face widths (fw): from cheek to cheek at ear level, mesh points 234 and 454.
"""

from __future__ import annotations

import numpy as np

from .spaces import ARKIT
from .track import MotionTrack

GAP_PER_JAW = 0.11  # fw of lip opening for jawOpen = 1 with relaxed lips
GAP_PER_UPPER = 0.025  # fw for mouthUpperUp = 1
GAP_PER_LOWER = 0.035  # fw for mouthLowerDown = 1
LABIODENTAL_NARROWING = 0.5  # share of the opening that a lower lip at the teeth takes away
ATTACK_S = 0.15  # seconds in which the mouth leaves the picture's own expression
RELEASE_S = 0.6  # seconds in which it returns to it
ACTIVE = 0.02  # coefficient above which the lips count as in use


def opening(track: MotionTrack) -> np.ndarray:
    """Commanded lip gap, (T,) in fw ≥ 0, without the picture's own gap.

    jawOpen opens, mouthClose takes jaw opening away, mouthUpperUp and mouthLowerDown part the lips,
    mouthPress shuts them whatever the rest says, mouthRollLower brings the lower lip to the teeth.
    """
    gap = GAP_PER_JAW * np.maximum(0, track.column("jawOpen") - track.column("mouthClose"))
    gap = gap + GAP_PER_UPPER * _mean(track, "mouthUpperUp") + GAP_PER_LOWER * _mean(track, "mouthLowerDown")
    gap = gap * (1 - LABIODENTAL_NARROWING * np.clip(track.column("mouthRollLower"), 0, 1))
    return np.maximum(0, gap * (1 - closure(track))).astype(np.float32)


def closure(track: MotionTrack) -> np.ndarray:
    """How firmly the lips are pressed shut, (T,) in 0..1 (the mean of mouthPressLeft and Right)."""
    return np.clip(_mean(track, "mouthPress"), 0, 1)


def _mean(track: MotionTrack, name: str) -> np.ndarray:
    return (track.column(f"{name}Left") + track.column(f"{name}Right")) / 2


def activity(track: MotionTrack) -> np.ndarray:
    """How far the lips have left the picture's own expression, (T,) in 0..1.

    1 while lip coefficients are in use, 0 after `RELEASE_S` seconds at rest, rising over `ATTACK_S`
    before they start, so that an open smile may return in a pause but never disturbs a closure.
    """
    used = np.abs(track.data[:, ARKIT.indices(["lips"])]).max(axis=1) > ACTIVE
    index = np.arange(len(used))
    far = 1e9  # frames: never
    since = index - np.maximum.accumulate(np.where(used, index, -far))
    until = np.minimum.accumulate(np.where(used, index, far)[::-1])[::-1] - index
    ramp = np.maximum(1 - since / (RELEASE_S * track.fps), 1 - until / (ATTACK_S * track.fps))
    ramp = np.clip(ramp, 0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)


def from_articulators(
    *,
    gap: np.ndarray,
    jaw: np.ndarray,
    width: np.ndarray,
    rounding: np.ndarray,
    closure: np.ndarray,
    labiodental: np.ndarray,
    teeth: np.ndarray,
    tongue: np.ndarray,
) -> dict[str, np.ndarray]:
    """ARKit lip columns, each (T,), whose `opening` is `gap` narrowed by labiodental and closure.

    gap: fw ≥ 0. jaw, rounding, closure, labiodental, teeth, tongue: 0..1. width: −1..1 (narrow..wide).
    What the jaw alone cannot open is opened by the lips, teeth showing more by the upper one; what
    it opens too much is taken back by mouthClose.
    """
    gap, jaw = np.maximum(gap, 0), np.clip(jaw, 0, 1)
    by_jaw = GAP_PER_JAW * jaw
    parted = np.maximum(gap - by_jaw, 0)
    upper_share = 0.25 + 0.25 * np.clip(teeth, 0, 1)
    upper = np.minimum(parted * upper_share / GAP_PER_UPPER, 1)
    lower = np.minimum((parted - upper * GAP_PER_UPPER) / GAP_PER_LOWER, 1)
    jaw = np.clip(jaw + (parted - upper * GAP_PER_UPPER - lower * GAP_PER_LOWER) / GAP_PER_JAW, 0, 1)
    close = np.maximum(by_jaw - gap, 0) / GAP_PER_JAW
    wide, narrow = np.clip(width, 0, 1), np.clip(-width, 0, 1)
    columns = {
        "jawOpen": jaw,
        "mouthClose": close,
        "mouthPucker": np.clip(np.maximum(rounding, narrow * 0.6), 0, 1),
        "mouthFunnel": np.clip(rounding * jaw, 0, 1),
        "mouthRollLower": np.clip(labiodental, 0, 1),
        "tongueOut": np.clip(tongue, 0, 1) * 0.5,
    }
    pairs = {"mouthStretch": wide, "mouthUpperUp": upper, "mouthLowerDown": lower, "mouthPress": closure}
    for name, value in pairs.items():
        columns[f"{name}Left"] = columns[f"{name}Right"] = np.clip(value, 0, 1)
    return {name: np.asarray(value, np.float32) for name, value in columns.items()}
