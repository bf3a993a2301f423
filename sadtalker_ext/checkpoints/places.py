"""A checkpoint into the folders where it may lie: our own, and those of the reference extension."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..system.paths import ROOT, user_path
from .catalog import TORCH_HUB, Checkpoint

VARIABLE = "SADTALKER_CHECKPOINTS"


def home(checkpoint: Checkpoint, models_dir: Path) -> Path:
    """The folder in which the file belongs, and into which it is downloaded."""
    return torch_hub() if checkpoint.folder == TORCH_HUB else models_dir


def folders(checkpoint: Checkpoint, models_dir: Path) -> list[Path]:
    """Where the file is looked for, best place first; nothing is ever written into any but the first.

    After its home: the folder that the environment variable SADTALKER_CHECKPOINTS names, `checkpoints` in it,
    and the folder `checkpoints` of each installed extension whose name holds "sadtalker"; then the
    checkpoint's own subfolders of all these.
    """
    if checkpoint.folder == TORCH_HUB:
        return [torch_hub()]
    found = bases(models_dir)
    return _unique([*found, *(base / inner for base in found for inner in checkpoint.subfolders)])


def bases(models_dir: Path) -> list[Path]:
    """The folders for files of `MODELS`, best place first."""
    places = [models_dir, models_dir / "checkpoints"]
    named = os.environ.get(VARIABLE)
    if named:
        places += [Path(named), Path(named) / "checkpoints"]
    return _unique([*places, *_extension_folders(models_dir)])


def _unique(places: list[Path]) -> list[Path]:
    unique: dict[str, Path] = {}
    for place in places:
        unique.setdefault(os.path.normcase(os.path.abspath(place)), place)
    return list(unique.values())


def _extension_folders(models_dir: Path) -> list[Path]:
    """`checkpoints` of the extensions beside this one and of those of the WebUI whose models folder it is."""
    found = [ROOT / "checkpoints"]
    for extensions in (ROOT.parent, models_dir.absolute().parent.parent / "extensions"):
        if extensions.name.lower() != "extensions":
            continue
        try:
            names = sorted(entry.name for entry in extensions.iterdir() if "sadtalker" in entry.name.lower())
        except OSError:
            continue
        found += [extensions / name / "checkpoints" for name in names]
    return found


def torch_hub() -> Path:
    """The folder into which torch puts downloaded weights; torch itself is not loaded to learn it."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "hub"):
        return Path(torch.hub.get_dir()) / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return user_path(os.environ.get("TORCH_HOME") or f"{cache}/torch") / "hub" / "checkpoints"
