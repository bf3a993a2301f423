"""A checkpoint into what is known of it on this machine: where it lies and whether it can be used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import Named, Place, Sentence, WeightsError
from ..system.caches import kept
from .catalog import CATALOG, TORCH_HUB, Checkpoint
from .contents import (
    DAMAGED,
    MISSING,
    PRESENT,
    UNREADABLE,
    UNSAFE,
    WRONG,
    Contents,
    Fault,
    read_contents,
    unreadable,
)
from .places import bases, folders, home

HASH_CHUNK = 1 << 20  # bytes
SUFFIXES = (".safetensors", ".pth", ".tar", ".pt", ".ckpt", ".bin", ".zip")
TELLING = (".safetensors", ".pth", ".pt", ".ckpt")  # names that nothing but weights have
LOOKED_AT = 200  # files of a folder whose contents are looked at for renamed checkpoints
WRAPPERS = ("", "state_dict.")  # what a training program may put around its tensors
AGAIN = "try again, or see that it can be read."
PART = ".part"  # what the name of an unfinished download ends in

Check = Callable[[], None]
Report = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Status:
    """What is known of a checkpoint.

    state: `PRESENT`, `MISSING`, `DAMAGED`, `WRONG` (another kind of file), `UNSAFE` (it would run code) or
    `UNREADABLE` (it may be good).
    path: the file, or where it belongs. size: bytes on disk, 0 when missing. note: a sentence, or "".
    part: bytes of an interrupted download that can be resumed. elsewhere: it does not lie in its own folder.
    """

    checkpoint: Checkpoint
    state: str
    path: Path
    size: int = 0
    note: str = ""
    part: int = 0
    elsewhere: bool = False

    @property
    def usable(self) -> bool:
        return self.state == PRESENT


def status(checkpoint: Checkpoint, models_dir: Path) -> Status:
    """Looks for the file in all its places; the first usable one counts, else the first faulty one.

    Reads headers only. Files are recognised by their tensors, so a renamed one is found too.
    """
    own = home(checkpoint, models_dir) / checkpoint.file
    part = _size(own.with_name(own.name + PART))
    faulty: Status | None = None
    for folder in folders(checkpoint, models_dir):
        path = folder / checkpoint.file
        if not os.path.lexists(path):
            continue
        found = _judge(checkpoint, path, part, elsewhere=path != own)
        if found.usable:
            return found
        faulty = faulty or found
    renamed = _renamed(checkpoint, models_dir)
    if renamed is not None:
        note = f"{renamed.name} holds what {checkpoint.file} holds."
        return Status(checkpoint, PRESENT, renamed, _size(renamed), note, part, elsewhere=True)
    return faulty or Status(checkpoint, MISSING, own, part=part)


def find(checkpoint: Checkpoint, models_dir: Path) -> Path | None:
    """The usable file, wherever it lies; None when there is none."""
    found = status(checkpoint, models_dir)
    return found.path if found.usable else None


def require(checkpoint: Checkpoint, models_dir: Path) -> Path:
    """The usable file; otherwise `WeightsError` says what is wrong and where the file belongs."""
    found = status(checkpoint, models_dir)
    if found.usable:
        return found.path
    folder = Place(home(checkpoint, models_dir), "the folder for models")
    if found.state == MISSING:
        needs = f"The engine {checkpoint.engine} needs {checkpoint.file}; {{fetch}}, or from"
        raise WeightsError(f"{needs} {checkpoint.page} into {{path}}.", Named("fetch", checkpoint.id), folder)
    if found.state == UNREADABLE:
        raise WeightsError("{note}; " + AGAIN, note=found.note)
    anew = f"fetch {checkpoint.file} anew from {checkpoint.page} into {{path}}."
    raise WeightsError("{note}; " + anew, folder, note=found.note)


def fault(checkpoint: Checkpoint, path: Path) -> Fault | None:
    """Why this file is not that checkpoint; None when it is, as far as its headers tell."""
    contents = _contents_or_fault(path)
    if isinstance(contents, Fault):
        return contents
    if _matches(checkpoint, contents):
        return None
    other = next((c for c in CATALOG if c.signature and _matches(c, contents)), None)
    if other is not None:
        return Fault(WRONG, f"holds what belongs into {other.file}")
    there = contents.tensors
    missing = next(name for name, shape in checkpoint.signature.items() if there.get(name) != shape)
    why = f"has {missing} of shape {there[missing]}" if missing in there else f"has no {missing}"
    return Fault(WRONG, f"holds other weights: it {why}")


def faulty(models_dir: Path) -> tuple[Sentence, ...]:
    """A sentence about each file with a weight file's name that is damaged, or would run code.

    Of the folders for models alone; nothing else is the worse for such a file.
    """
    told = []
    for folder in bases(models_dir):
        for path in _weight_files(folder):
            found = _contents_or_fault(path)
            if isinstance(found, Fault) and (
                found.state in (DAMAGED, UNSAFE, UNREADABLE) or path.suffix.lower() in TELLING
            ):
                told.append(Sentence("{path} {reason}, so it is not used.", path, reason=found.reason))
    return tuple(told)


def verify(
    checkpoint: Checkpoint, path: Path, report: Report | None = None, check: Check | None = None
) -> None:
    """Reads the whole file and compares it with what is published; `WeightsError` says how it differs.

    report(done, total): bytes read. check: called between chunks, may raise `Cancelled`.
    """
    found = fault(checkpoint, path)
    if found is not None:
        anew = AGAIN if found.state == UNREADABLE else f"fetch {checkpoint.file} anew from {checkpoint.page}."
        raise WeightsError("{path} {reason}; " + anew, path, reason=found.reason)
    if checkpoint.sha256 and not file_hash(path, report, check).startswith(checkpoint.sha256):
        anew = f"fetch it anew from {checkpoint.page}, unless you changed it yourself."
        raise WeightsError("{path} is not the file that was published (its sha256 differs); " + anew, path)


def file_hash(path: Path, report: Report | None = None, check: Check | None = None) -> str:
    """The sha256 of a file in hex."""
    digest, done, total = hashlib.sha256(), 0, _size(path)
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK):
            if check is not None:
                check()
            digest.update(chunk)
            done += len(chunk)
            if report is not None:
                report(done, total)
    return digest.hexdigest()


def _judge(checkpoint: Checkpoint, path: Path, part: int, *, elsewhere: bool) -> Status:
    size, found = _size(path), fault(checkpoint, path)
    if found is not None:
        why = Sentence("{path} {reason}.", path, reason=found.reason)
        return Status(checkpoint, found.state, path, size, why, part, elsewhere)
    note = ""
    if checkpoint.size is not None and size != checkpoint.size:
        note = f"It is usable, but not the published file: {size:,} bytes instead of {checkpoint.size:,}."
    return Status(checkpoint, PRESENT, path, size, note, part, elsewhere)


def _matches(checkpoint: Checkpoint, contents: Contents) -> bool:
    return any(
        all(contents.tensors.get(outer + name) == shape for name, shape in checkpoint.signature.items())
        for outer in WRAPPERS
    )


def _renamed(checkpoint: Checkpoint, models_dir: Path) -> Path | None:
    """A file under another name that holds this checkpoint's tensors."""
    if not checkpoint.signature or checkpoint.folder == TORCH_HUB:
        return None
    for folder in folders(checkpoint, models_dir):
        for path in _weight_files(folder):
            # Two packages have the same tensors: without the tag in its name a file could be either.
            own = path.name == checkpoint.file
            if not own and checkpoint.twin_tag in path.name and fault(checkpoint, path) is None:
                return path
    return None


def _weight_files(folder: Path) -> list[Path]:
    """What has the name of a weight file, in order of names."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []
    return [folder / name for name in names if name.lower().endswith(SUFFIXES)][:LOOKED_AT]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _contents_or_fault(path: Path) -> Contents | Fault:
    try:
        return contents_of(path)
    except (OSError, MemoryError) as error:
        return unreadable(error)
    except Fault as found:
        return found


def contents_of(path: Path) -> Contents:
    """What `read_contents` finds in a file, remembered as long as the file does not change.

    What kept it from being read is not remembered.
    """
    stat = path.stat()
    found = _read(path, stat.st_size, stat.st_mtime_ns)
    if isinstance(found, Fault):
        raise Fault(found.state, found.reason)
    return found


@kept(256)
def _read(path: Path, size: int, modified: int) -> Contents | Fault:
    try:
        return read_contents(path)
    except Fault as found:
        return found
