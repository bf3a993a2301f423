"""Clips of a corpus into files that training reads, and back: a cache folder with a manifest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TrainingError
from ..system.archives import write_arrays
from ..system.foreign import damage_as
from ..system.outputs import write_whole

TRAIN, VALIDATION, TEST = "train", "validation", "test"
MANIFEST, CORPUS, TEMPLATES = "manifest.jsonl", "corpus.json", "templates.npz"
UNFINISHED = "manifest.jsonl.part"  # becomes the manifest when the last clip is written
UNFINISHED_SETTINGS = "settings.json.part"  # with what an unfinished cache is made
CLIPS = "clips"
FORMAT = 1
SAMPLES_PER_SECOND = 16000  # of the sound in a cache


@dataclass(frozen=True, eq=False)
class ClipRecord:
    """One utterance: what is heard and how the face moves.

    audio: float32 (S,) at 16 kHz. motion: float32 (T, D), offsets from the subject's template in its units,
    or coefficients. space: name of the motion space. sentence: as the corpus numbers it. split: `TRAIN`,
    `VALIDATION`, `TEST` or another name.
    """

    clip: str
    subject: str
    sentence: str
    split: str
    fps: float
    space: str
    audio: np.ndarray
    motion: np.ndarray


@dataclass(frozen=True)
class Entry:
    """A line of the manifest: a clip without its arrays.

    frames: T. samples: S. mismatch: seconds that the sound is longer than the motion. sha1: of both arrays.
    """

    clip: str
    subject: str
    sentence: str
    split: str
    frames: int
    samples: int
    mismatch: float
    sha1: str
    power: float


@dataclass(frozen=True)
class CorpusInfo:
    """What all clips of a cache share.

    subjects: those of the training split, in the order of their style indices. dim: D.
    """

    name: str
    space: str
    fps: float
    dim: int
    subjects: tuple[str, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT


class ClipCache:
    """A finished cache folder, read-only. Attributes: `info`, `entries` in the order they were written."""

    def __init__(self, folder: str | Path) -> None:
        """Raises `TrainingError` where the folder holds no finished cache."""
        self.folder = Path(folder)
        if not (self.folder / MANIFEST).is_file():
            state = "is not finished" if (self.folder / UNFINISHED).exists() else "holds no prepared corpus"
            raise TrainingError(f"{self.folder} {state}; make one by: sadtalker train prepare.")
        try:
            told = dict(json.loads((self.folder / CORPUS).read_text(encoding="utf-8")))
            version = told.get("format", FORMAT)
            if version != FORMAT:  # which may have other fields
                raise TrainingError(
                    f"{self.folder} was prepared by another version (format {version}, here {FORMAT}); "
                    "prepare the corpus anew."
                )
            self.info = CorpusInfo(**{**told, "subjects": tuple(told["subjects"])})
            self.entries = tuple(read_manifest(self.folder / MANIFEST))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise TrainingError(f"{self.folder} is damaged ({error}); prepare the corpus anew.") from error
        self._checked: set[str] = set()

    def of_split(self, split: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.split == split)

    def templates(self) -> dict[str, np.ndarray]:
        """The neutral face of each subject, float32 (V, 3); empty for spaces that have none."""
        path = self.folder / TEMPLATES
        if not path.exists():
            return {}
        with damage_as(_unreadable(path), passing=()), np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def load(self, entry: Entry) -> ClipRecord:
        """Reads a clip whole, checking its hash the first time; `TrainingError` where it is damaged."""
        path = clip_path(self.folder, entry.clip)
        with damage_as(_unreadable(path), passing=()), np.load(path, allow_pickle=False) as file:
            motion, audio = file["motion"], file["audio"]
        if entry.clip not in self._checked:
            if digest(motion, audio) != entry.sha1:
                raise TrainingError(f"{path} is not what was prepared (its sha1 differs); prepare it anew.")
            self._checked.add(entry.clip)
        names = entry.clip, entry.subject, entry.sentence, entry.split
        motion = motion.astype(np.float32, copy=False)
        return ClipRecord(*names, self.info.fps, self.info.space, audio, motion)

    def fingerprint(self) -> str:
        """Of all clips and their splits: two caches with the same one train the same."""
        text = json.dumps([[e.clip, e.split, e.sha1] for e in self.entries])
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class CacheWriter:
    """Writes a cache clip by clip; an interrupted one goes on where it stopped.

    Used as: `with CacheWriter(...)`, `add` for every clip that is not in `done`, then `finish`.
    """

    def __init__(
        self, folder: str | Path, settings: Mapping[str, Any] | None = None, *, overwrite: bool = False
    ) -> None:
        """settings: all that decides what clips come to, as JSON has it.

        Raises `TrainingError` where a finished cache is there already, or an unfinished one of other
        settings, unless `overwrite`, which discards either.
        """
        self.folder = Path(folder)
        if overwrite and any((self.folder / name).exists() for name in (MANIFEST, UNFINISHED)):
            for name in (MANIFEST, UNFINISHED, UNFINISHED_SETTINGS, CORPUS, TEMPLATES):
                (self.folder / name).unlink(missing_ok=True)
        if (self.folder / MANIFEST).exists():
            raise TrainingError(
                f"{self.folder} holds a prepared corpus; choose another folder, or --overwrite it."
            )
        (self.folder / CLIPS).mkdir(parents=True, exist_ok=True)
        self.done: dict[str, Entry] = {}
        wanted = json.loads(json.dumps(dict(settings or {})))
        if (self.folder / UNFINISHED).exists():
            self._go_on(wanted)
        else:
            text = json.dumps(wanted, indent=1, ensure_ascii=False)
            write_whole(self.folder / UNFINISHED_SETTINGS, True, lambda file: file.write(text.encode()))

    def _go_on(self, wanted: Mapping[str, Any]) -> None:
        try:
            began = dict(json.loads((self.folder / UNFINISHED_SETTINGS).read_text(encoding="utf-8")))
            entries = list(read_manifest(self.folder / UNFINISHED, cut=True))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise TrainingError(
                f"{self.folder} holds an unfinished preparation that cannot be gone on with ({error}); "
                "--overwrite it."
            ) from error
        none = object()
        changed = [name for name in {**began, **wanted} if began.get(name, none) != wanted.get(name, none)]
        if changed:
            raise TrainingError(
                f"{self.folder} holds an unfinished preparation of other {', '.join(changed)}; go on with "
                "the same, or --overwrite it."
            )
        self.done = {e.clip: e for e in entries if clip_path(self.folder, e.clip).exists()}
        lines = "".join(f"{json.dumps(asdict(entry))}\n" for entry in self.done.values())
        (self.folder / UNFINISHED).write_text(lines, encoding="utf-8")

    def add(self, clip: ClipRecord, *, half: bool = False) -> Entry:
        """Writes one clip. half: motion in 16 bits; a millimetre is off by half a micrometre at most."""
        motion = np.ascontiguousarray(clip.motion, np.float16 if half else np.float32)
        audio = np.ascontiguousarray(clip.audio, np.float32)
        mismatch = len(audio) / SAMPLES_PER_SECOND - len(motion) / clip.fps
        power = float(np.square(motion, dtype=np.float64).mean())
        names, lengths = (clip.clip, clip.subject, clip.sentence, clip.split), (len(motion), len(audio))
        entry = Entry(*names, *lengths, round(mismatch, 4), digest(motion, audio), power)
        path = clip_path(self.folder, clip.clip)
        write_whole(path, True, lambda file: write_arrays(file, {"motion": motion, "audio": audio}))
        with (self.folder / UNFINISHED).open("a", encoding="utf-8") as lines:
            lines.write(f"{json.dumps(asdict(entry))}\n")
        self.done[clip.clip] = entry
        return entry

    def finish(self, info: CorpusInfo, templates: Mapping[str, np.ndarray]) -> ClipCache:
        """Writes what the clips share and gives the manifest its name; returns the cache."""
        if not self.done:
            raise TrainingError(f"No clip could be prepared, so {self.folder} stays empty.")
        if templates:
            arrays = {name: np.asarray(value, np.float32) for name, value in templates.items()}
            write_whole(self.folder / TEMPLATES, True, lambda file: write_arrays(file, arrays))
        text = json.dumps(asdict(info), indent=1, ensure_ascii=False)
        write_whole(self.folder / CORPUS, True, lambda file: file.write(text.encode()))
        os.replace(self.folder / UNFINISHED, self.folder / MANIFEST)
        (self.folder / UNFINISHED_SETTINGS).unlink(missing_ok=True)
        return ClipCache(self.folder)


def _unreadable(path: Path) -> Callable[[Exception], TrainingError]:
    return lambda error: TrainingError(f"{path} cannot be read ({error}); prepare the corpus anew.")


def clip_path(folder: Path, clip: str) -> Path:
    """The file of a clip; `TrainingError` for a name that could lie elsewhere than in the cache."""
    if clip in ("", ".", "..") or not clip.isprintable() or set(clip) & set("/\\:"):
        raise TrainingError(
            f"A clip cannot be called {clip!r}; names of subjects and sentences must not hold /, \\, : or "
            "control characters."
        )
    return folder / CLIPS / f"{clip}.npz"


def digest(motion: np.ndarray, audio: np.ndarray) -> str:
    """sha1 of a clip's numbers."""
    made = hashlib.sha1(usedforsecurity=False)
    for array in (motion, audio):
        made.update(f"{array.dtype.str}{array.shape}".encode())
        made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()


def read_manifest(path: Path, *, cut: bool = False) -> Iterator[Entry]:
    """The lines of a manifest. cut: a last line that is half written is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if cut and lines and not lines[-1].endswith("\n"):
        del lines[-1]
    for line in lines:
        yield Entry(**json.loads(line))
