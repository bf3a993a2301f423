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
    return _tracks(path) or (AudioTrack(True, ""),)


def has_sound(path: Path) -> bool:
    """Whether a file is one in which there are audio tracks."""
    return bool(_tracks(path))


def stated_seconds(path: Path) -> float:
    """A file's own idea of its duration; 0 when it has none. Not exact."""
    return _heading(path).seconds


def _tracks(path: Path) -> tuple[AudioTrack, ...]:
    return _heading(path).tracks


def _heading(path: Path) -> Heading:
    _, _, messages = run(input_arguments(path))
    return Heading.of(messages)


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


def choice(
    name: str, tracks: Sequence[AudioTrack], chosen: int, silent: Sequence[int], unusable: Sequence[int]
) -> Sentence:
    """That a file has several tracks, and which is heard.

    silent, unusable: those that were tried before it, and in which nothing is heard or that cannot be read.
    """
    track = tracks[chosen - 1]
    reasons = [f"nothing can be heard in {_listed(silent)}"] if silent else []
    reasons += [f"{_listed(unusable)} cannot be used"] if unusable else []
    why = f", since {' and '.join(reasons)}" if reasons else ", the default one" if track.default else ""
    language = f" ({track.language})" if track.language else ""
    told = f"{{name}} has {len(tracks)} audio tracks; track {chosen}{language} is used{why}. "
    told += "Choose with {track}."
    return Sentence(told, Named("track", "N"), name=name)


def _listed(numbers: Sequence[int]) -> str:
    *others, last = map(str, numbers)
    return f"tracks {', '.join(others)} and {last}" if others else f"track {last}"
