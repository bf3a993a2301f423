"""Talking-head videos from one portrait and speech: `animate(picture, audio, "out.mp4")`.

Importing this package is cheap; torch, OpenCV and the rest load when something is animated.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .errors import Cancelled, SadTalkerError
    from .host import CancelToken, Progress
    from .options import Options
    from .pipeline import Result, animate, make_motion, render_track
    from .tracks import ARKIT, MotionSpace, MotionTrack

_HOMES = {
    "Cancelled": "errors",
    "SadTalkerError": "errors",
    "CancelToken": "host",
    "Progress": "host",
    "Options": "options",
    "Result": "pipeline",
    "animate": "pipeline",
    "make_motion": "pipeline",
    "render_track": "pipeline",
    "ARKIT": "tracks",
    "MotionSpace": "tracks",
    "MotionTrack": "tracks",
}

__all__ = [
    "ARKIT",
    "CancelToken",
    "Cancelled",
    "MotionSpace",
    "MotionTrack",
    "Options",
    "Progress",
    "Result",
    "SadTalkerError",
    "__version__",
    "animate",
    "make_motion",
    "render_track",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
