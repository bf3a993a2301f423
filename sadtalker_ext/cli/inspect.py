"""`sadtalker inspect`: the metadata of a video into lines that say what made it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import OptionsError, Place, cleaned
from .console import show

if TYPE_CHECKING:
    from ..options.knob import Knob

MOST_LINES = 50
MOST_PIECES = 300  # of a value that has others in it
NAME_CHARACTERS, VALUE_CHARACTERS, LINE_CHARACTERS = 40, 300, 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument("--json", action="store_true", help="print the whole metadata document")


def run(given: argparse.Namespace) -> int:
    from ..errors import VideoError
    from ..video import read_metadata

    metadata = read_metadata(given.video)
    if not metadata:
        told = "{path} holds no description of how it was made; it was not made by sadtalker."
        raise VideoError(told, Place(given.video))
    show(json.dumps(metadata, indent=2, ensure_ascii=False) if given.json else _lines(metadata))
    return 0


def _lines(metadata: Mapping[str, Any]) -> str:
    """Lines a person reads; options that were left at their defaults are not listed.

    Anybody can have written the document: what is of another kind than ours is shown as it is, on one line.
    """
    motion = metadata.get("motion")
    lines = [
        ("made by", f"{_flat(metadata.get('software', '?'))} {_flat(metadata.get('version', ''))}"),
        ("engine", _flat(metadata.get("engine", "?"))),
        ("picture", _flat(metadata.get("picture") or "(not a file)")),
        ("speech", _flat(metadata.get("speech") or "(none or not a file)")),
        ("seed", _flat(metadata.get("seed", "?"))),
        ("options", _changed(metadata.get("options")) or "all at their defaults"),
    ]
    if isinstance(motion, Mapping):
        parts = list(motion.items())[:MOST_LINES]
        lines += [(cleaned(f"motion: {part}", NAME_CHARACTERS), _flat(value)) for part, value in parts]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {cleaned(value, LINE_CHARACTERS)}" for name, value in lines)


def _changed(options: Any) -> str:
    """The flags that set what is not at its default."""
    from ..options import Options, knobs

    if not isinstance(options, Mapping):
        return "" if options is None else _flat(options)
    defaults = Options().to_dict()
    told = []
    for knob in knobs():
        value = options.get(knob.name, defaults[knob.name])
        if value != defaults[knob.name]:
            told.append(f"{knob.flag} {_as_flag(knob, value)}".strip())
    return " ".join(told)


def _as_flag(knob: Knob, value: Any) -> str:
    """A value as the command line takes it; one that it would not take, as it is."""
    try:
        knob.check(value)
    except OptionsError:
        return _flat(value)
    if value is True:
        return ""
    if isinstance(value, list):
        points = [item if isinstance(item, list) else [item] for item in value]
        return " ".join(",".join(f"{number:g}" for number in point) for point in points)
    return _flat(value)


def _flat(value: Any) -> str:
    """Any value on one line, cut where it is long."""
    return cleaned("".join(islice(_pieces(value), MOST_PIECES)), VALUE_CHARACTERS)


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for number, (name, inner) in enumerate(value.items()):
            yield f"{', ' if number else ''}{name} "
            yield from _pieces(inner)
    elif isinstance(value, list):
        yield "["
        for number, inner in enumerate(value):
            yield ", " if number else ""
            yield from _pieces(inner)
        yield "]"
    else:
        yield str(value)[:VALUE_CHARACTERS]
