"""The extension's own files and parts into what is wrong with them: outdated, there twice, not added."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .paths import PACKAGE


@dataclass(frozen=True)
class Failure:
    """A part of the extension that is not there, and why."""

    part: str
    error: Exception


_failures: dict[str, Failure] = {}
_other_copies: set[str] = set()


def failures() -> tuple[Failure, ...]:
    """Which parts could not be added to the host since the page was last built."""
    return tuple(_failures.values())


def note_failure(part: str, error: Exception) -> bool:
    """Remember why a part is not there; returns whether it was the part's first failure."""
    is_first = part not in _failures
    if is_first:
        _failures[part] = Failure(part, error)
    return is_first


def forget_failures() -> None:
    """To be called before the host builds its page anew."""
    _failures.clear()


def other_copies() -> tuple[str, ...]:
    """Folders of further copies of this extension that the host has switched on; they stay unused."""
    return tuple(sorted(_other_copies))


def note_copy(root: str) -> None:
    """Remember a further copy of this extension, in folder `root`."""
    _other_copies.add(root)


def keep_copies(active: Collection[Path]) -> None:
    """Forget the copies that are not among the folders of `active` extensions any more."""
    _other_copies.intersection_update(root for root in tuple(_other_copies) if Path(root) in active)


def changed_on_disk() -> bool:
    """Whether the extension was updated since this process loaded it."""
    return _fingerprint() != _FINGERPRINT


def _fingerprint() -> tuple[tuple[str, int, int], ...]:
    """Size and time of every source file of the package."""
    found = ((str(path), path.stat()) for path in sorted(PACKAGE.rglob("*.py")))
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in found)


_FINGERPRINT = _fingerprint()
