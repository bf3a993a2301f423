"""The table of engines: which there are, which are ready, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from ..errors import EngineError
from ..host import StandaloneHost
from .base import Engine, Need
from .instant import INSTANT
from .sadtalker import SADTALKER

__all__ = ["ENGINES", "Engine", "Need", "choose_engine", "ready_engines"]

# Best first: `auto` takes the first that is ready.
ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in (SADTALKER, INSTANT)})


def ready_engines(models_dir: Path | None = None) -> Iterator[Engine]:
    """Engines that can run now, best first; models_dir: the folder for weights, None the standalone one."""
    folder = models_dir or StandaloneHost().models_dir()
    return (engine for engine in ENGINES.values() if not engine.missing(folder))


def choose_engine(name: str, models_dir: Path | None = None) -> Engine:
    """The engine of that name, or for `auto` the best that is ready; `EngineError` says what is missing."""
    if name == "auto":
        best = next(ready_engines(models_dir), None)
        if best is not None:
            return best
        name = "instant"
    if name not in ENGINES:
        raise EngineError(f"Unknown engine {name!r}; known engines: {', '.join(ENGINES)}.")
    engine = ENGINES[name]
    missing = engine.missing(models_dir or StandaloneHost().models_dir())
    if missing:
        what = "; ".join(f"{need.name}: {need.remedy}" for need in missing)
        raise EngineError(f"The engine {name} cannot run yet; missing {what}.")
    return engine
