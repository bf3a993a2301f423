"""The words of the page: labels of knobs, where things are done on it, and what it says of a failure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..wording import Named, Place, Words

# Where a title made from the name would not say enough; the others are their name, spelt out.
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "start": "Start at second",
        "end": "Stop at second",
        "idle": "Idle seconds",
        "lips": "Lips from",
        "expression_scale": "Expression",
        "blink_rate": "Blinks",
        "gaze": "Eye movement",
        "still": "Keep the head still",
        "yaw": "Turn",
        "pitch": "Nod",
        "roll": "Lean",
        "ref_pose": "Head motion from a video",
        "ref_blink": "Blinks from a video",
        "ref_face": "Face and head from a video",
        "lip_gain": "Lip movement",
        "silence_gate": "Rest in silence",
        "crop": "Picture part",
        "size": "Face size",
        "batch_size": "Frames at once",
        "detector": "Face finder",
        "template": "Head mesh",
        "person": "Person in the mesh file",
        "face_model": "Networks",
        "manner": "Manner of speaking",
        "manner_mix": "Second manner",
        "manner_share": "Share of the second manner",
        "exact": "Exactly as published",
        "canvas": "Video size",
        "fps": "Frames per second",
        "crf": "Quality (CRF)",
        "preset": "Encoder effort",
    }
)


def temporary_folder() -> Path:
    """Where gradio keeps uploads, and copies of results for the page."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir(), "gradio"))


def title(name: str) -> str:
    """The label of the knob of that name, unique within the tab."""
    return TITLES.get(name) or name.replace("_", " ").capitalize()


def label(name: str) -> str:
    """The label of the knob of that name, in quotes."""
    return f"“{title(name)}”"


class PageWords(Words):
    """Labels instead of flags, and uploads without the folders in which gradio keeps them."""

    phrases: Mapping[str, str] = {
        **Words.phrases,
        "cancelled": "Interrupted",
        "another_name": "choose another name",
        "as_drawn": "as drawn on the portrait",
        "fetch": "fetch what is missing under “Models” on this page",
        "download": "fetch what is missing under “Models” on this page",
        "five_points": "click five points below the portrait",
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
