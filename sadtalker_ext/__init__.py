"""Talking-head videos from one portrait and speech: `animate(picture, audio, "out.mp4")`.

Portraits, speech and motion tracks can be loaded, looked at and handed on one by one; `engines.ENGINES` is
the table of engines. Importing this package is cheap; torch, OpenCV and the rest load when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from . import engines  # they hand in their options, weights and motion spaces
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

_HOMES = {
    "Cancelled": "errors",
    "SadTalkerError": "errors",
    "CancelToken": "host",
    "Progress": "host",
    "Options": "options",
    "Request": "request",
    "Result": "request",
    "animate": "pipeline",
    "make_motion": "pipeline",
    "perform": "pipeline",
    "render_track": "pipeline",
    "ARKIT": "tracks",
    "MotionSpace": "tracks",
    "MotionTrack": "tracks",
    "load_portrait": "face",
    "load_speech": "audio",
    "load_track": "tracks",
    "save_track": "tracks",
    "speak": "audio.say",
}

__all__ = [
    "ARKIT",
    "CancelToken",
    "Cancelled",
    "MotionSpace",
    "MotionTrack",
    "Options",
    "Progress",
    "Request",
    "Result",
    "SadTalkerError",
    "__version__",
    "animate",
    "engines",
    "load_portrait",
    "load_speech",
    "load_track",
    "make_motion",
    "perform",
    "render_track",
    "save_track",
    "speak",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
