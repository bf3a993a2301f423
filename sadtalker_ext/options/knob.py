"""One option: how it is described, checked, shown and put into a JSON schema."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Named, OptionsError

TEXT_CHARACTERS = 200


@dataclass(frozen=True)
class Knob:
    """How one option is described, checked and shown, and what depends on it.

    kind: bool, int, float, choice, text, path, ramp (numbers over time), point (x, y) or points (five).
    low, high: inclusive range of a number (for a ramp: of each number).
    nullable: whether None (“not given”) is allowed.
    title: its label on a page; "": made from the name.
    shapes: what it has a part in: speech (what is heard), face (what is animated), motion, frames, file.
    files: what a path leads to, "video" (or a motion file) or "mesh".
    within: the path in whose file its values lie, so that another file has others; "": in none.
    in_picture: it means something in one picture only. local: it is about the files of one computer.
    renamed: choices by the names that they had before.
    engine: the one that alone reads it; "": it is shared.
    """

    name: str
    kind: str
    help: str
    group: str = ""
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    nullable: bool = False
    title: str = ""
    shapes: tuple[str, ...] = ("motion",)
    files: str = ""
    within: str = ""
    in_picture: bool = False
    local: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    engine: str = ""

    @property
    def label(self) -> str:
        """What a page calls it."""
        return self.title or self.name.replace("_", " ").capitalize()

    def is_renamed(self, value: Any) -> bool:
        """Whether a value is the former name of a choice."""
        return isinstance(value, str) and value in self.renamed

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def check(self, value: Any) -> Any:
        """The value in its canonical type; raises `OptionsError` with the knob's range in words."""
        if value is None and self.nullable:
            return None
        try:
            return _CHECKS[self.kind](self, value)
        except (TypeError, ValueError, AttributeError, OverflowError):
            raise self.error(value) from None

    def error(self, value: Any) -> OptionsError:
        facts = {"expected": self.expected(), "value": shown(value)}
        return OptionsError("{knob} must be {expected}, not {value}.", knob=Named(self.name), **facts)

    def expected(self) -> str:
        """What is accepted, in words."""
        between = ""
        if self.low is not None and self.high is not None:
            between = f" from {self.low:.15g} to {self.high:.15g}"
        return {
            "bool": "true or false",
            "int": f"a whole number{between}",
            "float": f"a number{between}",
            "choice": "one of " + ", ".join(self.choices),
            "text": f"a word or a line of at most {TEXT_CHARACTERS} characters",
            "path": "the path of a file",
            "ramp": f"one or more numbers{between}",
            "point": "a point X,Y in pixels",
            "points": "five points X,Y in pixels",
        }[self.kind]

    def schema(self) -> dict[str, Any]:
        """JSON schema of this knob."""
        number: dict[str, Any] = {"type": "number"}
        if self.low is not None:
            number["minimum"] = self.low
        if self.high is not None:
            number["maximum"] = self.high
        point = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        shape: dict[str, Any] = {
            "bool": {"type": "boolean"},
            "int": {**number, "type": "integer"},
            "float": number,
            "choice": {"type": "string", "enum": list(self.choices)},
            "text": {"type": "string", "minLength": 1, "maxLength": TEXT_CHARACTERS},
            "path": {"type": "string"},
            "ramp": {"type": "array", "items": number, "minItems": 1},
            "point": point,
            "points": {"type": "array", "items": point, "minItems": 5, "maxItems": 5},
        }[self.kind]
        if self.nullable:
            shape = {"anyOf": [shape, {"type": "null"}]}
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        return {**shape, "default": default, "description": self.help, "x-group": self.group}


def shown(value: Any) -> str:
    """A value as an error shows it, cut when it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def flat(value: Any) -> list[float]:
    """The numbers of a ramp, a point or points in a row; one number alone."""
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in flat(item)]
    return [value]


def _check_bool(knob: Knob, value: Any) -> bool:
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    raise knob.error(value)


def _check_int(knob: Knob, value: Any) -> int:
    if isinstance(value, bool):
        raise knob.error(value)
    number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    return int(_in_range(knob, number, value))


def _check_float(knob: Knob, value: Any) -> float:
    if isinstance(value, (bool, str, bytes)):
        raise knob.error(value)
    return float(_in_range(knob, float(value), value))


def _in_range(knob: Knob, number: float, value: Any) -> float:
    low = -math.inf if knob.low is None else knob.low
    high = math.inf if knob.high is None else knob.high
    if not (math.isfinite(number) and low <= number <= high):
        raise knob.error(value)
    return number


def _check_choice(knob: Knob, value: Any) -> str:
    if knob.is_renamed(value):
        return knob.renamed[value]
    if not isinstance(value, str) or value not in knob.choices:
        raise knob.error(value)
    return value


def _check_text(knob: Knob, value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= TEXT_CHARACTERS:
        raise knob.error(value)
    return value


def _check_path(knob: Knob, value: Any) -> str:
    if not isinstance(value, (str, Path)) or not str(value):
        raise knob.error(value)
    return str(value)


def _check_ramp(knob: Knob, value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else (value,)
    numbers = tuple(_check_float(knob, number) for number in values)
    if not numbers:
        raise knob.error(value)
    return numbers


def _check_point(knob: Knob, value: Any) -> tuple[float, float]:
    x, y = value
    return _check_float(knob, x), _check_float(knob, y)


def _check_points(knob: Knob, value: Any) -> tuple[tuple[float, float], ...]:
    points = tuple(_check_point(knob, point) for point in value)
    if len(points) != 5:
        raise knob.error(value)
    return points


_CHECKS: dict[str, Callable[[Knob, Any], Any]] = {
    "bool": _check_bool,
    "int": _check_int,
    "float": _check_float,
    "choice": _check_choice,
    "text": _check_text,
    "path": _check_path,
    "ramp": _check_ramp,
    "point": _check_point,
    "points": _check_points,
}
