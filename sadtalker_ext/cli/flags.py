"""Knobs, and what several commands take, into command-line flags; parsed flags into options."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..engines import ENGINES
from ..host import MODELS_VARIABLE
from ..options import Options, groups, knobs, names
from ..options.knob import Knob, shown
from ..options.presets import PRESETS, preset_named
from ..system.paths import user_path

_SOURCES = [f"with the engine {engine.name} {engine.source}" for engine in ENGINES.values() if engine.source]
PICTURE_HELP = "; ".join(["the portrait: any picture, photo or drawing", *_SOURCES])
VIDEO_HELP = "video to write: .mp4, .webm, .gif, or a folder name ending in / for PNG frames"
NOTABLE_LIMIT = 80_000.0  # upper limits beyond this only catch mistakes and are not shown in --help


def _reader(knob: Knob) -> Callable[[str], Any]:
    """What turns one word of a command line into (a part of) the knob's value."""

    def read(text: str) -> Any:
        try:
            if knob.kind == "int":
                return int(text)
            if knob.kind in ("point", "points"):
                x, y = text.split(",")
                return float(x), float(y)
            return float(text)
        except ValueError:
            # Of all errors, the only one whose own words argparse shows.
            raise argparse.ArgumentTypeError(f"must be {knob.expected()}, not {shown(text)}") from None

    return read


def add_knobs(parser: argparse.ArgumentParser, *, only: Sequence[str] | None = None) -> None:
    """One command-line flag per knob, in titled groups; `only` limits them by knob name."""
    for group, title in groups().items():
        chosen = [k for k in knobs() if k.group == group and (only is None or k.name in only)]
        section = parser.add_argument_group(title) if chosen else parser
        for knob in chosen:
            settings: dict[str, Any] = {"dest": knob.name, "help": _help_line(knob)}
            settings["default"] = argparse.SUPPRESS
            if knob.kind == "bool":
                # What is on by itself has to have a way to be switched off: --no-….
                action = argparse.BooleanOptionalAction if knob.default else "store_true"
                section.add_argument(knob.flag, action=action, **settings)
                continue
            settings["metavar"] = knob.metavar
            if knob.kind in ("int", "float", "ramp", "point", "points"):
                settings["type"] = _reader(knob)
            if knob.kind == "choice":
                settings["choices"] = [*knob.choices, *knob.renamed]  # former names go on working
                settings["metavar"] = "{" + ",".join(knob.choices) + "}"
            if knob.kind in ("ramp", "points"):
                settings["nargs"] = "+" if knob.kind == "ramp" else 5
            if settings.get("metavar", 0) is None:
                settings["metavar"] = {"int": "N", "float": "X"}.get(knob.kind, knob.name.upper())
            section.add_argument(knob.flag, **settings)


def add_options(parser: argparse.ArgumentParser, *, only: Sequence[str] | None = None) -> None:
    """Where weights are, a named manner of moving, and knobs over it; `from_namespace` reads the latter."""
    add_models_dir(parser)
    told = f"a manner of moving: {', '.join(PRESETS)}; the flags of single knobs go over it"
    parser.add_argument("--manner-preset", metavar="NAME", help=told)
    add_knobs(parser, only=only)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The picture and the speech; `inputs.request_of` takes them."""
    add = parser.add_argument
    add("picture", metavar="PICTURE", nargs="?", help=PICTURE_HELP)
    add("audio", metavar="AUDIO", nargs="?", help="the speech: any audio or video file")
    add("--text", metavar="WORDS", help="speak this text instead of a recording")
    add(
        "--voice",
        metavar="VOICE",
        help="who speaks the text: an id that “sadtalker voices” lists, or a language",
    )


def add_track_fps(parser: argparse.ArgumentParser) -> None:
    told = "frame rate of a .csv without usable times"
    parser.add_argument("--track-fps", type=float, metavar="FPS", help=told)


def add_output(parser: argparse.ArgumentParser, help: str = VIDEO_HELP, default: str | None = None) -> None:
    """The file to write, and quiet."""
    note = f" (default {default})" if default else " (default: named after the inputs, in this folder)"
    parser.add_argument("-o", "--output", metavar="OUT", default=default, help=help + note)
    add_quiet(parser)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")


def add_json(parser: argparse.ArgumentParser, instead_of: str = "text") -> None:
    parser.add_argument("--json", action="store_true", help=f"print JSON instead of {instead_of}")


def add_models_dir(parser: argparse.ArgumentParser) -> None:
    """The flag that says where weights are; `weights_from` takes its value."""
    parser.add_argument("--models-dir", metavar="DIR", help="the folder for weights (default: the user's)")


@contextmanager
def weights_from(folder: str | None) -> Iterator[None]:
    """Within it, weights are looked for in this folder; None changes nothing."""
    before = os.environ.get(MODELS_VARIABLE)
    if folder is not None:
        os.environ[MODELS_VARIABLE] = str(user_path(folder).absolute())
    try:
        yield
    finally:
        if before is not None:
            os.environ[MODELS_VARIABLE] = before
        elif folder is not None:
            os.environ.pop(MODELS_VARIABLE, None)


def _help_line(knob: Knob) -> str:
    notes = []
    if knob.low is not None and knob.high is not None and knob.high < NOTABLE_LIMIT:
        notes.append(f"{knob.low:g} to {knob.high:g}")
    if knob.kind == "bool" and knob.default:
        notes.append("default on")
    elif knob.default is not None and knob.kind != "bool":
        notes.append(f"default {knob.default:{'g' if knob.kind in ('int', 'float') else ''}}")
    told = knob.help
    if notes:
        added = ", ".join(notes)
        # One pair of brackets, not two in a row.
        told = f"{told[:-1]}; {added})" if told.endswith(")") else f"{told} ({added})"
    return told.replace("%", "%%")


def from_namespace(namespace: argparse.Namespace) -> Options:
    """Options from parsed flags; knobs that were not given keep their defaults, or those of the preset."""
    given = vars(namespace)
    named = given.get("manner_preset")
    preset = {} if named is None else preset_named(named)
    return Options(**{**preset, **{name: given[name] for name in names() if name in given}})
