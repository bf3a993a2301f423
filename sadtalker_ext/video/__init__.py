"""Frames into a video file or a folder of pictures, and videos back into frames, facts and metadata."""

from __future__ import annotations

from .metadata import read_metadata
from .probe import MediaInfo, probe
from .reader import read_frames
from .target import FORMATS, check_output, exact_rate
from .writer import VideoWriter

__all__ = [
    "FORMATS", "MediaInfo", "VideoWriter", "check_output", "exact_rate", "probe", "read_frames",
    "read_metadata",
]  # fmt: skip
