"""A finished file into its place: refused early where it cannot go, and under its name only when whole."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..errors import OutputError, Place
from .paths import name_problem

STEM_CHARACTERS = 30  # of each input in a result's own name; file systems allow 255 bytes in all
NAME_CHARACTERS = 40  # of the target's name in the temporary one; file systems allow 255 bytes


def check_name(target: Path) -> None:
    """Raises `OutputError` where nothing can be called that."""
    problem = name_problem(target)
    if problem:
        raise OutputError(f"The output cannot be called {target.name} ({problem}); choose another name.")


def check_new_file(target: Path, overwrite: bool) -> None:
    """Refuses, before any work, a place where a file cannot be written; leaves no trace.

    Raises `OutputError`: an impossible name, a folder, a file that exists (unless `overwrite`), or a missing
    or unwritable folder above it.
    """
    check_name(target)
    if target.is_dir():
        raise OutputError("The output {path} is a folder; give the name of a file.", target)
    if target.exists() and not overwrite:
        raise OutputError("{path} exists already; {another_name}.", "another_name", target)
    check_parent(target)


def check_parent(target: Path) -> None:
    """Raises `OutputError` unless something can be written into the folder in which `target` is to be."""
    folder = target.parent
    place = Place(folder, "of the server")
    if not folder.is_dir():
        raise OutputError("The folder {path} for the output does not exist; create it first.", place)
    try:
        tempfile.TemporaryFile(prefix=".sadtalker-", dir=folder).close()  # without a name where that exists
    except OSError as error:
        told = "Cannot write into the folder {path} ({error}); choose another place for the output."
        raise OutputError(told, place, error) from error


def temporary_name(target: Path) -> Path:
    """A fresh hidden name beside the target, with the same suffix."""
    return target.with_name(f".{target.stem[:NAME_CHARACTERS]}.partial-{secrets.token_hex(6)}{target.suffix}")


def write_whole(target: Path, overwrite: bool, write: Callable[[IO[bytes]], object]) -> None:
    """Lets `write` fill a file that gets its name when it is whole; nothing is left of a failure.

    Raises `OutputError` when the file cannot be written, or exists meanwhile (unless `overwrite`).
    """
    made = temporary_name(target)
    try:
        with made.open("xb") as file:
            write(file)
        move_file(made, target, overwrite)
    except OSError as error:
        raise OutputError("Cannot write {path} ({error}); choose another place.", target, error) from error
    finally:
        made.unlink(missing_ok=True)


def move_file(made: Path, target: Path, overwrite: bool) -> None:
    """Gives a finished file its name; without `overwrite` never replaces a file, even one made meanwhile."""
    claimed = False
    try:
        if not overwrite:
            # Created by us or not at all: no moment in which another file could be lost.
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            claimed = True
        os.replace(made, target)
    except FileExistsError:
        told = "{path} was created meanwhile; choose another name or allow overwriting it."
        raise OutputError(told, target) from None
    except OSError as error:
        if claimed:
            target.unlink(missing_ok=True)
        told = "Cannot write {path} ({error}); choose another place for it."
        raise OutputError(told, target, error) from error


def free_name(folder: Path, *names: str | None, suffix: str = ".mp4") -> str:
    """A name for a video that is not in the folder yet, made of the beginnings of what it is made from."""
    stem = "-".join(Path(name).stem[:STEM_CHARACTERS] for name in names if name) or "talking"
    number = 1
    while (folder / (name := f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")).exists():
        number += 1
    return name
