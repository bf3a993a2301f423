"""Speech into the ffmpeg arguments that bring its original sound, sample for sample, into a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..host import Check, nothing
from ..system.ffmpeg import file_url, input_arguments
from .decode import FROM_FIRST_SAMPLE, AudioFile, write_au, write_au_blocks
from .speech import Speech

# Zeroes every number that is not finite: encoders refuse them.
REPAIR = "aeval=exprs=if(isnan(val(ch))+isinf(val(ch))\\,0\\,val(ch)):c=same"


@dataclass(frozen=True)
class Soundtrack:
    """One ffmpeg input. input: its arguments; filters: what cuts out the speech; rate in Hz; channels.

    track: which audio stream of the input, from 0.
    """

    input: tuple[str, ...]
    filters: str
    rate: int
    channels: int
    track: int = 0


def soundtrack(speech: Speech, folder: Path, check: Check = nothing) -> Soundtrack | None:
    """The original sound of `speech` as an ffmpeg input; None when it has none.

    folder: an existing temporary folder; sound that is no file as it should be heard is written there as one.
    check: called about once a second of sound that is written; what it raises stops it.
    """
    rate, channels = speech.original_rate, speech.channels
    if speech.original is not None:
        path = folder / "soundtrack.au"
        write_au(path, speech.original, rate)
        return Soundtrack(("-f", "au", "-i", file_url(path)), FROM_FIRST_SAMPLE, rate, channels)
    if speech.source is None:
        return None
    first = round(speech.start * rate)
    last = first + round(speech.duration * rate)
    given, track = tuple(input_arguments(speech.source)), speech.track - 1
    if speech.uneven:  # ffmpeg would begin to count samples anew at each change
        path = folder / "soundtrack.au"
        with AudioFile(speech.source, track) as file:
            write_au_blocks(path, _stretch(file, first, last, check), rate, channels)
        given, track = ("-f", "au", "-i", file_url(path)), 0
        first, last = 0, last - first
    filters = [FROM_FIRST_SAMPLE, f"atrim=start_sample={first}:end_sample={last}", FROM_FIRST_SAMPLE]
    if speech.repaired:
        filters.append(REPAIR)
    return Soundtrack(given, ",".join(filters), rate, channels, track)


def _stretch(file: AudioFile, first: int, last: int, check: Check) -> Iterator[np.ndarray]:
    """The blocks of a file from one sample to before another; what lies behind them is not decoded."""
    count = 0
    for block in file.blocks():
        check()
        part = block[max(0, first - count) : max(0, last - count)]
        if len(part):
            yield part
        count += len(block)
        if count >= last:
            return
