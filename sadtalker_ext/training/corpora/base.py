"""What every reader of a raw corpus offers: its clips one by one, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ...audio import load_speech
from ...errors import MeshError, TrainingError
from ...mesh.pickles import read_pickle
from .splits import Splits

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class RawClip:
    """A clip to be read: `read()` gives its motion, float32 (T, D), and sound, float32 (S,) at 16 kHz."""

    subject: str
    sentence: str
    read: Callable[[], Arrays] = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.subject}_{self.sentence}"


@dataclass(frozen=True)
class Missing:
    """A clip that the corpus should have and has not, and why."""

    subject: str
    sentence: str
    reason: str


class Corpus(Protocol):
    """A raw corpus on disk. `name`, `space` and `fps` are of its motion as `clips` reads it."""

    name: str
    space: str
    fps: float
    splits: Splits

    def templates(self) -> dict[str, np.ndarray]:
        """The neutral face of each subject, float32 (V, 3)."""

    def clips(self) -> Iterator[RawClip | Missing]:
        """All clips of the splits, cheaply: nothing is read before `RawClip.read`."""

    def others(self) -> list[str]:
        """Names of what is there and belongs to no split."""


def require_files(root: Path, names: tuple[str, ...], corpus: str) -> None:
    """Raises `TrainingError` that names what a corpus's folder lacks."""
    if not root.is_dir():
        raise TrainingError(f"There is no folder {root}; name the one that {corpus} was unpacked into.")
    lacking = [name for name in names if not (root / name).exists()]
    if lacking:
        raise TrainingError(f"{root} is not {corpus}: it has no {' and no '.join(lacking)}.")


def read_numbers(path: Path, limit: int = 4 << 30) -> object:
    """What a pickle of a corpus holds, read without running anything in it; `TrainingError` where it cannot.

    limit: bytes.
    """
    try:
        return read_pickle(path, size_limit=limit)
    except MeshError as error:
        raise TrainingError(str(error)) from error


def read_templates(path: Path) -> dict[str, np.ndarray]:
    """A templates.pkl: float32 (V, 3) by subject; `TrainingError` where it is something else."""
    found = read_numbers(path)
    try:
        assert isinstance(found, dict)
        templates = {str(k): np.asarray(v, np.float32).reshape(-1, 3) for k, v in found.items()}
        assert templates
    except (AssertionError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path} is no collection of templates, a (V, 3) array for each subject."
        ) from error
    for name, vertices in templates.items():
        if not np.isfinite(vertices).all():
            raise TrainingError(f"The template of {name} in {path} has vertices that are no numbers.")
    return templates


def at_16khz(samples: np.ndarray, rate: float) -> np.ndarray:
    """Sound as the networks hear it: float32 (S,) mono at 16 kHz; integers are scaled to full scale 1."""
    return load_speech((samples, round(float(rate)))).samples
