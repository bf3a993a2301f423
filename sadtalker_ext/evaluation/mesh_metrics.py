"""Predicted and true motion of a mesh into two published numbers: lip vertex error and upper-face dynamics.

As defined with CodeTalker (arXiv 2301.02379, section 4) and computed by its authors' program: distances are
squared, and the second number keeps its sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MeshError
from ..system.archives import map_array
from ..system.foreign import damage_as
from ..tracks.rows import slices

CONDITION = "_condition_"  # what the authors' program puts between a clip's name and the style it was made in
WORST = 3  # clips that the table names


@dataclass(frozen=True, eq=False)
class Clip:
    """One sentence. prediction, truth: (T, V, 3) arrays, memory-mapped or not. template: float (V, 3)."""

    name: str
    prediction: np.ndarray
    truth: np.ndarray
    template: np.ndarray


@dataclass(frozen=True)
class ClipResult:
    """Both numbers of one clip, in squared units of the mesh; fdd: None without a region for it."""

    name: str
    frames: int
    lve: float
    fdd: float | None


@dataclass(frozen=True)
class MeshReport:
    """Both numbers over all clips."""

    clips: tuple[ClipResult, ...]

    @property
    def frames(self) -> int:
        return sum(clip.frames for clip in self.clips)

    @property
    def lve(self) -> float:
        """Lip vertex error: the largest squared distance of a lip vertex, mean over all clips' frames."""
        return sum(clip.frames * clip.lve for clip in self.clips) / self.frames

    @property
    def fdd(self) -> float | None:
        """Upper-face dynamics deviation, mean over clips: above 0 the prediction moves too little."""
        found = [clip.fdd for clip in self.clips if clip.fdd is not None]
        return sum(found) / len(found) if found else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "frames": self.frames,
            "lve": self.lve,
            "fdd": self.fdd,
            "clips": [asdict(clip) for clip in self.clips],
        }

    def table(self) -> str:
        """As lines for a terminal."""
        clips = f"{len(self.clips)} clip{'s' if len(self.clips) > 1 else ''}"
        lines = [f"{clips}, {self.frames:,} frames", f"LVE  {self.lve: .4e}  squared, 0 is perfect"]
        if self.fdd is not None:
            other = "moves too little" if self.fdd > 0 else "moves too much"
            moves = other if self.fdd else "as the truth"
            lines.append(f"FDD  {self.fdd: .4e}  squared, 0 is perfect; the upper face {moves}")
        if len(self.clips) > 1:
            worst = sorted(self.clips, key=lambda clip: -clip.lve)[:WORST]
            lines.append("worst lips: " + ", ".join(f"{clip.name} {clip.lve:.4e}" for clip in worst))
        return "\n".join(lines)


def measure(clips: Iterable[Clip], lips: np.ndarray, upper: np.ndarray | None = None) -> MeshReport:
    """Lip vertex error, and with `upper` the upper-face dynamics deviation, of these clips.

    lips, upper: numbers of vertices, int (N,). A prediction that is longer than its truth is cut to it.
    Arrays are read in stretches, so clips may be larger than the memory. Raises `MeshError` where shapes
    differ, a prediction is too short, or something is no number.
    """
    results = tuple(_measured(clip, lips, upper) for clip in clips)
    if not results:
        raise MeshError("There is nothing to compare: no clips were given.")
    return MeshReport(results)


def _measured(clip: Clip, lips: np.ndarray, upper: np.ndarray | None) -> ClipResult:
    count, frames = len(clip.template), len(clip.truth)
    for what, array in (("prediction", clip.prediction), ("truth", clip.truth)):
        if array.shape[1:] != (count, 3):
            raise MeshError(
                f"The {what} of {clip.name} has {array.shape[1]:,} vertices, but the template has {count:,}."
            )
    if frames == 0:
        raise MeshError(f"The truth of {clip.name} has no frames.")
    if len(clip.prediction) < frames:
        raise MeshError(
            f"The prediction of {clip.name} has {len(clip.prediction):,} frames, but the truth has "
            f"{frames:,}; both must have the same frame rate and cover the same sentence."
        )
    distance = 0.0
    true_motion, predicted_motion = _Spread(), _Spread()
    for part in slices(frames, 3 * count):
        truth, prediction = clip.truth[part], clip.prediction[part]
        apart = _squared(clip.name, _exact(truth, lips) - _exact(prediction, lips))
        distance += float(apart.max(axis=1).sum())
        if upper is not None:
            rest = clip.template[upper].astype(np.float64)
            true_motion.add(_squared(clip.name, _exact(truth, upper) - rest))
            predicted_motion.add(_squared(clip.name, _exact(prediction, upper) - rest))
    fdd = None if upper is None else true_motion.mean_deviation - predicted_motion.mean_deviation
    return ClipResult(clip.name, frames, distance / frames, fdd)


