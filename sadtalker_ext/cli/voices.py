"""`sadtalker voices`: the speech programs of this computer into a list of voices."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from ..errors import AudioError
from ..host import StandaloneHost
from .console import show
from .flags import add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("language", metavar="LANGUAGE", nargs="?", help="only those of it, such as en or de")
    add_json(parser)


def run(given: argparse.Namespace) -> int:
    from ..audio import say
    from ..audio.languages import closeness

    models_dir = StandaloneHost().models_dir()
    if not say.has_program(models_dir):
        raise say.no_program(models_dir)
    wanted = (given.language or "").casefold().replace("_", "-")
    every = say.voices(models_dir)
    rows = [voice for voice in every if voice.language.casefold().startswith(wanted)]
    rows = rows or [voice for voice in every if closeness(wanted, voice.language)]
    if wanted and not rows:
        raise AudioError(f"No voice speaks {given.language!r}; “sadtalker voices” lists all languages.")
    if given.json:
        show(json.dumps([asdict(voice) for voice in rows], indent=2, ensure_ascii=False))
    else:
        width = max((len(voice.id) for voice in rows), default=0)
        show("\n".join(f"{voice.id:<{width}}  {voice.name}" for voice in rows))
    return 0
