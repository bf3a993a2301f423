"""Text on the command line into speech for other commands, and the list of voices."""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ..errors import AudioError, OptionsError
from ..host import StandaloneHost

NAME_CHARACTERS = 30  # of the text that go into the names of files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of a command that takes speech."""
    parser.add_argument("--text", metavar="WORDS", help="speak this text instead of a recording")
    parser.add_argument(
        "--voice",
        metavar="VOICE",
        help="who speaks the text: an id that “sadtalker voices” lists, or a language",
    )


@contextmanager
def speech_of(given: argparse.Namespace) -> Iterator[str | Path | None]:
    """The recording that was named, or the text that was given, spoken into a file that lives meanwhile.

    Raises `OptionsError` where the flags contradict each other, and what `audio.say.speak` raises.
    """
    if given.text is None:
        if given.voice is not None:
            raise OptionsError("--voice says who speaks --text; give a text too.")
        yield given.audio
        return
    if given.audio is not None:
        raise OptionsError("Give either AUDIO or --text, not both.")
    from ..audio import say

    with tempfile.TemporaryDirectory(prefix="sadtalker-", ignore_cleanup_errors=True) as folder:
        target = Path(folder) / f"{_stem(given.text)}.wav"
        yield say.speak(given.text, target, voice=given.voice, models_dir=StandaloneHost().models_dir())


def listing(language: str | None, *, as_json: bool) -> str:
    """The voices of a language (None: all of them), one a line, or as JSON.

    Raises `DependencyError` when no speech program is there, `AudioError` when nobody speaks the language.
    """
    from ..audio import say

    models_dir = StandaloneHost().models_dir()
    if not say.has_program(models_dir):
        raise say.no_program(models_dir)
    wanted = (language or "").casefold().replace("_", "-")
    rows = [voice for voice in say.voices(models_dir) if voice.language.casefold().startswith(wanted)]
    if wanted and not rows:
        raise AudioError(f"No voice speaks {language!r}; “sadtalker voices” lists all languages.")
    if as_json:
        return json.dumps([asdict(voice) for voice in rows], indent=2, ensure_ascii=False)
    width = max((len(voice.id) for voice in rows), default=0)
    return "\n".join(f"{voice.id:<{width}}  {voice.name}" for voice in rows)


def _stem(text: str) -> str:
    """The first words of a text, as they can stand in a file's name."""
    return "-".join(re.findall(r"\w+", text.casefold()))[:NAME_CHARACTERS].strip("-") or "speech"
