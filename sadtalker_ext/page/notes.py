"""A sentence, or an error as one, into HTML of the page, so that whatever is in it is shown as text."""

from __future__ import annotations

import html
import logging
import traceback

from ..errors import CANCELLED, FAULT, Words, tell, worded
from .words import PAGE

_log = logging.getLogger(__name__)


def note(sentence: str, kind: str = "note") -> str:
    """The sentence in a box; "" for none. kind: note, done or error."""
    return f'<div class="sadtalker-{kind}">{html.escape(worded(sentence, PAGE))}</div>' if sentence else ""


def explain(error: BaseException, words: Words = PAGE) -> str:
    """Any error in a box, and for what we did not foresee the details that a bug report needs."""
    failure = tell(error, words)
    box = note(failure.sentence, "note" if failure.kind == CANCELLED else "error")
    if failure.kind != FAULT:
        return box
    _log.error("Unexpected failure", exc_info=error)
    details = html.escape("".join(traceback.format_exception(error)))
    told = f"<summary>{html.escape(f'{type(error).__name__}: {error}'[:200])}</summary><pre>{details}</pre>"
    return f'{box}<details class="sadtalker-details">{told}</details>'
