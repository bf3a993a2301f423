"""Speech becomes motion: lips, head, eyes; reference videos and files are motion too."""

from __future__ import annotations

from .eyes import generate_eyes
from .files import check_track_output, load_track, save_track
from .head import generate_head, ramp
from .lipsync import generate_lips
from .recognition import forget
from .reference import reference_track, track_reference

__all__ = [
    "check_track_output",
    "forget",
    "generate_eyes",
    "generate_head",
    "generate_lips",
    "load_track",
    "ramp",
    "reference_track",
    "save_track",
    "track_reference",
]
