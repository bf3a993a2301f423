"""Turns a finished talking-head video into numbers and contact sheets: do the lips follow the speech?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .judge import evaluate
    from .report import Report
    from .sheet import contact_sheet

_HOMES = {"Report": "report", "contact_sheet": "sheet", "evaluate": "judge"}

__all__ = ["Report", "contact_sheet", "evaluate"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
