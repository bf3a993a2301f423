"""Turns a finished talking-head video into numbers and contact sheets: do the lips follow the speech?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..system.lazy import lazily

if TYPE_CHECKING:
    from .judge import evaluate
    from .report import Report
    from .sheet import contact_sheet


__all__ = ["Report", "contact_sheet", "evaluate"]

__getattr__ = lazily(__name__, {"judge": ["evaluate"], "report": ["Report"], "sheet": ["contact_sheet"]})
