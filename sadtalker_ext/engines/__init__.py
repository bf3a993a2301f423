"""The table of engines: which there are, which are ready, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ..errors import EngineError
from ..host import StandaloneHost
from ..tracks import MotionSpace
from ..wording import Named, Place, Sentence, joined
from .base import Engine, Need, Subject
from .codetalker import CODETALKER
from .instant import INSTANT
from .sadtalker import SADTALKER

__all__ = ["ENGINES", "Engine", "Need", "Subject", "choose_engine", "ready_engines"]

# Best first: `auto` takes the first that is ready.
ENGINES: Mapping[str, Engine] = MappingProxyType(
    {engine.name: engine for engine in (SADTALKER, INSTANT, CODETALKER)}
)


def ready_engines(models_dir: Path | None = None) -> Iterator[Engine]:
    """Engines that can run now, best first; models_dir: the folder for weights, None the standalone one."""
    folder = models_dir or StandaloneHost().models_dir()
    return (engine for engine in ENGINES.values() if not engine.missing(folder))


def choose_engine(
    name: str, models_dir: Path | None = None, space: MotionSpace | None = None, *, mesh: bool = False
) -> Engine:
    """The engine of that name, or for `auto` the best that is ready; `EngineError` says what is missing.

    space: of a motion that is to be rendered; `auto` then takes an engine that can. mesh: whether a mesh is
    animated, not a picture.
    """
    if name == "auto":
        able = [engine for engine in ENGINES.values() if space is None or engine.plays(space)]
        if space is None:
            able = [engine for engine in able if engine.animates_meshes == mesh]
        folder = models_dir or StandaloneHost().models_dir()
        best = next((engine for engine in able if not engine.missing(folder)), None)
        if best is not None:
            return best
        name = able[-1].name if able else "instant"
    if name not in ENGINES:
        raise EngineError(f"Unknown engine {name!r}; known engines: {', '.join(ENGINES)}.")
    engine = ENGINES[name]
    if mesh and not engine.animates_meshes:
        raise EngineError(f"The engine {name} animates pictures; for a mesh choose codetalker.")
    folder = models_dir or StandaloneHost().models_dir()
    missing = engine.missing(folder)
    if missing:
        raise EngineError(
            "The engine {name} cannot run yet; missing {remedies}.",
            name=name,
            remedies=_remedies(missing, folder),
        )
    return engine


def _remedies(missing: Sequence[Need], folder: Path) -> Sentence:
    """What is missing and how to get it; all weights by one command."""
    weights = [need for need in missing if need.weights]
    parts = [
        Sentence("{need.name}: {remedy}", need=need, remedy=need.remedy)
        for need in missing
        if not need.weights
    ]
    if weights:
        files = ", ".join(
            need.name + (f" (the one there {need.fault})" if need.fault else "") for need in weights
        )
        names = " ".join(need.weights for need in weights)
        place, download = Place(folder, "the folder for models"), Named("download", names)
        parts.append(Sentence("{files} in {path}: {download}", place, files=files, download=download))
    return joined(parts, "; ")
