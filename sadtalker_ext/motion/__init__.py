"""Speech becomes motion: lips, head, eyes; reference videos and files are motion too."""

from __future__ import annotations

from .eyes import generate_eyes
from .head import generate_head, ramp
from .lipsync import generate_lips
from .reference import reference_track, track_reference

__all__ = ["generate_eyes", "generate_head", "generate_lips", "ramp", "reference_track", "track_reference"]
