"""The first moment of the command: what comes after it, signals and failures, is told in a sentence."""

from __future__ import annotations

import os
import sys

from . import interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def begin() -> None:
    """Where this process is our command; loads nothing that takes long."""
    interrupts.begin()
    if interrupts.is_command():
        sys.excepthook = _unforeseen


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What no part of the command line has caught, such as a package that cannot be imported."""
    interrupts.ends_with(1)
    told = f"Something went wrong at the start ({kind.__name__}: {error}); install the program anew."
    package = __name__.partition(".")[0]
    try:
        if package not in sys.modules:  # it failed while it was loaded, and would do so again
            sys.modules[package] = made = type(sys)(package)
            made.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
        from .faults import report

        told = report(error)
    except Exception:  # noqa: S110 - what else is broken is no news then
        pass
    interrupts.printed(" ".join(told.split()))
