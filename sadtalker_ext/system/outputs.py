"""A finished file into its place: refused early where it cannot go, and under its name only when whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from ..errors import NO_SPACE, OutputError, Place, cleaned
from . import interrupts, leftovers
from .paths import name_problem

STEM_CHARACTERS = 30  # of each input in a result's own name; file systems allow 255 bytes in all
NAMES_TOLD = 3  # of files that were written before a failure


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


def write_whole(target: Path, overwrite: bool, write: Callable[[IO[bytes]], object]) -> None:
    """Lets `write` fill a file that gets its name when it is whole; nothing is left of a failure.

    Raises `OutputError` when the file cannot be written, or exists meanwhile (unless `overwrite`).
    """
    made = leftovers.beside(target)
    try:
        with made.open("xb") as file:
            write(file)
        move_file(made, target, overwrite)
    except OSError as error:
        raise refusal(target, error) from error
    finally:
        leftovers.remove(made)


def refusal(target: Path, error: OSError) -> OutputError:
    """Why a result cannot be written, as the system says it."""
    if error.errno in NO_SPACE:
        told = "{path} cannot be written: the disk is full ({error}); free space or choose another place."
    else:
        told = "Cannot write {path} ({error}); choose another place for it."
    return OutputError(told, target, error)


def move_file(made: Path, target: Path, overwrite: bool) -> None:
    """Gives a finished file its name; without `overwrite` never replaces a file, even one made meanwhile."""
    try:
        with interrupts.held():  # whoever is told that nothing was written finds nothing
            if overwrite or os.name == "nt":
                (os.replace if overwrite else os.rename)(made, target)  # there the latter replaces nothing
            else:
                _move_to_free_name(made, target)
            note_written(target)
    except FileExistsError:
        told = "{path} was created meanwhile; choose another name or allow overwriting it."
        raise OutputError(told, target) from None
    except OSError as error:
        raise refusal(target, error) from error


def _move_to_free_name(made: Path, target: Path) -> None:
    """No moment in which another file could be lost, or an empty one left."""
    try:
        os.link(made, target)
    except FileExistsError:
        raise
    except OSError:  # some file systems know no second name
        _move_to_claimed_name(made, target)
    else:
        leftovers.remove(made)


def _move_to_claimed_name(made: Path, target: Path) -> None:
    claimed = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        os.close(claimed)
        os.replace(made, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def move_folder(made: Path, target: Path, old: Iterable[Path]) -> None:
    """Gives a finished folder its name; into an existing one, in place of the files `old`, keeping others.

    Raises `OSError`.
    """
    aside = leftovers.beside(target)
    replaced = list(old)
    with interrupts.held():
        if not target.exists():
            os.rename(made, target)
        elif not _swap_folders(made, target, aside, {file.name for file in replaced}):
            _move_files(made, target, replaced)
        note_written(target)
    leftovers.remove(aside)


def _swap_folders(made: Path, target: Path, aside: Path, old: set[str]) -> bool:
    """Two renames instead of thousands; False where the folder has to stay or holds other files."""
    may_go = old | {entry.name for entry in os.scandir(made)}
    new, there = made.lstat(), target.lstat()
    alike = [(seen.st_mode, seen.st_uid, seen.st_gid) for seen in (new, there)]
    if alike[0] != alike[1] or not _holds_only(target, may_go):
        return False
    try:
        os.rename(target, aside)
    except OSError:  # it is in use, or a disk of its own
        return False
    try:
        if _holds_only(aside, may_go):  # still: somebody may have added something
            os.rename(made, target)
            return True
    except OSError:
        _name_again(aside, target)
        raise
    _name_again(aside, target)
    return False


def _name_again(aside: Path, target: Path) -> None:
    """The old folder gets its name back, or where that is taken a plain one, so that nobody sweeps it."""
    try:
        os.rename(aside, target)
    except OSError:
        os.rename(aside, target.with_name(free_name(target.parent, f"{target.name} before", suffix="")))
        raise


def _holds_only(folder: Path, names: set[str]) -> bool:
    with os.scandir(folder) as entries:
        return all(entry.name in names and not entry.is_dir(follow_symlinks=False) for entry in entries)


def _move_files(made: Path, target: Path, old: Iterable[Path]) -> None:
    for file in old:
        file.unlink(missing_ok=True)
    # The marking file comes last in name order, so a broken move is not taken for a whole one.
    for new in sorted(made.iterdir()):
        os.replace(new, target / new.name)
    made.rmdir()


class Written:
    """Which results got their names within a block, for whoever has to tell of what failed after them."""

    def __enter__(self) -> Written:
        self.paths: list[Path] = []
        self._token = _written.set(self.paths)
        return self

    def __exit__(self, *error: object) -> None:
        _written.reset(self._token)

    @property
    def names(self) -> str:
        """The first few, as words; "" for none."""
        names = [cleaned(path.name) for path in dict.fromkeys(self.paths)]
        more = len(names) - NAMES_TOLD
        return ", ".join(names[:NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")


_written: ContextVar[list[Path] | None] = ContextVar("written", default=None)


def note_written(target: Path) -> None:
    """Have it told of where something fails after it."""
    paths = _written.get()
    if paths is not None:
        paths.append(target)


def free_name(folder: Path, *names: str | None, suffix: str = ".mp4") -> str:
    """A name for a video that is not in the folder yet, made of the beginnings of what it is made from."""
    stem = "-".join(Path(name).stem[:STEM_CHARACTERS] for name in names if name) or "talking"
    number = 1
    while (folder / (name := f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")).exists():
        number += 1
    return name
