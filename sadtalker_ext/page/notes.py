"""A sentence into HTML of the page, so that whatever is in it is shown as text."""

from __future__ import annotations

import html


def note(sentence: str, kind: str = "note") -> str:
    """The sentence in a box; "" for none. kind: note, done or error."""
    return f'<div class="sadtalker-{kind}">{html.escape(sentence)}</div>' if sentence else ""
