"""Rendered frames into finer ones: faces restored by a network, the picture enlarged once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .choice import enhanced, look_up, wanted
    from .drawing import Drawing, Enhanced
    from .weights import available

_HOMES = {
    "Drawing": "drawing",
    "Enhanced": "drawing",
    "available": "weights",
    "enhanced": "choice",
    "look_up": "choice",
    "wanted": "choice",
}

__all__ = ["Drawing", "Enhanced", "available", "enhanced", "look_up", "wanted"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
