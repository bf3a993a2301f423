"""Rendered frames into finer ones: faces restored by a network, the picture enlarged once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .choice import ENHANCERS, enhanced, look_up, wanted
    from .drawing import Drawing, Enhanced
    from .weights import available

_HOMES = {
    **dict.fromkeys(("ENHANCERS", "enhanced", "look_up", "wanted"), "choice"),
    **dict.fromkeys(("Drawing", "Enhanced"), "drawing"),
    "available": "weights",
}

__all__ = ["ENHANCERS", "Drawing", "Enhanced", "available", "enhanced", "look_up", "wanted"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
