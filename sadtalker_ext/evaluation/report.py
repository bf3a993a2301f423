"""Turns everything measured on a video into one report: a table for people, a dictionary for programs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .background import Background
from .blinks import Blinks
from .head import Axis, Beats
from .lip_sync import Agreement, Silence
from .lips_at_phones import Articulation, Share
from .seam import Seam

DIGITS = 4  # of numbers in the dictionary, after the point

# What a good video reaches; the table marks each of these rows "ok" or "off".
LEAST_FOLLOWING = 0.95  # correlation of seen and commanded opening
LEAST_CLOSED = 0.92  # share of /p b m/
LEAST_MARGIN = 0.55  # of that above chance
MOST_ABOVE_REST = 0.02  # fw that the mouth may be open in silence beyond the picture's own opening
SEAMLESS = (0.9, 1.1)  # gradient across the region's border over the picture's
MOST_SHUT = 0.5  # of the open aperture that a blink must go below
NOTHING = "-"


@dataclass(frozen=True)
class Timing:
    """Seconds of picture and of sound; length_error: their difference in frames."""

    video_s: float
    audio_s: float
    difference_s: float
    length_error: float


@dataclass(frozen=True)
class Lips:
    """What the lips do. closed_below: opening in face widths under which they count as closed.

    command: agreement with the opening that was commanded (None when that is not known). loudness: with the
    sound's level. opening: mean and 95th percentile. closures_per_second: of speech.
    """

    closed_below: float
    opening_mean: float
    opening_p95: float
    command: Agreement | None
    loudness: Agreement | None
    silence: Silence | None
    closures_per_second: float | None
    phones: Articulation | None


@dataclass(frozen=True)
class Report:
    """Everything measured on one video; a part that cannot be measured is None, with a notice saying why.

    seen: share of frames in which a face was found. maker: software and engine, from the metadata.
    """

    video: str
    width: int
    height: int
    fps: float
    frames: int
    seen: float
    maker: str | None
    timing: Timing | None
    lips: Lips
    blinks: Blinks | None
    head: Mapping[str, Axis] | None
    beats: Beats | None
    background: Background | None
    seam: Seam | None = None
    notices: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON values, numbers rounded."""
        return _plain(self)

    def table(self) -> str:
        """The same as lines of text: what, how much, and how much is wanted."""
        rows = [("", "", "wanted", ""), *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        title = f"{self.video}: {self.width}x{self.height}, {self.frames} frames at {self.fps:g} a second"
        if self.maker:
            title += f", made by {self.maker}"
        lines = [title]
        for what, value, wanted, mark in rows:
            cells = (what.ljust(widths[0]), value.ljust(widths[1]), wanted.ljust(widths[2]), mark)
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *(f"note: {notice}" for notice in self.notices)])

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        yield _row("frames with a face", f"{self.seen:.0%}", "100%", self.seen > 0.995)
        timing = self.timing
        if timing is None:
            yield _row("picture and sound", NOTHING)
        else:
            yield _row(
                "picture and sound",
                f"{timing.video_s:.3f} s, {timing.audio_s:.3f} s ({timing.length_error:+.2f} frames)",
                "within 1 frame",
                abs(timing.length_error) <= 1.0 + 1e-6,
            )
        yield from self._lip_rows()
        yield from self._eye_and_head_rows()
        if self.seam is not None:
            yield _row(
                "gradient at the face's border",
                f"{self.seam.index:.2f} of the picture's (steepest line {self.seam.steepest:.2f}, "
                f"mean {self.seam.within:.2f})",
                f"{SEAMLESS[0]} to {SEAMLESS[1]}",
                SEAMLESS[0] <= self.seam.index <= SEAMLESS[1],
            )
        back = self.background
        if back is None:
            yield _row("changed outside the face", NOTHING)
            return
        unit = "pixels" if back.exact else "8x8 blocks"
        wanted = "0" if back.region_known else ""
        ok = (back.changed == 0) if back.region_known else None
        source = "" if back.region_known else ", region estimated"
        yield _row(
            "changed outside the face",
            f"{back.changed:.2%} of {unit} (most {back.largest:.1f} of 255{source})",
            wanted,
            ok,
        )
        yield _row("background flicker", f"{back.flicker:.3f} of 255 a frame", "0" if back.exact else "")

    def _lip_rows(self) -> Iterator[tuple[str, str, str, str]]:
        lips = self.lips
        yield _row(
            "lip opening, mean and p95", f"{lips.opening_mean:.3f}, {lips.opening_p95:.3f} face widths"
        )
        command = lips.command
        follows = command and command.r >= LEAST_FOLLOWING and command.lag == 0
        yield _row("lips follow the command", _agreement(command), f"r {LEAST_FOLLOWING} at lag 0", follows)
        yield _row("lips and loudness", _agreement(lips.loudness))
        closed, opened = (None, None) if lips.phones is None else (lips.phones.closed, lips.phones.open)
        good = closed and closed.share >= LEAST_CLOSED
        yield _row("closed at /p b m/", _share(closed), f"{LEAST_CLOSED}", good)
        margin = None if closed is None else f"{closed.margin:.2f} ({closed.margin_speaking:.2f} in speech)"
        better = closed and closed.margin >= LEAST_MARGIN
        yield _row("  above chance", margin or NOTHING, f"{LEAST_MARGIN}", better)
        yield _row("open at open vowels", _share(opened))
        silence = lips.silence
        if silence is None:
            yield _row("opening in silence", NOTHING)
        else:
            most = silence.rest + MOST_ABOVE_REST
            value = f"p95 {silence.p95:.3f}, mean {silence.mean:.3f} (at rest {silence.rest:.3f})"
            yield _row("opening in silence", value, f"p95 {most:.3f}", silence.p95 <= most)
        rate = lips.closures_per_second
        yield _row("closures a second of speech", NOTHING if rate is None else f"{rate:.2f}")

    def _eye_and_head_rows(self) -> Iterator[tuple[str, str, str, str]]:
        blinks = self.blinks
        if blinks is None or blinks.shut is None or blinks.duration_ms is None or blinks.synchrony is None:
            yield _row("blinks", NOTHING if blinks is None else "none")
        else:
            yield _row("blinks", f"{blinks.count} ({blinks.per_minute:.0f} a minute)")
            yield _row(
                "  each",
                f"{blinks.duration_ms:.0f} ms, down to {blinks.shut:.0%} open, left with right r "
                f"{blinks.synchrony:.2f}",
                f"below {MOST_SHUT:.0%}",
                blinks.shut < MOST_SHUT,
            )
        for name, axis in (self.head or {}).items():
            yield _row(
                f"head {name}",
                f"sd {axis.sd:.1f}, range {axis.range:.1f} degrees, jitter {axis.jitter:.2f}, "
                f"{axis.fast:.1%} above 4 Hz",
            )
        beats = self.beats
        if beats is not None:
            yield _row("head rests on beats", f"{beats.score:.2f} (chance {beats.chance:.2f})")


def _row(what: str, value: str, wanted: str = "", good: object = None) -> tuple[str, str, str, str]:
    mark = "" if value == NOTHING or not wanted or good is None else "ok" if good else "off"
    return what, value, wanted, mark


def _agreement(found: Agreement | None) -> str:
    if found is None:
        return NOTHING
    return f"r {found.r:.2f} (best {found.best_r:.2f} at {found.lag:+d} frames)"


def _share(found: Share | None) -> str:
    return NOTHING if found is None else f"{found.share:.2f} of {found.count} (chance {found.chance:.2f})"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value
