"""Text into a wav file, spoken by a speech program of this machine: piper, say, SAPI or espeak-ng."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable
from pathlib import Path

from ..errors import AudioError, DependencyError, Named, Place, Sentence
from ..host import Check, nothing
from ..system import leftovers
from ..system.outputs import check_new_file, move_file
from ..system.paths import user_path
from . import speech_programs
from .languages import (
    HAN,
    closeness,
    foreign_script,
    languages_of,
    mostly_latin,
    plain_letters,
    reads,
    script_in_words,
    scripts,
)
from .speech import SILENT_PEAK, load_speech
from .speech_programs import VOICES_VARIABLE, Program, Speaker, Voice, programs, run

__all__ = ["MAX_CHARACTERS", "Voice", "advice", "check_text", "has_program", "no_program", "speak", "voices"]

MAX_CHARACTERS = 20_000  # about 25 minutes of speech
START_SECONDS = 60.0  # in which a program has begun to speak, its voice read from a slow disk
VOICE = Named("voice", "VOICE")
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
    or its name or language (“en-us”, “zh”); None is the default of the preferred program, or for
    a text that is not mostly in Latin letters, a voice that reads its script. models_dir: as for
    `voices`. overwrite: whether an existing file may be replaced. check: called several times a second;
    what it raises ends the program. Raises `AudioError` (no text, unknown voice, the program failed),
    `DependencyError` (no speech program) or `OutputError`.
    """
    words = check_text(text)
    speaker = _speaker(words, voice, models_dir)
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
    words = plain_letters(words)
    # Two opening brackets begin a command (say) or phonemes (espeak-ng, piper) instead of words.
    while "[[" in words:
        words = words.replace("[[", "[ [")
    return f"{words}\n".encode()


def check_voice(text: str, voice: str | None, models_dir: Path | None = None) -> Voice:
    """The voice that `speak` would take; raises what it would for a text that cannot be spoken by it."""
    return _speaker(check_text(text), voice, models_dir).voice


def _speaker(words: str, wanted: str | None, models_dir: Path | None) -> Speaker:
    here = list(programs(models_dir))
    if not here:
        raise no_program(models_dir)
    words = plain_letters(words)
    # A few foreign words among Latin letters are the affair of the voice that reads the rest.
    script = None if mostly_latin(words) else foreign_script(words)
    if wanted is None:
        return here[0].default if script is None else _reader(words, script, here)
    found = _named(wanted, here)
    if found is None:
        names = [speaker.voice.id for program in here for speaker in program.speakers]
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
        hint = f", such as {' or '.join(near)}" if near else ""
        raise AudioError(
            f"There is no voice {wanted[:60]!r} here; choose one that “sadtalker voices” lists{hint}."
        )
    if script is not None and not _can_read(found.voice, words, script):
        told = "The voice {name} cannot read the {script} of this text; choose another with {voice}."
        raise AudioError(told, VOICE, name=found.voice.name, script=script_in_words(script))
    return found


def _reader(words: str, script: str, here: list[Program]) -> Speaker:
    """A voice for a text that is not in Latin letters: of its likeliest language, of the best program."""
    default = here[0].default
    for language in languages_of(script, words):
        for program in here:
            near = [
                (closeness(language, speaker.voice.language), speaker)
                for speaker in (program.default, *program.speakers)
                if closeness(language, speaker.voice.language) and _can_read(speaker.voice, words, script)
            ]
            if near:
                return max(near, key=lambda pair: (pair[0], -len(pair[1].voice.language)))[1]
    if not default.voice.language and not here[0].speakers:
        return default  # it did not tell which languages it speaks
    if HAN in scripts(words):
        script = HAN
    told = "No voice here can read the {script} of this text; install one and choose it with {voice}, or "
    told += "write them in another script."
    raise AudioError(told, VOICE, script=script_in_words(script))


def _can_read(voice: Voice, words: str, script: str) -> bool:
    if not reads(voice.language, script, words) or (script != HAN and "latn" in voice.language):
        return False
    return HAN not in scripts(words) or not _spells(voice)


def _spells(voice: Voice) -> bool:
    """Whether a voice says "Chinese letter" for each Chinese character, as most of espeak-ng's do."""
    is_espeak = voice.program.startswith("espeak")
    return is_espeak and not any(closeness(tag, voice.language) for tag in ("cmn", "yue", "hak"))


def finds(voice: str, models_dir: Path | None = None) -> bool:
    """Whether `speak` knows a voice by that id, name or language."""
    return _named(voice, list(programs(models_dir))) is not None


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
    program = next((program.default for program in here if program.name == asked), None)
    return program or _of_language(asked, here)


def _of_language(asked: str, here: list[Program]) -> Speaker | None:
    """The voice whose language is the nearest to a tag or a name of a language, of the best program."""
    best: tuple[int, Speaker] | None = None
    for program in here:
        for speaker in (program.default, *program.speakers):
            near = closeness(asked, speaker.voice.language)
            if near > (best[0] if best else 0):
                best = near, speaker
    return best[1] if best else None


def _check_sound(path: Path, voice: Voice, check: Check) -> None:
    try:
        silent = load_speech(path, check=check).peak < SILENT_PEAK
    except AudioError as error:
        raise AudioError(f"{voice.program} wrote no sound that can be used; choose another voice.") from error
    if silent:
        raise AudioError(
            f"The voice {voice.name} made no sound of this text; "
            "write it in words, or choose a voice of its language."
        )
