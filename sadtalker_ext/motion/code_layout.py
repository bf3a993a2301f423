"""Which numbers of a motion track the codes of the prior stand for, and at what rate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..tracks import ARKIT

ROWS_A_SECOND = 50  # of motion; row j is the face at j / 50 seconds

# What speech does to the mouth is the same on both sides: ten tracks, those without a side first.
SINGLE: tuple[str, ...] = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower", "tongueOut",
)  # fmt: skip
PAIRED: tuple[str, ...] = ("mouthStretch", "mouthUpperUp", "mouthLowerDown", "mouthPress")
MOUTH: tuple[str, ...] = SINGLE + PAIRED

# Everything else that the codes cover: how the sides of the mouth differ, and coefficients that speech
# as such does not move. Gaze and head are left out: a jump of the eyes or a turn has no vocabulary.
_SPOKEN = {*SINGLE, *(name + side for name in PAIRED for side in ("Left", "Right"))}
FACE_CHANNELS = ("blink", "eyes", "brows", "cheeks")
_OTHERS = tuple(
    name for index in ARKIT.indices(["lips", *FACE_CHANNELS]) if (name := ARKIT.columns[index]) not in _SPOKEN
)
FACE: tuple[str, ...] = tuple(f"{name}Difference" for name in PAIRED) + _OTHERS


def mouth_of(columns: Mapping[str, np.ndarray], track: str) -> np.ndarray:
    """One of the tracks `MOUTH` of ARKit columns: the mean of both sides where there are two."""
    if track in columns:
        return columns[track]
    return (columns[f"{track}Left"] + columns[f"{track}Right"]) / 2


def split(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ARKit rows (T, 55) as mouth (T, len(MOUTH)) and face (T, len(FACE)) tracks."""
    columns = dict(zip(ARKIT.columns, data.T, strict=True))
    mouth = np.stack([mouth_of(columns, name) for name in MOUTH], axis=1)
    differences = [columns[f"{name}Left"] - columns[f"{name}Right"] for name in PAIRED]
    return mouth, np.stack([*differences, *(columns[name] for name in _OTHERS)], axis=1)


def joined(mouth: np.ndarray, face: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """ARKit columns, each (T,) 0..1, of mouth tracks (T, len(MOUTH)) and, if given, face tracks."""
    values = dict(zip(MOUTH, mouth.T, strict=True))
    columns = {name: values[name] for name in SINGLE}
    for number, name in enumerate(PAIRED):
        half = 0.0 if face is None else face[:, number] / 2
        columns[f"{name}Left"], columns[f"{name}Right"] = values[name] + half, values[name] - half
    if face is not None:
        columns |= dict(zip(_OTHERS, face.T[len(PAIRED) :], strict=True))
    return {name: value.clip(0, 1) for name, value in columns.items()}
