"""Audio files, video files and arrays into `Speech`: mono 16 kHz samples that remember the original sound."""

from __future__ import annotations

from .soundtrack import Soundtrack, soundtrack
from .speech import MAX_SECONDS, MIN_SECONDS, SAMPLE_RATE, UNSPOKEN, Speech, load_speech, silence
from .track_choice import audio_tracks, in_order, stated_seconds

__all__ = [
    "MAX_SECONDS", "MIN_SECONDS", "SAMPLE_RATE", "UNSPOKEN", "Soundtrack", "Speech", "audio_tracks",
    "in_order", "load_speech", "silence", "soundtrack", "stated_seconds",
]  # fmt: skip
