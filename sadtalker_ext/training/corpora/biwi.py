"""BIWI as it is downloaded into clips: 23370 vertices at 25 frames/s, turned and scaled, and their sound."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ...audio import load_speech
from ...errors import MeshError, TrainingError
from ...mesh import load_template
from .base import Arrays, Missing, RawClip, require_files
from .splits import BIWI, Splits

FACES, SCANS, VIDEOS = "faces", "rigid_scans", "videos"
SOUND_SUFFIXES = (".flv", ".wav", ".mp4", ".m4a")
HALF_TURN = np.array([1.0, -1.0, -1.0])  # a rotation by pi about x
ARCHIVES = ("*.tar", "*.tgz", "*.tar.gz", "*.zip")
Norm = Literal["frame", "template"]


class Biwi:
    """The unpacked corpus. Units are dimensionless: lengths are divided by the root of a face's area."""

    name = "biwi"
    space = "biwi"
    fps = 25.0

    def __init__(self, root: str | Path, *, norm: Norm = "frame", splits: Splits = BIWI) -> None:
        """norm: centre and scale every frame by itself, as published, or all by the template (no jitter).

        Raises `TrainingError` where something is missing.
        """
        self.root, self.splits, self.norm = Path(root), splits, norm
        require_files(self.root, (FACES, SCANS, VIDEOS), "BIWI")
        self._scans: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for subject in dict.fromkeys(subject for subject, _ in splits.expected()):
            path = self.root / SCANS / f"{subject}.obj"
            if path.exists():
                self._scans[subject] = _scan(path)
        if not self._scans:
            raise TrainingError(f"{self.root / SCANS} has no neutral face (such as F2.obj) of any subject.")

    def templates(self) -> dict[str, np.ndarray]:
        return {name: normalised(scan, faces) for name, (scan, faces) in self._scans.items()}

    def clips(self) -> Iterator[RawClip | Missing]:
        for subject, sentence in self.splits.expected():
            folder = self.root / FACES / subject / f"e{sentence}"
            sound = self._sound(subject, sentence)
            if not folder.is_dir():
                packed = [path.name for kind in ARCHIVES for path in folder.parent.glob(kind)]
                packed = [name for name in packed if f"e{sentence}" in name]
                reason = f"{packed[0]} is to be unpacked" if packed else f"there is no folder {folder}"
                yield Missing(subject, sentence, reason)
            elif subject not in self._scans:
                yield Missing(subject, sentence, f"{SCANS} has no {subject}.obj")
            elif sound is None:
                yield Missing(subject, sentence, f"{VIDEOS} has no {subject}_e{sentence}.flv")
            else:
                yield RawClip(subject, sentence, partial(self._read, subject, folder, sound))

    def others(self) -> list[str]:
        found = [path for path in sorted((self.root / FACES).glob("*/e*")) if path.is_dir()]
        return [
            f"{path.parent.name} {path.name}"
            for path in found
            if self.splits.of(path.parent.name, path.name[1:]) is None
        ]

    def _sound(self, subject: str, sentence: str) -> Path | None:
        stem = self.root / VIDEOS / f"{subject}_e{sentence}"
        return next((p for p in (stem.with_suffix(suffix) for suffix in SOUND_SUFFIXES) if p.exists()), None)

    def _read(self, subject: str, folder: Path, sound: Path) -> Arrays:
        scan, faces = self._scans[subject]
        neutral = normalised(scan, faces)
        files = sorted(folder.glob("*.vl"))
        if not files:
            raise TrainingError(f"{folder} holds no frames (.vl).")
        motion = np.empty((len(files), neutral.size), np.float32)
        for row, file in zip(motion, files, strict=True):
            frame = read_frame(file)
            if frame.shape != scan.shape:
                raise TrainingError(
                    f"{file} has {len(frame):,} vertices, but the neutral face of {subject} {len(scan):,}."
                )
            by = None if self.norm == "frame" else scan
            row[:] = (normalised(frame, faces, by) - neutral).reshape(-1)
        return motion, load_speech(sound).samples


def read_frame(path: Path) -> np.ndarray:
    """A .vl file: a count, then as many vertices; float32 (V, 3) as stored. Raises `TrainingError`."""
    try:
        data = path.read_bytes()
        (count,) = struct.unpack_from("<I", data)
        if len(data) != 4 + 12 * count:
            raise ValueError(f"{len(data):,} bytes for {count:,} vertices")
    except (OSError, struct.error, ValueError) as error:
        raise TrainingError(f"{path} is damaged or no frame of BIWI ({error}).") from error
    return np.frombuffer(data, "<f4", offset=4).reshape(-1, 3).astype(np.float32)


def normalised(vertices: np.ndarray, faces: np.ndarray, by: np.ndarray | None = None) -> np.ndarray:
    """(V, 3) turned upright, centred, and divided by the root of its area, float32.

    faces: int (F, 3). by: whose centre and area are used, (V, 3); None: its own.
    """
    turned = vertices.astype(np.float64) * HALF_TURN
    reference = turned if by is None else by.astype(np.float64) * HALF_TURN
    return ((turned - reference.mean(axis=0)) / np.sqrt(area(reference, faces))).astype(np.float32)


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Sum of the areas of all triangles."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def _scan(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        template = load_template(path)
    except MeshError as error:
        raise TrainingError(str(error)) from error
    if template.faces is None:
        raise TrainingError(f"{path} has no faces; the area that BIWI is scaled by needs them.")
    return template.vertices, template.faces
