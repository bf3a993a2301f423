"""Motion: its spaces and tracks, and the files that tracks lie in."""

# ruff: noqa: F401 - what others take from here
from __future__ import annotations

from typing import TYPE_CHECKING

from ..system.lazy import lazily
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

__getattr__ = lazily(__name__, {"files": ["check_track_output", "load_track", "save_track"]})
