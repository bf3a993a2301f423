"""An output path into a format and an early refusal, and a finished folder into its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from ..errors import OutputError, Place
from ..system import outputs
from ..system.foreign import JSON_BYTES, parse_json, read_file
from ..system.outputs import check_name, check_new_file, check_parent
from ..system.paths import is_folder, user_path

FORMATS: Mapping[str, str] = MappingProxyType({".mp4": "mp4", ".webm": "webm", ".gif": "gif"})
PNG = "png"  # a folder of pictures: a path that ends in "/" or that has no suffix
KNOWN = "mp4, webm, gif, or a folder name ending in / for png pictures"
FOLDER_FILE = "metadata.json"  # also marks a folder as one that we wrote
FRAME_PATTERN = "frame_*.png"
NTSC = 1001  # 23.976, 29.97 and their kin are n·1000/1001 frames per second
NTSC_TOLERANCE = 0.006
MIN_FPS, MAX_FPS = 1, 60


def exact_rate(fps: float) -> Fraction:
    """The frame rate that a decimal stands for: 23.976 → 24000/1001, 29.97 → 30000/1001, 25 → 25."""
    near = round(fps * NTSC / 1000)
    if near > 0 and abs(fps - round(fps)) > 1e-4 and abs(fps - near * 1000 / NTSC) < NTSC_TOLERANCE:
        return Fraction(near * 1000, NTSC)
    return Fraction(fps).limit_denominator(10_000)


def output_format(path: str | os.PathLike[str]) -> str:
    """ "mp4", "webm", "gif" or "png" by the path's ending; raises `OutputError` for any other ending."""
    suffix = Path(path).suffix.lower()
    if is_folder_name(path) or is_folder(path) or not suffix:
        return PNG
    if suffix not in FORMATS:
        raise OutputError(
            "Cannot write a {suffix} file ({path}); choose {known}.", Place(path), suffix=suffix, known=KNOWN
        )
    return FORMATS[suffix]


def is_folder_name(path: str | os.PathLike[str]) -> bool:
    """Whether a path is spelt as a folder: it ends in a separator."""
    return os.fspath(path).endswith(("/", os.sep))


def check_output(path: str | os.PathLike[str], overwrite: bool = False, *, format: str | None = None) -> Path:
    """Refuses, before any work, a place where a result cannot go; returns the path with `~` expanded.

    A string without a suffix must end in "/" (or format="png" be given) to name a folder of pictures.
    Raises `OutputError`: unknown ending, missing or unwritable folder, or an existing result.
    """
    target = user_path(path)
    if not os.fspath(path) or not target.name:
        raise OutputError("{path!r} does not name an output file; choose {known}.", Place(path), known=KNOWN)
    kind = format or output_format(path)
    check_name(target)
    if kind == PNG and format is None and not is_folder_name(path) and not target.is_dir():
        raise OutputError(
            f"The output {{path!r}} has no ending that says its format; choose {KNOWN}.", Place(path)
        )
    if kind == PNG and target.exists():
        _check_folder(target, overwrite)
        check_parent(target)
    else:
        check_new_file(target, overwrite)
    return target


def _check_folder(target: Path, overwrite: bool) -> None:
    if not target.is_dir():
        raise OutputError("{path} is a file; choose another name for the folder of pictures.", target)
    if not any(target.iterdir()):
        return
    if not wrote_folder(target):
        raise OutputError(
            "The folder {path} holds files that are not frames of ours; choose another name.", target
        )
    if not overwrite:
        raise OutputError("The folder {path} holds a result already; {another_name}.", "another_name", target)


def wrote_folder(folder: Path) -> bool:
    """Whether a folder of pictures was written by us."""
    try:
        document = parse_json(read_file(folder / FOLDER_FILE, JSON_BYTES))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("writer") == "sadtalker_ext"


def move_folder(made: Path, target: Path, overwrite: bool) -> None:
    """Gives a finished folder its name; into an existing one, replaces our own files and keeps all others."""
    try:
        old: list[Path] = []
        if target.exists():
            _check_folder(target, overwrite)
            old = [*target.glob(FRAME_PATTERN), target / FOLDER_FILE]
        outputs.move_folder(made, target, old)
    except OSError as error:
        raise outputs.refusal(target, error) from error
