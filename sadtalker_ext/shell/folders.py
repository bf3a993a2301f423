"""Folders for results: free numbered names in them, and a look at them in the desktop's file manager."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from ..errors import OutputError, Place

STEM_CHARACTERS = 60  # of what a file is called after its number


def numbered(folder: Path, stem: str, suffix: str) -> Path:
    """A free name “00012-stem.mp4” in the folder, counting on from the highest number in it, as hosts do.

    Makes the folder; raises `OutputError` where that cannot be done.
    """
    stem = re.sub(r"[^\w .()+-]+", "_", stem).strip(" .")[:STEM_CHARACTERS] or "talking"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = [re.match(r"(\d{5,9})(?!\d)", entry.name) for entry in os.scandir(folder)]
    except OSError as error:
        told = "The folder for results, {path}, cannot be used ({error});"
        told += " choose another one in Settings → SadTalker."
        raise OutputError(told, Place(folder, "kept by the server"), error) from error
    number = max((int(match.group(1)) for match in taken if match), default=-1) + 1
    return folder / f"{number:05}-{stem}{suffix}"


def show_folder(folder: Path) -> None:
    """Open the desktop's file manager; raises `OutputError` where there is none."""
    try:
        if platform.system() == "Windows":
            os.startfile(folder)  # type: ignore[attr-defined]  # noqa: S606 (exists on Windows only)
            return
        target = str(folder)
        if platform.system() == "Darwin":
            program = "open"
        elif "microsoft-standard-WSL2" in platform.uname().release:
            program = "explorer.exe"
            target = subprocess.check_output(["wslpath", "-w", target], text=True, timeout=10).strip()
        else:
            program = "xdg-open"
        null = subprocess.DEVNULL
        subprocess.Popen([program, target], stdin=null, stdout=null, stderr=null, start_new_session=True)
    except (OSError, subprocess.SubprocessError) as error:
        told = "No file manager could be started; the folder is {path}."
        raise OutputError(told, Place(folder, "on the server")) from error
