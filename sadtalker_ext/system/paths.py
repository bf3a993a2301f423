"""Paths as people give them into paths that can be opened, or a phrase that says why they cannot."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent  # of the extension, or of the repository
ASSETS = PACKAGE / "assets"


def user_path(path: str | os.PathLike[str]) -> Path:
    """The path with `~` expanded; a name that only looks like someone's home stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a file; False too where that cannot be looked up."""
    return os.path.isfile(path)  # unlike Path.is_file, never raises


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path, `~` understood, leads to a folder; False too for one that nothing can have."""
    return os.path.isdir(user_path(path))  # unlike Path.is_dir, never raises


def existing_file(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """The path with `~` expanded, and what keeps it from being read as a file ("" when nothing does)."""
    found = user_path(path)
    try:
        if not os.fspath(path) or not found.exists():
            return found, "does not exist; check the path"
        if found.is_dir():
            return found, "is a folder; name a file in it"
        if not found.is_file():
            return found, "is not an ordinary file"
        if found.stat().st_size == 0:
            return found, "is an empty file"
        with found.open("rb"):
            return found, ""
    except (OSError, ValueError) as error:
        return found, f"cannot be opened ({getattr(error, 'strerror', None) or error}); check the path"


def name_problem(path: Path) -> str:
    """Why nothing can be called that ("" when it can): too long, or below something that is no folder."""
    try:
        path.lstat()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def same_file(path: Path, other: Path) -> bool:
    """Whether both paths lead to one existing file, by whatever name or link; `~` is understood."""
    try:
        return user_path(path).samefile(user_path(other))
    except (OSError, ValueError):
        return False


def would_replace(output: Path, given: Path) -> bool:
    """Whether writing `output`, a file or a folder of frames, could remove the file `given`."""
    return same_file(output, given) or (is_folder(output) and same_file(output, user_path(given).parent))
