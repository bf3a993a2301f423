"""Text into a wav file, spoken by a speech program of this machine: piper, say, SAPI or espeak-ng."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable
from pathlib import Path

from ..errors import AudioError, DependencyError, Place, Sentence
from ..host import Check, nothing
from ..system import leftovers
from ..system.outputs import check_new_file, move_file
from ..system.paths import user_path
from . import speech_programs
from .speech import load_speech
from .speech_programs import VOICES_VARIABLE, Program, Speaker, Voice, programs, run

__all__ = ["MAX_CHARACTERS", "Voice", "advice", "check_text", "has_program", "no_program", "speak", "voices"]

MAX_CHARACTERS = 20_000  # about 25 minutes of speech
START_SECONDS = 60.0  # in which a program has begun to speak, its voice read from a slow disk
CHARACTER_SECONDS = 0.1  # for each character; they take about that long to be heard


def voices(models_dir: Path | None = None) -> tuple[Voice, ...]:
    """All voices of the speech programs that are here, the preferred program's first; () when there is none.

    models_dir: the folder of models, in whose `voices` piper's voices are looked for, as well as in
    `SADTALKER_PIPER_VOICES`. Programs are asked once; later calls cost milliseconds.
    """
    return tuple(speaker.voice for program in programs(models_dir) for speaker in program.speakers)


def has_program(models_dir: Path | None = None) -> bool:
    """Whether any speech program is here."""
    return next(programs(models_dir), None) is not None


def no_program(models_dir: Path | None = None) -> DependencyError:
    """The error that no speech program is here."""
    return DependencyError("No program that speaks text was found. {advice}.", advice=advice(models_dir))


def advice(models_dir: Path | None = None) -> Sentence:
    """How to get a speech program on this system."""
    piper = Sentence(f"piper with a voice file (.onnx) named by {VOICES_VARIABLE}")
    if models_dir:
        folder = Place(models_dir / "voices", "the folder for voices")
        piper = Sentence("piper with a voice file (.onnx) in {path}", folder)
    way = "Install espeak-ng (for instance: sudo apt install espeak-ng), or {piper}."
    if speech_programs.SYSTEM == "Darwin":
        way = "macOS's own program “say” should be on the PATH; or install {piper}."
    if speech_programs.SYSTEM == "Windows":
        way = "Windows PowerShell should be on the PATH; or install espeak-ng, or {piper}."
    return Sentence(way, piper=piper)


def check_text(text: object) -> str:
    """The text as it will be spoken, without control characters; raises `AudioError` when it cannot be."""
    if not isinstance(text, str):
        raise AudioError("The text to speak must be text; write what is to be said.")
    words = "".join(" " if _is_control(character) else character for character in text).strip()
    if not words:
        raise AudioError("There is no text to speak; write what is to be said.")
    if len(words) > MAX_CHARACTERS:
        raise AudioError(
            f"The text has {len(words)} characters; at most {MAX_CHARACTERS} can be spoken: shorten it."
        )
    return words


def speak(
    text: str,
    target: str | Path,
    *,
    voice: str | None = None,
    models_dir: Path | None = None,
    overwrite: bool = False,
    check: Check = nothing,
) -> Path:
    """Speaks a text into a wav file and returns its path; half a file is never left.

    text: up to `MAX_CHARACTERS`. target: the file, written as wav whatever its ending. voice: a `Voice.id`,
    or its name or language (“en-us”); None is the default of the preferred program. models_dir: as for
    `voices`. overwrite: whether an existing file may be replaced. check: called several times a second;
    what it raises ends the program. Raises `AudioError` (no text, unknown voice, the program failed),
    `DependencyError` (no speech program) or `OutputError`.
    """
    words = check_text(text)
    speaker = _speaker(voice, models_dir)
    path = user_path(target)
    check_new_file(path, overwrite)
    made = leftovers.beside(path.resolve())
    with leftovers.folder() as folder:
        written = folder / "text.txt"
        written.write_bytes(_for_program(words))
        try:
            seconds = START_SECONDS + CHARACTER_SECONDS * len(words)
            run(speaker.command(written, made), written, seconds, check)
            _check_sound(made, speaker.voice, check)
            move_file(made, path, overwrite)
        finally:
            leftovers.remove(made)
    return path


def _is_control(character: str) -> bool:
    # Cs: halves of a pair, which no encoding can hold. Line breaks go too: piper speaks line by line.
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _for_program(words: str) -> bytes:
    # Two opening brackets begin a command (say) or phonemes (espeak-ng, piper) instead of words.
    while "[[" in words:
        words = words.replace("[[", "[ [")
    return f"{words}\n".encode()


def _speaker(wanted: str | None, models_dir: Path | None) -> Speaker:
    here = list(programs(models_dir))
    if not here:
        raise no_program(models_dir)
    if wanted is None:
        return here[0].default
    found = _named(wanted, here)
    if found is None:
        names = [speaker.voice.id for program in here for speaker in program.speakers]
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
        hint = f", such as {' or '.join(near)}" if near else ""
        raise AudioError(
            f"There is no voice {wanted[:60]!r} here; choose one that “sadtalker voices” lists{hint}."
        )
    return found


def _named(wanted: str, here: list[Program]) -> Speaker | None:
    """A voice by its id, or more loosely by the program, the id's second half, its name or its language."""
    everyone = [speaker for program in here for speaker in program.speakers]
    asked = wanted.strip().casefold()
    keys: tuple[Callable[[Speaker], str], ...] = (
        lambda s: s.voice.id,
        lambda s: s.voice.id.partition(":")[2],
        lambda s: s.voice.name,
        lambda s: s.voice.language,
    )
    for key in keys:
        for speaker in everyone:
            if key(speaker).casefold() == asked:
                return speaker
    return next((program.default for program in here if program.name == asked), None)


def _check_sound(path: Path, voice: Voice, check: Check) -> None:
    try:
        silent = load_speech(path, check=check).is_silent
    except AudioError as error:
        raise AudioError(f"{voice.program} wrote no sound that can be used; choose another voice.") from error
    if silent:
        raise AudioError(
            f"The voice {voice.name} made no sound of this text; "
            "write it in words, or choose a voice of its language."
        )
