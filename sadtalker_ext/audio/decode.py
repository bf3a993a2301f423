"""A media file into blocks of float32 samples at its own rate and channels, through a pipe."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import AudioError, Foreign
from ..system.ffmpeg import Ffmpeg, complaint, input_arguments, refusal

BLOCK_SECONDS = 1.0
AU_MAGIC = b".snd"
AU_HEADER = struct.Struct(">4s5I")  # magic, offset of the data, its size, encoding, rate, channels
AU_FLOAT32 = 6  # encoding number of big-endian 32-bit floats
AU_SIZE_UNKNOWN = 0xFFFFFFFF
SAMPLE = np.dtype(">f4")
# Restarts the clock at the first sample: a late start or a gap in a container's clock would otherwise
# shift the soundtrack against the samples that lips are made from.
FROM_FIRST_SAMPLE = "asetpts=N/SR/TB"


class AudioFile:
    """A decoded first audio stream; a context manager. Attributes: `rate` (Hz), `channels`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        select = ["-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-af", FROM_FIRST_SAMPLE]
        self._process = Ffmpeg(
            [*input_arguments(path), *select, "-c:a", "pcm_f32be", "-f", "au", "pipe:1"], stdout=True
        )
        try:
            self.rate, self.channels = self._read_header()
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
        found = re.search(r"Duration: (\d+):(\d+):([\d.]+)", self._process.messages())
        if found is None:
            return 0.0
        hours, minutes, seconds = found.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields float32 (n, channels) in native byte order, one second each and less at the end."""
        frame_bytes = SAMPLE.itemsize * self.channels
        while True:
            data = self._process.read(max(1, int(BLOCK_SECONDS * self.rate)) * frame_bytes)
            count = len(data) // frame_bytes
            if count == 0:
                return
            samples = np.frombuffer(data, SAMPLE, count * self.channels)
            yield samples.reshape(count, self.channels).astype(np.float32)

    def _read_header(self) -> tuple[int, int]:
        header = self._process.read(AU_HEADER.size)
        if len(header) < AU_HEADER.size:
            self._process.finish()
            raise _unreadable(self.path, self._process.messages())
        _, offset, _, _, rate, channels = AU_HEADER.unpack(header)
        self._process.read(offset - AU_HEADER.size)
        return rate, channels


def write_au(path: Path, samples: np.ndarray, rate: int) -> None:
    """Writes float32 (N, C) samples as an AU file, a block at a time (no second copy of a long array)."""
    block = max(1, int(BLOCK_SECONDS * rate))
    with path.open("wb") as file:
        size = min(samples.size * SAMPLE.itemsize, AU_SIZE_UNKNOWN)
        file.write(AU_HEADER.pack(AU_MAGIC, AU_HEADER.size, size, AU_FLOAT32, rate, samples.shape[1]))
        for start in range(0, len(samples), block):
            file.write(samples[start : start + block].astype(SAMPLE).tobytes())


def _unreadable(path: Path, messages: str) -> AudioError:
    opened = "Input #0" in messages
    if opened and not re.search(r"Stream #0:\d+.*: Audio:", messages):
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
