"""VOCASET as it is downloaded into clips: 5023 vertices at 30 frames/s, half of those captured, and sound."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import TrainingError
from ...system.archives import map_array
from ...system.foreign import damage_as
from .base import Arrays, Missing, RawClip, at_16khz, read_numbers, read_templates, require_files
from .splits import VOCASET, Splits

CAPTURE_FPS = 60.0
STEP = 2  # every second frame is used
FILES = ("data_verts.npy", "raw_audio_fixed.pkl", "templates.pkl", "subj_seq_to_idx.pkl")


class Vocaset:
    """The four files of the corpus: vertices are mapped into memory, never read whole."""

    name = "vocaset"
    space = "flame"
    fps = CAPTURE_FPS / STEP

    def __init__(self, root: str | Path, splits: Splits = VOCASET) -> None:
        """Raises `TrainingError` where a file is missing or holds something else."""
        self.root, self.splits = Path(root), splits
        require_files(self.root, FILES, "VOCASET")
        with damage_as(
            lambda error: TrainingError(f"{self.root / FILES[0]} cannot be read ({error}); fetch it anew."),
            passing=(),
        ):
            self._vertices = map_array(self.root / FILES[0])
        if self._vertices.ndim != 3 or self._vertices.shape[2] != 3:
            raise TrainingError(
                f"{self.root / FILES[0]} has the shape {self._vertices.shape}; vertices are (F, V, 3)."
            )
        self._templates = read_templates(self.root / FILES[2])
        self._frames = _by_subject(self.root / FILES[3])
        self._sound: dict[str, dict[str, Any]] | None = None  # large: read when the first clip is

    def templates(self) -> dict[str, np.ndarray]:
        return self._templates

    def clips(self) -> Iterator[RawClip | Missing]:
        for subject, sentence in self.splits.expected():
            sequence = f"sentence{sentence}"
            if not self._frames.get(subject, {}).get(sequence):
                yield Missing(subject, sentence, f"{FILES[3]} does not list it")
            elif subject not in self._templates:
                yield Missing(subject, sentence, f"{FILES[2]} has no template of {subject}")
            elif not self._has_sound(subject, sequence):
                yield Missing(subject, sentence, f"{FILES[1]} has no sound of it")
            else:
                yield RawClip(subject, sentence, partial(self._read, subject, sequence))

    def others(self) -> list[str]:
        return [
            f"{subject} {sequence}"
            for subject, sequences in self._frames.items()
            for sequence in sequences
            if self.splits.of(subject, str(sequence).removeprefix("sentence")) is None
        ]

    def _read(self, subject: str, sequence: str) -> Arrays:
        frames = self._frames[subject][sequence]
        # The map is a dictionary of frame number to place: its order need not be that of time.
        order = sorted(frames, key=_number)[::STEP]
        places = np.array([int(frames[key]) for key in order])
        if places.min() < 0 or places.max() >= len(self._vertices):
            raise TrainingError(
                f"{FILES[0]} is cut off: it lacks frames of {subject} {sequence} that {FILES[3]} names."
            )
        template = self._templates[subject]
        if len(template) != self._vertices.shape[1]:
            raise TrainingError(
                f"The template of {subject} has {len(template):,} vertices, but {FILES[0]} has "
                f"{self._vertices.shape[1]:,}."
            )
        motion = (self._vertices[places].astype(np.float32) - template).reshape(len(places), -1)
        sound = self._sounds()[subject][sequence]
        return motion, at_16khz(np.asarray(sound["audio"]), sound["sample_rate"])

    def _sounds(self) -> dict[str, dict[str, Any]]:
        if self._sound is None:
            self._sound = _by_subject(self.root / FILES[1])
        return self._sound

    def _has_sound(self, subject: str, sequence: str) -> bool:
        sound = self._sounds().get(subject, {}).get(sequence)
        return isinstance(sound, dict) and {"audio", "sample_rate"} <= sound.keys()


def _by_subject(path: Path) -> dict[str, dict[str, Any]]:
    found = read_numbers(path)
    if not isinstance(found, dict) or not all(isinstance(value, dict) for value in found.values()):
        raise TrainingError(f"{path} is another kind of file: it holds no sequences by subject.")
    return found


def _number(key: Any) -> int:
    digits = re.search(r"\d+", str(key))
    return int(digits.group()) if digits else 0
