"""Rendered frames into finer ones: faces restored by a network, the picture enlarged once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..system.lazy import lazily

if TYPE_CHECKING:
    from .choice import enhanced, look_up, wanted
    from .drawing import Drawing, Enhanced
    from .weights import available


__all__ = ["Drawing", "Enhanced", "available", "enhanced", "look_up", "wanted"]

__getattr__ = lazily(
    __name__,
    {
        "choice": ["enhanced", "look_up", "wanted"],
        "drawing": ["Drawing", "Enhanced"],
        "weights": ["available"],
    },
)
