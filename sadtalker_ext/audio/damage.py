"""What ffmpeg and a file's own header say of a recording into its audio tracks and what is missing of it."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import Sentence

TOLERANCE_S = 0.1  # codecs round up to a packet, containers to a clock of their own
TOLERANCE_SHARE = 0.002
LOOSE = ("asf", "avi", "flv", "mpegts", "mpeg", "rm")  # containers that only roughly know how long they are
LOOSE_S = 0.5
SILENT_LOSS = ("asf",)  # ffmpeg passes over its broken packets without a word
# Sizes that stand for "not known yet": what is piped is never gone back to.
UNKNOWN_SIZES = range(0x7FFF0000, 0x100000000)
RIFF_HEADER, CHUNK = struct.Struct("<4sI4s"), struct.Struct("<4sI")
MOST_CHUNKS = 1000

STREAM = re.compile(r"^ *Stream #0:(?P<index>\d+)(?P<id>\S*?): (?P<kind>\w+): (?P<rest>.*)$", re.MULTILINE)
FILE_START = re.compile(r"Duration: \S+ start: (\d+\.\d+)")
STREAM_START = re.compile(r", start (\d+\.\d+)")
# Containers whose own duration is that of the sound alone; in others it counts from the zero of their clock.
LENGTH_ALONE = ("mov", "mp3", "mpegts", "mpeg")
START_UNTOLD = ("avi",)  # these count from zero too, and do not say where the sound begins
LANGUAGE = re.compile(r"\(([a-z]{2,3})\)")
# ffmpeg's words for packets that a decoder could not use, and for a file that is not whole.
UNDECODABLE = re.compile(r"Error submitting packet to decoder|Decoding error|corrupt decoded frame")
BROKEN_OFF = re.compile(
    r"File ended prematurely|partial file|corrupt input packet|Packet corrupt|CRC mismatch"
    r"|invalid as first byte of an EBML|exceeds containing master element|Input packet size too small"
)
# Tags behind an mp3, and where a broadcast was switched on or off, look like damage and are none.
UNCERTAIN_ENDS = ("mp3", "mpegts", "mpeg", "ac3", "eac3")


@dataclass(frozen=True)
class AudioTrack:
    """One audio stream.

    default: the file says that it is to be heard. language: like "eng", or "". late: seconds from where the
    file begins to where it does.
    """

    default: bool
    language: str
    late: float = 0.0


@dataclass(frozen=True)
class Heading:
    """What ffmpeg says of a file before it decodes.

    format: of the container. seconds: its own idea of its duration, 0 without one; expected: how long the
    sound should last, None where nothing tells. tracks: the audio streams, in ffmpeg's order.
    """

    format: str
    seconds: float
    expected: float | None
    tracks: tuple[AudioTrack, ...]

    @classmethod
    def of(cls, messages: str) -> Heading:
        told = messages.split("Output #0")[0].split("Stream mapping:")[0]
        name = re.search(r"(?m)^Input #0, (.*), from", told)
        length = re.search(r"(?m)^ *Duration: (\d+):(\d+):([\d.]+)", told)
        hours, minutes, seconds = length.groups() if length else ("0", "0", "0")
        start, whole = _start(FILE_START, told), int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        # A stream is listed under each of its programs.
        listed = {int(found["index"]): found for found in STREAM.finditer(told)}
        streams = [listed[i] for i in sorted(listed) if "(attached pic)" not in listed[i]["rest"]]
        tracks = [_track(found, start) for found in streams if found["kind"] == "Audio"]
        timed = sum(found["kind"] in ("Audio", "Video") for found in streams)
        known = length is not None and timed == 1 and "Estimating duration from bitrate" not in told
        named = name[1] if name else ""
        formats = set(named.split(","))
        counted = 0.0 if formats & set(LENGTH_ALONE) else start
        known = known and not formats & set(START_UNTOLD)
        return cls(named, whole, max(0.0, whole - counted) if known else None, tuple(tracks))

    def is_one_of(self, formats: tuple[str, ...]) -> bool:
        return bool(set(formats) & set(self.format.split(",")))


@dataclass(frozen=True)
class Decoded:
    """What came out of a file that was read to its end.

    seconds: of sound. messages: ffmpeg's. cut: its last part is not whole. gap: parts of it are missing.
    late: seconds on the container's clock before the sound begins. link: it is one of several streams that
    were put one behind the other.
    """

    seconds: float
    messages: str
    cut: bool = False
    gap: bool = False
    late: float = 0.0
    link: bool = False


def damage(path: Path, heading: Heading, decoded: Decoded) -> Sentence | None:
    """What is missing of a recording, in a sentence; None where nothing is."""
    heard, said, riff = decoded.seconds, decoded.messages, riff_header(path)
    expected = None if decoded.link else riff.seconds or heading.expected
    clock = max(heard, _clock(said) - decoded.late)
    tolerance = TOLERANCE_S + TOLERANCE_SHARE * heard
    undecodable = UNDECODABLE.search(said) is not None
    broken_off = decoded.cut or riff.cut or _broken_off(said, heading)
    facts = {"name": path.name, "heard": heard}
    if expected is not None and expected - clock > (LOOSE_S if heading.is_one_of(LOOSE) else tolerance):
        told = (
            "The recording {name} is damaged: it should last {expected:.2f} s, but ends after {heard:.2f} s."
        )
        return Sentence(told, **facts, expected=expected)
    silently = heading.is_one_of(SILENT_LOSS) and clock - heard > LOOSE_S
    if silently or ((undecodable or broken_off or decoded.gap) and clock - heard > tolerance):
        told = "The recording {name} is damaged: {lost:.2f} s of its {clock:.2f} s cannot be heard."
        return Sentence(told, name=path.name, lost=clock - heard, clock=clock)
    if broken_off or (undecodable and expected is None and not heading.is_one_of(UNCERTAIN_ENDS)):
        return Sentence(
            "The recording {name} is damaged or not complete: it ends after {heard:.2f} s.", **facts
        )
    if riff.unheard > TOLERANCE_S:
        told = "The header of the recording {name} is wrong: it tells of {heard:.2f} s, and the {rest:.2f} s "
        told += "behind them are not heard; save it anew in an audio editor."
        return Sentence(told, **facts, rest=riff.unheard)
    return None


@dataclass(frozen=True)
class RiffHeader:
    """What the header of a .wav or .avi file promises.

    seconds: of sound, None where it promises none. unheard: seconds behind the sound that the header does not
    tell of. cut: the file ends before the header says so.
    """

    seconds: float | None = None
    unheard: float = 0.0
    cut: bool = False


def riff_header(path: Path) -> RiffHeader:
    """What the header of a RIFF file promises; nothing in another file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(RIFF_HEADER.size)
        if len(head) < RIFF_HEADER.size or head[:4] != b"RIFF":
            return RiffHeader()
        promised, kind = RIFF_HEADER.unpack(head)[1:]
        if kind == b"WAVE":
            return _wav_header(file, size)
    return RiffHeader(cut=kind == b"AVI " and promised not in UNKNOWN_SIZES and CHUNK.size + promised > size)


