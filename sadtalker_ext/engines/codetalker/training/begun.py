"""What run.json says of a CodeTalker run into checked values that it can be resumed with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ....errors import TrainingError
from ....training.plan import Plan
from ..networks import Compat, QuerySizes, Rhythm, Sizes
from .codebook import CodebookRules

UNUSABLE = (TypeError, ValueError, KeyError, AttributeError, RuntimeError, AssertionError, ArithmeticError)


@dataclass(frozen=True)
class Begun:
    """With what a run began. file: that says so. scale: what offsets are divided by.

    Of stage 2 are rhythm, doubt, whole_ear and stage1: where that lay. stage1_sha256: in hex; "" where the
    run was begun by a version that did not keep it.
    """

    file: Path
    plan: Plan
    published: bool
    sound: bool
    scale: float
    sizes: Sizes | QuerySizes
    compat: Compat
    codebook: CodebookRules | None
    rhythm: Rhythm | None
    doubt: float | None
    whole_ear: bool
    stage1: Path | None
    stage1_sha256: str


def begun(told: Mapping[str, Any], stage: int, file: Path) -> Begun:
    """told: what `file` holds. Raises `TrainingError` where it is of another stage or version, or damaged."""
    with understood(file):
        if stage == 1:
            sizes: Sizes | QuerySizes = _made(Sizes, told["sizes"], Sizes(0))
        else:
            sizes = _made(QuerySizes, told["sizes"], QuerySizes(0, 0))
        least = {"halvings": 0}
        for name, value in vars(sizes).items():
            if isinstance(value, int) and not isinstance(value, bool) and value < least.get(name, 1):
                raise ValueError(f"{name}: {value}")
        codebook, stage1, choices = told["codebook"], told.get("stage1"), told["choices"]
        return Begun(
            file=file,
            plan=_made(Plan, told["plan"], Plan()),
            published=_typed("published", choices["published"], False),
            sound=_typed("sound", choices["sound"], False),
            scale=_scale(told["scale"]),
            sizes=sizes,
            compat=Compat(**told["compat"]),
            codebook=None if codebook is None else _made(CodebookRules, codebook, CodebookRules()),
            rhythm=Rhythm(**told["rhythm"]) if stage == 2 else None,
            doubt=None if told.get("doubt") is None else _typed("doubt", told["doubt"], 0.0),
            whole_ear=_typed("whole_ear", told["whole_ear"], False) if stage == 2 else False,
            stage1=None if stage1 is None else Path(_typed("stage1", stage1, "")),
            stage1_sha256=_typed("stage1_sha256", told.get("stage1_sha256") or "", ""),
        )


@contextmanager
def understood(file: Path) -> Iterator[None]:
    """Turns what goes wrong with values of a file into a `TrainingError` that names it."""
    try:
        yield
    except UNUSABLE as error:
        kind = "lacks " if isinstance(error, KeyError) else ""
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainingError(
            f"{file} says what this version cannot go on with ({kind}{reason}); resume the run with the "
            "version that began it, or start a new one."
        ) from error


def _made(kind: type[Any], told: Any, like: Any) -> Any:
    """A dataclass from a table of the same fields, with values of the same types."""
    made = kind(**told)
    for each in fields(like):
        _typed(each.name, getattr(made, each.name), getattr(like, each.name))
    return made


def _typed(name: str, value: Any, like: Any) -> Any:
    if isinstance(like, Mapping):
        good = isinstance(value, Mapping)
    elif isinstance(like, float):
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        good = type(value) is type(like)
    if not good:
        raise TypeError(f"{name}: {value!r}")
    return value


def _scale(told: Any) -> float:
    scale = float(_typed("scale", told, 1.0))
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale: {scale}")
    return scale
