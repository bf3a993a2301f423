"""Manners of articulating: how the same phones are spoken by a clear, a relaxed and a lively mouth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """opening, shape: factors of jaw and gap, and of width and rounding, on those of the phones.

    blur_s: seconds by which movements run into one another beyond the usual. loudness: an opening's share
    that stays in quiet speech, and what loudness 0..1 adds to it. held: factor of the closures' length.
    """

    name: str
    opening: float = 1.0
    shape: float = 1.0
    blur_s: float = 0.0
    loudness: tuple[float, float] = (1.0, 0.0)
    held: float = 1.0


MANNERS: tuple[Manner, ...] = (
    Manner("normal"),
    Manner("clear", opening=1.3, shape=1.3, held=1.25),
    Manner("relaxed", opening=0.65, shape=0.65, blur_s=0.04, held=0.9),
    Manner("lively", opening=1.05, shape=1.1, loudness=(0.5, 0.8)),
)
