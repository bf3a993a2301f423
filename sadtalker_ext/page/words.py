"""The words of the page: labels of knobs, where things are done on it, and what it says of a failure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..errors import Named, Place, Words
from ..options import knob_named, names


def temporary_folder() -> Path:
    """Where gradio keeps uploads, and copies of results for the page."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir(), "gradio"))


def label(name: str) -> str:
    """The label of the knob of that name, in quotes; what is no knob is called by its name."""
    return f"“{knob_named(name).label}”" if name in names() else name.replace("_", " ")


class PageWords(Words):
    """Labels instead of flags, and uploads without the folders in which gradio keeps them."""

    phrases: Mapping[str, str] = {
        **Words.phrases,
        "cancelled": "Interrupted",
        "another_name": "choose another name",
        "as_drawn": "as drawn on the portrait",
        "fetch": "fetch what is missing under “Models” on this page",
        "download": "fetch what is missing under “Models” on this page",
        "five_points": "click five points of the face below the portrait",
        "output_dir": "whoever runs the server can choose another one",
        "frame_rate": "record it with timecodes, or give the motion as .npz",
    }
    failures: Mapping[str, str] = {
        **Words.failures,
        "device_memory": "The graphics card is out of memory; use a smaller picture, unload the checkpoint "
        "while running (Settings), or choose the CPU there.",
        "disk_full": "The disk is full; free some space and try again.",
        "system": "The system refused: {reason}{file}.",
        "gone": "The system refused: {reason}{file}.",
        "fault": "Something went wrong that should not; nothing was written.",
    }

    def knob(self, knob: Named) -> str:
        return label(knob.name)

    def place(self, place: Place) -> str:
        path = Path(place.path)
        return path.name if temporary_folder() in path.parents else os.fspath(place.path)


PAGE = PageWords()
