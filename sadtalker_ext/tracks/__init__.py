"""Motion: its spaces and tracks, and the files that tracks lie in."""

# ruff: noqa: F401 - what others take from here
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .spaces import (
    ARKIT,
    ARKIT_BLENDSHAPES,
    BFM,
    BIWI_VERTICES,
    FLAME_VERTICES,
    HEAD_POSE,
    MOST_VERTICES,
    SPACES,
    MotionSpace,
    hand_in,
    space_named,
    vertex_space,
)
from .track import MotionTrack

if TYPE_CHECKING:
    from .files import check_track_output, load_track, save_track

_HOMES = {"check_track_output": "files", "load_track": "files", "save_track": "files"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
