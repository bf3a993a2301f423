"""Files that a command line names in the wrong place, or in the place of another, into a sentence."""

from __future__ import annotations

from pathlib import Path

from ..errors import AudioError, OptionsError, Place, SadTalkerError, TrackError
from ..system.paths import existing_file

MOTION, PICTURE, RECORDING = "motion", "picture", "recording"
MOTION_SUFFIXES = (".npz", ".csv")


def kind_of(name: str | None) -> str:
    """What is in a file: a motion, by its name; a picture or a recording, by its content; "" for others."""
    if name is None:
        return ""
    if Path(name).suffix.lower() in MOTION_SUFFIXES:
        return MOTION
    path, problem = existing_file(name)
    if problem:
        return ""
    from ..face.decoding import is_picture

    return PICTURE if is_picture(path) else RECORDING if _has_sound(path) else ""


def check_inputs(picture: str | None, audio: str | None) -> None:
    """Refuse a motion among the inputs of speech, and a picture and a recording the wrong way round."""
    for name in (picture, audio):
        if kind_of(name) == MOTION:
            raise OptionsError(
                "{path} is a motion; draw it with: sadtalker render PICTURE TRACK.", Place(name or "")
            )
    if audio is None or kind_of(audio) != PICTURE:
        return
    if kind_of(picture) == RECORDING:
        told = "{path} is a picture and {recording} a recording; name the picture first."
        raise OptionsError(told, Place(audio), recording=Path(picture or "").name)
    raise AudioError(
        "{path} is a picture; in its place give the speech, an audio or video file.", Place(audio)
    )


def without_speech(name: str) -> SadTalkerError | None:
    """What is wrong where a name alone stands for portrait and speech; None where it is a portrait."""
    _, problem = existing_file(name)
    if problem:
        return OptionsError("{path} {problem}.", Place(name), problem=problem)
    if kind_of(name) == RECORDING:
        told = "No picture was given: {path} is a recording; name the portrait first, then the recording."
        return OptionsError(told, Place(name))
    return None


def check_rendered(picture: str | None, track: str) -> None:
    """Refuse what is no motion in a motion's place, with the place where it belongs."""
    kind = kind_of(track)
    if kind == PICTURE and kind_of(picture) == MOTION:
        told = "{path} is a picture and {motion} a motion; name the picture first."
        raise TrackError(told, Place(track), motion=Path(picture or "").name)
    if kind == PICTURE:
        raise TrackError("No motion was given: {path} is a picture; name the motion behind it.", Place(track))
    if kind == RECORDING:
        told = "{path} is a recording; give it with --audio, and make a motion of it with: sadtalker motion."
        raise TrackError(told, Place(track))


def _has_sound(path: Path) -> bool:
    from ..audio.track_choice import has_sound

    return has_sound(path)
