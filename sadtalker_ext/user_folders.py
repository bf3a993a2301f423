"""The environment into the folders in which this user's programs keep things."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder in which the user's programs keep what they can do without; it may not exist.

    The current folder has one where nobody knows the user's.
    """
    named = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    if named:
        return Path(named)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return Path(os.path.abspath(".cache"))
