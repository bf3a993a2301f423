"""A media file into blocks of float32 samples at its own rate and channels, through a pipe."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import AudioError, Foreign, Sentence
from ..system.ffmpeg import Ffmpeg, complaint, input_arguments, refusal
from ..system.mapped import forget
from .damage import Decoded, Heading, damage, damage_of_links
from .ogg import Link, links

BLOCK_SECONDS = 1.0
AU_MAGIC = b".snd"
AU_HEADER = struct.Struct(">4s5I")  # magic, offset of the data, its size, encoding, rate, channels
AU_FLOAT32 = 6  # encoding number of big-endian 32-bit floats
AU_SIZE_UNKNOWN = 0xFFFFFFFF
SAMPLE = np.dtype(">f4")
# Restarts the clock at the first sample: a late start or a gap in a container's clock would otherwise
# shift the soundtrack against the samples that lips are made from.
FROM_FIRST_SAMPLE = "asetpts=N/SR/TB"
RECONFIGURED = "Reconfiguring filter graph"  # ffmpeg's words where the rate or the channels change on the way


class AudioFile:
    """A decoded audio track; a context manager. Attributes: `rate` (Hz), `channels`, `heading`.

    track: from 0. Sound whose rate or channels change on the way is brought to those of its beginning.
    """

    def __init__(self, path: Path, track: int = 0) -> None:
        self.path, self._track = path, track
        # ffmpeg stops at a link of other channels or another rate, so each gets a process of its own.
        self._links = links(path)
        self._chained = len(self._links) > 1
        self._decoded: list[Decoded] = []  # of the links that have been read to their end
        self._link_frames = 0
        self.rate, self.channels = 0, 0
        self._process = self._started(0)
        try:
            self.rate, self.channels = self._read_header()
            self.heading = Heading.of(self._process.messages())
        except BaseException:
            self._process.stop()
            raise

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()

    @property
    def stated_seconds(self) -> float:
        """The container's own idea of its duration; 0 when it has none. Not exact."""
        return self.heading.seconds

    @property
    def uneven(self) -> bool:
        """Whether its rate or its channels have changed on the way, as far as it has been read."""
        return self._chained or RECONFIGURED in self._process.messages()

    def damage(self) -> Sentence | None:
        """What is wrong with the file in a sentence, once it has been read to its end; else None."""
        links = [*self._decoded, self._link_decoded()]
        if self._chained:
            return damage_of_links(self.path, self.heading, links)
        return damage(self.path, self.heading, links[0])

    def _link_decoded(self) -> Decoded:
        """What came out of the link that is being read, now that it is at its end."""
        self._process.finish()
        tracks, number = self.heading.tracks, len(self._decoded)
        link = self._links[number] if self._links else Link(0, 0)
        return Decoded(
            seconds=self._link_frames / self.rate,
            messages=self._process.messages(),
            cut=link.cut,
            gap=link.gap,
            late=tracks[self._track].late if self._track < len(tracks) else 0.0,
            link=self._chained,
        )

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields float32 (n, channels) in native byte order, one second each and less at the end."""
        frame_bytes = SAMPLE.itemsize * self.channels
        for number in range(max(1, len(self._links))):
            if number:
                self._decoded.append(self._link_decoded())
                self._link_frames = 0
                self._process.stop()
                self._process = self._started(number)
                if self._header() is None:
                    continue
            while data := self._process.read(max(1, int(BLOCK_SECONDS * self.rate)) * frame_bytes):
                count = len(data) // frame_bytes
                self._link_frames += count
                samples = np.frombuffer(data, SAMPLE, count * self.channels)
                yield samples.reshape(count, self.channels).astype(np.float32)

    def _started(self, number: int) -> Ffmpeg:
        part = (self._links[number].start, self._links[number].end) if self._chained else None
        select = ["-map", f"0:a:{self._track}", "-vn", "-sn", "-dn", "-map_metadata", "-1"]
        if self.rate:
            select += ["-ar", str(self.rate), "-ac", str(self.channels)]
        target = ["-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
        return Ffmpeg([*input_arguments(self.path, part), *select, *target], stdout=True)

    def _read_header(self) -> tuple[int, int]:
        found = self._header()
        if found is None:
            self._process.finish()
            raise _unreadable(self.path, self._process.messages())
        return found

    def _header(self) -> tuple[int, int] | None:
        """Rate and channels of what begins now; None where nothing comes."""
        header = self._process.read(AU_HEADER.size)
        if len(header) < AU_HEADER.size:
            return None
        _, offset, _, _, rate, channels = AU_HEADER.unpack(header)
        self._process.read(offset - AU_HEADER.size)
        return rate, channels


def write_au(path: Path, samples: np.ndarray, rate: int) -> None:
    """Writes float32 (N, C) samples as an AU file, a block at a time (no second copy of a long array)."""
    write_au_blocks(path, in_blocks(samples, rate), rate, samples.shape[1])


def write_au_blocks(path: Path, blocks: Iterable[np.ndarray], rate: int, channels: int) -> None:
    """Writes blocks of float32 (n, channels) samples as an AU file."""
    with path.open("wb") as file:
        file.write(AU_HEADER.pack(AU_MAGIC, AU_HEADER.size, AU_SIZE_UNKNOWN, AU_FLOAT32, rate, channels))
        for block in blocks:
            file.write(block.astype(SAMPLE).tobytes())


def in_blocks(samples: np.ndarray, rate: int) -> Iterator[np.ndarray]:
    """Consecutive stretches of an array (N, …), one second each and less at the end.

    What has been read of a mapped array does not stay in memory.
    """
    step = max(1, int(BLOCK_SECONDS * rate))
    for start in range(0, len(samples), step):
        yield samples[start : start + step]
        forget(samples)


def _unreadable(path: Path, messages: str) -> AudioError:
    opened = "Input #0" in messages
    if opened and not re.search(r"(?m)^ *Stream #0:\d+.*: Audio:", messages):
        return AudioError(
            f"{path.name} has no sound: it holds no audio stream; give a file with speech in it."
        )
    if opened:
        reason = complaint(messages)
        if "does not contain any stream" in reason or "Output file is empty" in messages:
            reason = "its audio stream is empty"
        return AudioError(
            "The sound of {name} cannot be decoded ({reason}); give another file.",
            Foreign(reason),
            name=path.name,
        )
    return AudioError(
        "{name} is not an audio or video file that ffmpeg can read ({reason}); give a wav, mp3, m4a, ogg, "
        "flac or mp4 file.",
        Foreign(refusal(messages)),
        name=path.name,
    )
