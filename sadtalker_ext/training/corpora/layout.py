"""The folder layout of FaceFormer and CodeTalker into clips: vertices_npy/, wav/ and templates.pkl."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...audio import load_speech
from ...errors import TrainingError
from ...system.archives import map_array
from ...system.foreign import damage_as
from ...tracks import BIWI_VERTICES, FLAME_VERTICES, vertex_space
from .base import Arrays, Missing, RawClip, read_templates, require_files
from .splits import BIWI, VOCASET, Splits, by_sentence

MOTION, SOUND, TEMPLATES = "vertices_npy", "wav", "templates.pkl"
FASTEST, SLOWEST = 240.0, 1.0  # frames/s


@dataclass(frozen=True)
class Rate:
    """Frames a second as stored, and of how many one is used."""

    stored: float
    step: int

    @property
    def fps(self) -> float:
        return self.stored / self.step


VOCASET_RATE, BIWI_RATE = Rate(60.0, 2), Rate(25.0, 1)


class Layout:
    """A converted corpus. With 5023 or 23370 vertices it is taken for VOCASET or BIWI; else say the rate."""

    def __init__(
        self,
        root: str | Path,
        *,
        fps: float | None = None,
        step: int | None = None,
        splits: Splits | None = None,
    ) -> None:
        """fps: of the files. step: one frame of so many is used. Raises `TrainingError`."""
        self.root = Path(root)
        require_files(self.root, (MOTION, SOUND, TEMPLATES), "a converted corpus")
        self._templates = read_templates(self.root / TEMPLATES)
        self._files = {path.stem: path for path in sorted((self.root / MOTION).glob("*.npy"))}
        if not self._files:
            raise TrainingError(f"{self.root / MOTION} holds no .npy files.")
        parts = {stem: parse_name(stem) for stem in self._files}
        vertices = {len(template) for template in self._templates.values()}
        if len(vertices) != 1:
            raise TrainingError(f"The templates of {self.root} differ in their number of vertices.")
        self._vertices = vertices.pop()
        rate = self._rate(fps, step)
        self.fps, self.step = rate.fps, rate.step
        self.space = vertex_space(self._vertices).name
        self.name = {FLAME_VERTICES: "vocaset", BIWI_VERTICES: "biwi"}.get(
            self._vertices, self.root.resolve().name
        )
        self._names = {(subject, sentence): stem for stem, (subject, sentence) in parts.items()}
        self.splits = splits or self._splits()

    def templates(self) -> dict[str, np.ndarray]:
        return self._templates

    def clips(self) -> Iterator[RawClip | Missing]:
        for subject, sentence in self.splits.expected():
            stem = self._names.get((subject, sentence))
            if stem is None:
                yield Missing(subject, sentence, f"{MOTION} has no such file")
            elif not (self.root / SOUND / f"{stem}.wav").exists():
                yield Missing(subject, sentence, f"{SOUND} has no {stem}.wav")
            elif subject not in self._templates:
                yield Missing(subject, sentence, f"{TEMPLATES} has no template of {subject}")
            else:
                yield RawClip(subject, sentence, partial(self._read, subject, stem))

    def others(self) -> list[str]:
        return [stem for pair, stem in self._names.items() if self.splits.of(*pair) is None]

    def _read(self, subject: str, stem: str) -> Arrays:
        path = self._files[stem]
        with damage_as(lambda error: TrainingError(f"{path} cannot be read ({error})."), passing=()):
            stored = map_array(path)
        if stored.ndim not in (2, 3) or len(stored) == 0 or stored[0].size != 3 * self._vertices:
            raise TrainingError(
                f"{path} has the shape {stored.shape}; its template has {self._vertices:,} vertices."
            )
        vertices = np.asarray(stored[:: self.step], np.float32).reshape(-1, 3 * self._vertices)
        motion = vertices - self._templates[subject].reshape(-1)
        return motion, load_speech(self.root / SOUND / f"{stem}.wav").samples

    def _rate(self, fps: float | None, step: int | None) -> Rate:
        known = {FLAME_VERTICES: VOCASET_RATE, BIWI_VERTICES: BIWI_RATE}.get(self._vertices)
        if fps is None and known is None:
            raise TrainingError(
                f"{self.root} has faces of {self._vertices:,} vertices, of no published corpus; say "
                "their frame rate with --fps."
            )
        if fps is not None and not SLOWEST <= fps <= FASTEST:
            raise TrainingError(f"--fps must be {SLOWEST:g} to {FASTEST:g} frames/s, not {fps:g}.")
        if step is not None and step < 1:
            raise TrainingError(f"--step must be 1 or more, not {step}.")
        if fps is not None:
            return Rate(fps, step or 1)
        assert known is not None
        return Rate(known.stored, step or known.step)

    def _splits(self) -> Splits:
        known = {FLAME_VERTICES: VOCASET, BIWI_VERTICES: BIWI}.get(self._vertices)
        if known is not None and any(known.of(*pair) for pair in self._names):
            return known
        subjects, sentences = zip(*self._names, strict=True)
        return by_sentence(sorted(set(subjects)), sentences)


def parse_name(stem: str) -> tuple[str, str]:
    """Subject and sentence of a file name: all before the last "_", and the number at its end.

    Raises `TrainingError` for a name without both.
    """
    subject, _, rest = stem.rpartition("_")
    number = re.search(r"\d+$", rest)
    if not subject or number is None:
        raise TrainingError(
            f"The file name {stem} names no subject and sentence; names should look like Anna_sentence07.npy."
        )
    return subject, number.group().zfill(2)
