"""The table of engines: which there are, which are ready, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from .. import checkpoints, options, tracks
from ..errors import EngineError, Named, Place, Sentence, joined
from ..host import StandaloneHost
from ..options import Options
from ..tracks import MotionSpace
from .base import Actor, Engine, Listener, Look, Need, Subject
from .codetalker import CODETALKER
from .instant import INSTANT
from .sadtalker import SADTALKER

__all__ = [
    "ENGINES", "Actor", "Engine", "Listener", "Look", "Need", "Subject", "choose_engine", "needs_no_picture",
    "ready_engines", "trainer",
]  # fmt: skip

# Best first: `auto` takes the first that is ready.
TABLE = (SADTALKER, INSTANT, CODETALKER)

ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in TABLE})

for _engine in TABLE:
    options.hand_in(_engine.name, _engine.knobs)
    checkpoints.hand_in(_engine.weights)
    if _engine.space is not None:
        tracks.hand_in(_engine.space)


def ready_engines(models_dir: Path | None = None) -> Iterator[Engine]:
    """Engines that can run now, best first; models_dir: the folder for weights, None the standalone one."""
    folder = models_dir or StandaloneHost().models_dir()
    return (engine for engine in ENGINES.values() if not engine.missing(folder))


def needs_no_picture(options: Options) -> bool:
    """Whether what is to be animated may be left out, with the engine that these options name."""
    named = ENGINES.get(options.engine)
    able = ENGINES.values() if named is None else [named]
    return any(engine.animates != "pictures" and engine.refusal(None, options) is None for engine in able)


def choose_engine(
    options: Options, models_dir: Path | None = None, *, source: Any = None, space: MotionSpace | None = None
) -> Engine:
    """The engine that `options` name, or for `auto` the best that is ready and takes what is given.

    source: what is to be animated. space: of a motion that is to be rendered. Raises `EngineError` that says
    what is missing, or why the engine cannot animate this.
    """
    folder = models_dir or StandaloneHost().models_dir()
    name = options.engine
    if name == "auto":
        able = [
            engine
            for engine in ENGINES.values()
            if (engine.refusal(source, options) is None if space is None else engine.plays(space))
        ]
        ready = [engine for engine in able if not engine.missing(folder)]
        engine = (ready or able[-1:] or [INSTANT])[0]
        name = engine.name
    elif name in ENGINES:
        engine = ENGINES[name]
    else:
        raise EngineError(f"Unknown engine {name!r}; known engines: {', '.join(ENGINES)}.")
    refusal = engine.refusal(source, options)
    if refusal is not None and (source is not None or options.engine != "auto"):
        raise refusal
    missing = engine.missing(folder)
    if missing:
        raise EngineError(
            "The engine {name} cannot run yet; {remedies}.",
            name=name,
            remedies=_remedies(missing, folder),
        )
    return engine


def _remedies(missing: Sequence[Need], folder: Path) -> Sentence:
    """What is missing or damaged and how to get it; all weights by one command."""
    weights = [need for need in missing if need.weights]
    parts = [
        Sentence("missing {need.name}: {remedy}", need=need, remedy=need.remedy)
        for need in missing
        if not need.weights
    ]
    if weights:
        absent = ", ".join(need.name for need in weights if not need.fault)
        told = [f"missing {absent}"] if absent else []
        told += [f"{need.name} {need.fault}" for need in weights if need.fault]
        names = " ".join(need.weights for need in weights)
        place, download = Place(folder, "the folder for models"), Named("download", names)
        files = ", ".join(told)
        parts.append(Sentence("{files} (in {path}): {download}", place, files=files, download=download))
    return joined(parts, "; ")


def trainer(engine: str) -> ModuleType:
    """What trains an engine's networks, its own module `training`; importing that takes seconds."""
    return import_module(f".{engine}.training", __name__)
