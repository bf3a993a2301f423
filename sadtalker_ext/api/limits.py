"""How much a caller of the REST API may ask for, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of requests, of the queue, and of what is kept of finished jobs.

    json_bytes, form_bytes: of a request's whole body. bodies: requests whose body is read at one time,
    bodies_each: of one client; looks: whose picture is looked at or waits for it; wait_seconds: how long
    others wait for room. body_rate: bytes per second, which a body may be behind by body_seconds; busy_rate,
    busy_seconds: the same while others wait for its place. upload_seconds: for a whole one. values: of JSON,
    those inside others included. picture_pixels: of the decoded picture.
    template_bytes: of a mesh. track_bytes: of an unpacked motion track, also of one that is kept. seconds: of
    speech, idling or motion. text_characters: to be spoken. queued: jobs that wait. kept: finished jobs;
    keep_bytes: their files together (the newest stays whatever its size); keep_seconds: how long after they
    ended.
    """

    json_bytes: int = 8 * MEGABYTE
    form_bytes: int = 256 * MEGABYTE
    bodies: int = 16
    bodies_each: int = 8
    wait_seconds: float = 20.0
    body_rate: float = 8_000.0
    body_seconds: float = 20.0
    busy_rate: float = 64_000.0
    busy_seconds: float = 3.0
    upload_seconds: float = 900.0
    values: int = 100_000
    picture_pixels: int = 64_000_000
    template_bytes: int = 16 * MEGABYTE
    track_bytes: int = 256 * MEGABYTE
    seconds: float = 3600.0
    text_characters: int = 5000
    looks: int = 16
    queued: int = 16
    kept: int = 100
    keep_bytes: int = 4096 * MEGABYTE
    keep_seconds: float = 3600.0

    def to_dict(self) -> dict[str, Any]:
        """What a caller may want to know, as plain JSON values."""
        of_one = ("json_bytes", "form_bytes", "picture_pixels", "template_bytes", "track_bytes", "seconds")
        told = (*of_one, "text_characters", "queued", "kept", "keep_seconds")
        return {name: getattr(self, name) for name in told}
