"""Talking-head videos from one portrait and speech: `animate(picture, audio, "out.mp4")`.

Portraits, speech and motion tracks can be loaded, looked at and handed on one by one; `engines.ENGINES` is
the table of engines. Importing this package is cheap; torch, OpenCV and the rest load when they are used.
"""

# ruff: noqa: F401, E402 - what type checkers see of the names that load when they are used
from __future__ import annotations

from .system import interrupts

interrupts.begin()  # before anything that takes long, where this is the command

from typing import TYPE_CHECKING

from . import engines  # they hand in their options, weights and motion spaces
from .system.lazy import lazily
from .version import __version__

if TYPE_CHECKING:
    from .audio import load_speech
    from .audio.say import speak
    from .errors import Cancelled, SadTalkerError
    from .face import load_portrait
    from .host import CancelToken, Progress
    from .options import Options
    from .pipeline import animate, make_motion, perform, render_track
    from .request import Request, Result
    from .tracks import ARKIT, MotionSpace, MotionTrack, load_track, save_track

_NAMES = {
    "audio": ("load_speech",),
    "audio.say": ("speak",),
    "errors": ("Cancelled", "SadTalkerError"),
    "face": ("load_portrait",),
    "host": ("CancelToken", "Progress"),
    "options": ("Options",),
    "pipeline": ("animate", "make_motion", "perform", "render_track"),
    "request": ("Request", "Result"),
    "tracks": ("ARKIT", "MotionSpace", "MotionTrack", "load_track", "save_track"),
}
__getattr__ = lazily(__name__, _NAMES)
__all__ = ["__version__", "engines", *(name for names in _NAMES.values() for name in names)]


def __dir__() -> list[str]:
    return sorted(__all__)
