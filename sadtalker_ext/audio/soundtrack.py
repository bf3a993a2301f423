"""Speech into the ffmpeg arguments that bring its original sound, sample for sample, into a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..system.ffmpeg import file_url, input_arguments
from .decode import FROM_FIRST_SAMPLE, write_au
from .speech import Speech

# Zeroes every number that is not finite: encoders refuse them.
REPAIR = "aeval=exprs=if(isnan(val(ch))+isinf(val(ch))\\,0\\,val(ch)):c=same"


@dataclass(frozen=True)
class Soundtrack:
    """One ffmpeg input. input: its arguments; filters: what cuts out the speech; rate in Hz; channels."""

    input: tuple[str, ...]
    filters: str
    rate: int
    channels: int


def soundtrack(speech: Speech, folder: Path) -> Soundtrack | None:
    """The original sound of `speech` as an ffmpeg input; None when it has none.

    folder: an existing temporary folder; sound given as an array is written there as a file.
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
    filters = [FROM_FIRST_SAMPLE, f"atrim=start_sample={first}:end_sample={last}", FROM_FIRST_SAMPLE]
    if speech.repaired:
        filters.append(REPAIR)
    return Soundtrack(tuple(input_arguments(speech.source)), ",".join(filters), rate, channels)
