"""The audio tracks of a file into the one that is heard, and a sentence that tells of the choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import AudioError, Named, Sentence
from ..system.ffmpeg import input_arguments, run
from .damage import AudioTrack, Heading

MOST_TRIED = 8  # tracks that are listened to in search of one that is not silent


def audio_tracks(path: Path) -> tuple[AudioTrack, ...]:
    """The audio tracks of a file; one, which fails when it is read, where it has none or cannot be read."""
    _, _, messages = run(input_arguments(path))
    return Heading.of(messages).tracks or (AudioTrack(True, ""),)


def in_order(tracks: Sequence[AudioTrack]) -> list[int]:
    """Numbers, from 1, of those that are tried, in order: what the file calls its default comes first."""
    numbers = range(1, len(tracks) + 1)
    return sorted(numbers, key=lambda number: (not tracks[number - 1].default, number))[:MOST_TRIED]


def no_such_track(name: str, count: int, wanted: int) -> AudioError:
    if count == 1:
        told = "{name} has only one audio track, so there is no track {wanted}; leave out {track}."
        return AudioError(told, "track", name=name, wanted=wanted)
    told = "{name} has {count} audio tracks, so {track} must be a number from 1 to {count}, not {wanted}."
    return AudioError(told, "track", name=name, count=count, wanted=wanted)


def choice(name: str, tracks: Sequence[AudioTrack], chosen: int, silent: Sequence[int]) -> Sentence:
    """That a file has several tracks, and which is heard. silent: those that were tried before it."""
    track = tracks[chosen - 1]
    why = ", the default one" if track.default else ""
    if silent:
        listed = f"track{'s' if len(silent) > 1 else ''} {' and '.join(map(str, silent))}"
        why = f", since nothing can be heard in {listed}"
    language = f" ({track.language})" if track.language else ""
    told = f"{{name}} has {len(tracks)} audio tracks; track {chosen}{language} is used{why}. "
    told += "Choose with {track}."
    return Sentence(told, Named("track", "N"), name=name)
