"""What made a video into one readable line and back, and a description into knob values to set again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..errors import OptionsError
from ..version import __version__
from . import Options, knob_named, knobs
from .knob import Knob, flat, shown

# A name, a colon, and a value up to the next comma; a value with a comma in it is in quotes.
PAIR = re.compile(r'\s*([^\s:,"][^:,"]*):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)', re.DOTALL)
NEXT = re.compile(r'[,"]')  # where a pair may begin after what is none
NEEDS_QUOTES = re.compile(r'[,:"\\]|^\s|\s$|^$')
NAMES = 10  # in a notice
NAME_CHARACTERS = 60  # of something unknown, in a notice
LINE_ENGINE, LINE_VERSION, LINE_PICTURE, LINE_SPEECH = "Engine", "Version", "Picture", "Speech"


@dataclass(frozen=True)
class Restored:
    """Knob values to set, by name (with "engine"), and sentences on what could not be restored."""

    values: Mapping[str, Any]
    notices: tuple[str, ...]


def is_described(knob: Knob) -> bool:
    """Whether a knob stands among the others: the engine has a place of its own, and what concerns the files
    of one computer is no property of a video.
    """
    return knob.name != "engine" and not knob.local


def title(name: str) -> str:
    """A knob's name in the line: "head_motion" → "Head motion"."""
    return name.replace("_", " ").capitalize()


def to_infotext(document: Mapping[str, Any]) -> str:
    """One line that tells what made a video.

    document: the metadata of a result: engine, version, picture, speech, and options as `Options.to_dict`
    gives them. Options that were not given (None) are left out, and those that another engine reads.
    """
    options: Mapping[str, Any] = document.get("options") or {}
    engine = str(document.get("engine") or options.get("engine") or "auto")
    read = [knob for knob in knobs() if engine == "auto" or knob.engine in ("", engine)]
    given = [knob for knob in read if is_described(knob) and options.get(knob.name) is not None]
    given.sort(key=lambda knob: knob.name != "seed")
    sources = {LINE_PICTURE: document.get("picture"), LINE_SPEECH: document.get("speech")}
    pairs = {
        LINE_ENGINE: engine,
        **{title(knob.name): _written(knob, options[knob.name]) for knob in given},
        **{key: str(value) for key, value in sources.items() if value},
        LINE_VERSION: str(document.get("version") or __version__),
    }
    return ", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items())


def from_infotext(text: str) -> dict[str, Any]:
    """The document that `to_infotext` wrote: engine, version, picture, speech, options.

    An option that is not known here is kept as text under its name. Raises `OptionsError` when the text is
    not such a line.
    """
    pairs: dict[str, str] = {}
    for key, value in _pairs(text.strip()):
        pairs.setdefault(key.rstrip().lower(), _unquoted(value.strip()))
    engine = pairs.pop(LINE_ENGINE.lower(), None)
    if engine is None:
        told = "This is not a line that tells how a video was made; it would begin with “Engine: …”."
        raise OptionsError(told)
    lines = {key.lower(): pairs.pop(key.lower(), None) for key in (LINE_VERSION, LINE_PICTURE, LINE_SPEECH)}
    known = {knob.name: knob for knob in knobs()}
    options = {}
    for key, value in pairs.items():
        name = key.replace(" ", "_")
        options[name] = _read(known[name], value) if name in known else value
    return {"engine": engine, **lines, "options": options}


def restore(document: Mapping[str, Any], *, label: Callable[[str], str] = title) -> Restored:
    """A video's metadata, or what `from_infotext` read, into knob values that are valid here.

    Whatever cannot be set again is told in `notices`, where a knob is called what `label` makes of its name;
    options that the document leaves out take their defaults. Raises `OptionsError` when it does not tell how
    a video was made.
    """
    options = document.get("options")
    if not isinstance(options, Mapping):
        raise OptionsError("There is no description of how this video was made; it is not one of ours.")
    notices: list[str] = []
    values: dict[str, Any] = {}
    for knob in knobs():
        if not is_described(knob):
            continue
        given = options.get(knob.name, knob.default)
        if given is not None and knob.kind == "path":
            notices.append(f"{label(knob.name)}: give the file {shown(given)} again.")
            continue
        if given is not None and knob.in_picture:
            notices.append("A face was chosen in the picture; choose it again.")
            continue
        if knob.is_renamed(given):
            notices.append(f"{label(knob.name)} {given} is now called {knob.renamed[given]}.")
        try:
            values[knob.name] = knob.check(given)
        except OptionsError:
            notices.append(f"{label(knob.name)} was {shown(given)}, which cannot be set here.")
    engine = str(document.get("engine") or "auto")[:NAME_CHARACTERS]
    if engine in knob_named("engine").choices:
        values["engine"] = engine
    else:
        notices.append(f"The engine {engine} is not known here; the engine was left alone.")
    known = {knob.name for knob in knobs()}
    unknown = sorted(str(name)[:NAME_CHARACTERS] for name in options if name not in known)
    if unknown:
        notices.append(f"Not known here: {', '.join(map(title, unknown[:NAMES]))}.")
    version = document.get("version")
    if version and version != __version__:
        other = str(version)[:NAME_CHARACTERS]
        notices.append(f"Made by version {other}; this is {__version__}, so the motion can differ.")
    return Restored(values, tuple(notices))


def options_of(restored: Restored) -> Options:
    """The restored values as options, defaults elsewhere; raises `OptionsError` where they contradict."""
    return Options(**dict(restored.values))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Names and values as they are written. Any text takes time in proportion to its length."""
    at = 0
    while at < len(text):
        found = PAIR.match(text, at)
        if found is not None:
            yield found[1], found[2]
        else:
            found = NEXT.search(text, at)
        at = len(text) if found is None else found.end()


def _written(knob: Knob, value: Any) -> str:
    if knob.kind == "bool":
        return "true" if value else "false"
    if knob.kind in ("int", "float"):
        return _number(value)
    if knob.kind in ("ramp", "point", "points"):
        return " ".join(map(_number, flat(value)))
    return str(value)


def _number(value: float) -> str:
    """As short as reads back to the same number."""
    if isinstance(value, int):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def _read(knob: Knob, text: str) -> Any:
    """The value of a knob's text; text that does not fit is returned as it is, for `restore` to name."""
    with suppress(KeyError, ValueError):
        if knob.kind == "bool":
            return {"true": True, "false": False}[text]
        if knob.kind == "int":
            return int(text)
        if knob.kind == "float":
            return float(text)
        if knob.kind in ("ramp", "point", "points"):
            numbers = [float(word) for word in text.split()]
            if knob.kind == "points":
                return [list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
            return numbers
    return text


def _quoted(value: str) -> str:
    if value.isprintable() and not NEEDS_QUOTES.search(value):
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())  # one line, whatever is in it


def _unquoted(text: str) -> str:
    with suppress(ValueError):
        return str(json.loads(text)) if text.startswith('"') else text
    return text
