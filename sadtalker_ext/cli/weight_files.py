"""Weight files into a table for the terminal, and into downloads with a bar."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..checkpoints.catalog import CATALOG, Checkpoint, by_engine, by_name, known_names, pairs
from ..checkpoints.contents import MISSING, PRESENT
from ..checkpoints.places import home
from ..checkpoints.state import Status, status, verify
from ..checkpoints.transfer import CHECKING, Transfer, download, megabytes
from ..engines import ENGINES
from ..errors import OptionsError
from ..system import interrupts


def rows(models_dir: Path) -> list[dict[str, Any]]:
    """Every known weight file and how it stands, as JSON-ready dictionaries."""
    return [_row(checkpoint, models_dir) for checkpoint in CATALOG]


def _row(checkpoint: Checkpoint, models_dir: Path) -> dict[str, Any]:
    found = status(checkpoint, models_dir)
    return {
        "id": checkpoint.id,
        "file": checkpoint.file,
        "engine": checkpoint.engine,
        "engine_available": checkpoint.engine in ENGINES,
        "optional": checkpoint.optional,
        "use": checkpoint.use,
        "state": found.state,
        "path": str(found.path),
        "size": found.size,
        "published_size": checkpoint.size,
        "sha256": checkpoint.sha256,
        "partly_downloaded": found.part,
        "note": found.note,
        "folder": str(home(checkpoint, models_dir)),
        "urls": list(checkpoint.urls),
        "page": checkpoint.page,
        "licence": checkpoint.licence,
    }


def table(models_dir: Path) -> str:
    """The same as text for a terminal: a paragraph an engine."""
    width = max(60, min(100, shutil.get_terminal_size().columns))
    parts = []
    for engine, files in by_engine(CATALOG, ENGINES).items():
        own = [status(checkpoint, models_dir) for checkpoint in files]
        lines = _wrapped(f"{engine}: {engine_note(engine, files)}", width, "", "  ")
        for found in own:
            lines += _lines(found, width)
        if any(found.state != PRESENT for found in own):
            folder = home(own[0].checkpoint, models_dir)
            ways = "sadtalker models download NAME, or by hand" if own[0].checkpoint.urls else "by hand"
            lines += _wrapped(f"fetch: {ways} into {folder}", width)
            for page in dict.fromkeys(found.checkpoint.page for found in own if found.state != PRESENT):
                lines += _wrapped(f"from {page}", width, "    ")
        lines += _wrapped(f"licence: {own[0].checkpoint.licence}", width)
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def engine_note(engine: str, files: Sequence[Checkpoint]) -> str:
    """Whether this version can use these files of an engine, in a phrase."""
    if engine not in ENGINES:
        return "this version has no such engine yet; its files can be fetched and will be found later"
    if models := pairs(files):
        return f"needs both stages of one face model, {' or '.join(models)}"
    if all(checkpoint.optional for checkpoint in files):
        return "needs no model; these are optional"
    return "needs these files"


def _lines(found: Status, width: int) -> list[str]:
    checkpoint = found.checkpoint
    size = found.size or checkpoint.bytes_to_expect
    told = f"  {checkpoint.id:<24} {found.state:<10} {megabytes(size) if size else '':>7}  {checkpoint.file}"
    lines = [told, *_wrapped(checkpoint.use, width, "      ")]
    if found.note:
        lines += _wrapped(found.note, width, "      ")
    if found.elsewhere and found.state == PRESENT:
        lines += _wrapped(f"found as {found.path}", width, "      ")
    if found.part:
        lines += _wrapped(f"{megabytes(found.part)} have arrived; a download goes on there", width, "      ")
    return lines


def _wrapped(text: str, width: int, first: str = "  ", rest: str | None = None) -> list[str]:
    wrapper = textwrap.TextWrapper(width, first, first + "  " if rest is None else rest)
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    return wrapper.wrap(text)


def chosen(action: str, names: Sequence[str], everything: bool) -> list[Checkpoint]:
    """The files that were asked for: by id or file name, or all that an engine needs (to verify: all)."""
    if everything:
        if names:
            raise OptionsError("Give either names or --all.")
        return [checkpoint for checkpoint in CATALOG if not checkpoint.optional]
    if not names and action == "verify":
        return list(CATALOG)
    if not names:
        raise OptionsError(f"Say which model to download, or --all; known models: {known_names()}.")
    return [by_name(name) for name in names]


def fetch(checkpoint: Checkpoint, models_dir: Path, *, quiet: bool) -> Path:
    """Download one file with a bar on the terminal; returns where it lies."""
    with _Bar(checkpoint.file, quiet) as bar:
        return download(checkpoint, models_dir, bar)


def check(checkpoint: Checkpoint, models_dir: Path, *, quiet: bool) -> Path | None:
    """Read a present file whole and compare it with the published one; None when it is not there.

    Raises `WeightsError` where it differs.
    """
    found = status(checkpoint, models_dir)
    if found.state == MISSING:
        return None
    with _Bar(checkpoint.file, quiet) as bar:
        verify(checkpoint, found.path, lambda done, total: bar(Transfer(CHECKING, done, total)))
    return found.path


class _Bar:
    """A bar of bytes on stderr."""

    def __init__(self, title: str, quiet: bool) -> None:
        self._title, self._quiet, self._phase = title, quiet, ""
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
            interrupts.line_is_open = False

    def __call__(self, transfer: Transfer) -> None:
        if self._quiet:
            return
        if transfer.phase != self._phase:
            from tqdm import tqdm

            self.__exit__()
            self._phase = transfer.phase
            title = self._title if transfer.phase != CHECKING else f"checking {self._title}"
            self._bar = tqdm(total=transfer.total or None, desc=title, unit="B", unit_scale=True, leave=False)
            interrupts.line_is_open = True
        self._bar.update(transfer.done - self._bar.n)
