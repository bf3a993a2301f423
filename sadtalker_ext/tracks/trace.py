"""Turns the lip opening that was commanded into a short text for a video's metadata, and back."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping

import numpy as np

FULL_SCALE = 0.2  # face widths that the byte 255 stands for; no mouth opens further
LEVELS = 255
MAX_BYTES = 48_000  # compressed; of a longer video only the beginning is kept
SLOWEST, FASTEST = 0.1, 1000.0  # frames per second of any video
MAX_FRAMES = 6 * 3600 * 60  # six hours at 60 frames a second; a longer document is not ours


def encode_opening(opening: np.ndarray, fps: float) -> dict[str, object]:
    """The document {"fps", "opening"} for a lip opening (T,) in face widths, one value a frame.

    Openings are rounded to 1/255 of `FULL_SCALE` (0.0008) and cut to 0..`FULL_SCALE`.
    """
    scaled = np.clip(np.asarray(opening, np.float64) / FULL_SCALE, 0, 1) * LEVELS
    levels = np.round(scaled).astype(np.uint8)
    packed = zlib.compress(levels.tobytes(), 9)
    while len(packed) > MAX_BYTES:
        levels = levels[: int(0.95 * len(levels) * MAX_BYTES / len(packed))]
        packed = zlib.compress(levels.tobytes(), 9)
    return {"fps": float(fps), "opening": base64.b64encode(packed).decode("ascii")}


def decode_opening(document: object) -> tuple[np.ndarray, float] | None:
    """(opening (T,) float32 in face widths, fps) of such a document; None when it is not one."""
    if not isinstance(document, Mapping):
        return None
    text, fps = document.get("opening"), document.get("fps")
    if not isinstance(text, str) or isinstance(fps, bool) or not isinstance(fps, (int, float)):
        return None
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(base64.b64decode(text, validate=True), MAX_FRAMES)
    except (binascii.Error, zlib.error, ValueError):
        return None
    if not raw or not unpacker.eof or not SLOWEST <= fps <= FASTEST:
        return None
    return np.frombuffer(raw, np.uint8).astype(np.float32) * np.float32(FULL_SCALE / LEVELS), float(fps)