def _wav_header(file: BinaryIO, size: int) -> RiffHeader:
    bytes_a_second = 0
    for _ in range(MOST_CHUNKS):
        chunk = file.read(CHUNK.size)
        if len(chunk) < CHUNK.size:
            break
        name, length = CHUNK.unpack(chunk)
        if name == b"data":
            if length == 0 or length in UNKNOWN_SIZES or bytes_a_second == 0:
                break
            end = file.tell() + length + length % 2
            file.seek(end)
            follows = file.read(4)
            named = len(follows) == 4 and follows.isascii() and follows.decode("ascii").isprintable()
            unheard = 0.0 if named or not any(follows) else max(0, size - end) / bytes_a_second
            return RiffHeader(length / bytes_a_second, unheard)
        inside = file.read(12) if name == b"fmt " else b""
        if len(inside) == 12:
            bytes_a_second = int.from_bytes(inside[8:], "little")
        file.seek(length + length % 2 - len(inside), 1)
    return RiffHeader()


def damage_of_links(path: Path, heading: Heading, links: Sequence[Decoded]) -> Sentence | None:
    """As `damage`, of streams that were put one behind the other."""
    damaged = [number for number, link in enumerate(links, 1) if damage(path, heading, link) is not None]
    if not damaged:
        return None
    told = "The recording {name} is damaged: of the {count} parts that were put one behind the other, "
    told += "{parts} not whole."
    parts = f"parts {' and '.join(map(str, damaged))} are" if len(damaged) > 1 else f"part {damaged[0]} is"
    return Sentence(told, name=path.name, count=len(links), parts=parts)


def _start(pattern: re.Pattern[str], text: str) -> float:
    found = pattern.search(text)
    return float(found[1]) if found else 0.0


def _track(stream: re.Match[str], begins: float) -> AudioTrack:
    language = LANGUAGE.search(stream["id"])
    known = language is not None and language[1] != "und"
    late = max(0.0, _start(STREAM_START, stream["rest"]) - begins)
    return AudioTrack("(default)" in stream["rest"], language[1] if language and known else "", late)


def _clock(messages: str) -> float:
    """Seconds on the container's clock up to which was decoded."""
    times = re.findall(r"time=(\d+):(\d+):([\d.]+)", messages)
    if not times:
        return 0.0
    hours, minutes, seconds = times[-1]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _broken_off(messages: str, heading: Heading) -> bool:
    # A wav file's packets are of any length; what its header promises tells whether it is whole.
    return not heading.is_one_of(("wav", *UNCERTAIN_ENDS)) and BROKEN_OFF.search(messages) is not None