def _exact(vertices: np.ndarray, region: np.ndarray) -> np.ndarray:
    return np.asarray(vertices[:, region], dtype=np.float64)


def _squared(name: str, vectors: np.ndarray) -> np.ndarray:
    """Squared lengths (T, N) of vectors (T, N, 3)."""
    lengths: np.ndarray = np.square(vectors).sum(axis=2)
    if not np.isfinite(lengths).all():
        raise MeshError(f"{name} has vertices that are no numbers (NaN or infinite).")
    return lengths


class _Spread:
    """Standard deviation over time of each column, of values that come in stretches (Chan's update)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: Any = 0.0
        self._squares: Any = 0.0  # sums of squared deviations from the mean

    def add(self, values: np.ndarray) -> None:
        """values: (T, N)."""
        count, mean = len(values), values.mean(axis=0)
        total = self._count + count
        apart = mean - self._mean
        self._squares = (
            self._squares + np.square(values - mean).sum(axis=0) + apart**2 * (self._count * count / total)
        )
        self._mean = self._mean + apart * (count / total)
        self._count = total

    @property
    def mean_deviation(self) -> float:
        """The population's standard deviation, mean over columns."""
        return float(np.sqrt(self._squares / self._count).mean())


def read_motion(path: Path, every: int = 1) -> np.ndarray:
    """The vertices of a .npy file as a memory-mapped (T, V, 3); every: take only each so many-th frame.

    The file has (T, V, 3) or, as the published corpora, (T, 3 V) numbers; raises `MeshError` otherwise.
    """
    damaged = MeshError(f"{path} cannot be read as .npy numbers; it is damaged or of another kind.")
    with damage_as(damaged, passing=()):
        array = map_array(path)
    if not np.issubdtype(array.dtype, np.floating):
        raise MeshError(f"{path} holds no vertices: they are floating-point numbers of one .npy array.")
    if array.ndim == 2 and array.shape[1] % 3 == 0:
        array = array.reshape(len(array), -1, 3)
    if array.ndim != 3 or array.shape[2] != 3 or array.shape[1] == 0:
        raise MeshError(
            f"{path} holds no vertices: its shape is {array.shape}, wanted are frames × vertices × 3."
        )
    return array[::every]


def pairs(predicted: Path, truth: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name, prediction and truth of each clip: of two files, or of two folders with files of equal names.

    In a folder of predictions a name may end in `_condition_STYLE`, as the authors' program writes it. Truths
    without a prediction are left out. Raises `MeshError` where a truth is missing.
    """
    for path in (predicted, truth):
        if not path.exists():
            raise MeshError(f"There is no {path}; check the name.")
    if predicted.is_dir() != truth.is_dir():
        raise MeshError("Give two files or two folders: the prediction first, then the truth.")
    if not predicted.is_dir():
        yield truth.stem, predicted, truth
        return
    found = sorted(path for path in predicted.iterdir() if path.suffix.lower() == ".npy")
    if not found:
        raise MeshError(f"There are no .npy files in {predicted}.")
    for path in found:
        partner = truth / (path.stem.split(CONDITION)[0] + path.suffix)
        if not partner.is_file():
            raise MeshError(f"{path} has no truth: there is no {partner}.")
        yield path.stem, path, partner


def subject_of(path: Path) -> str:
    """Who speaks in a clip of a corpus, by its file name: all but what follows the last underscore."""
    return path.stem.rpartition("_")[0] or path.stem
