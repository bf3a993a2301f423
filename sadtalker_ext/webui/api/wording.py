"""Sentences of errors as a caller of the REST API can use them: its own words, and no names of folders."""

from __future__ import annotations

import os
import re
from pathlib import Path


def sentence(error: BaseException, folder: Path | None = None) -> str:
    """The error's text, options by the names they have in a request, files of `folder` by name alone."""
    text = str(error)
    if folder is not None:
        for shown in (str(folder), repr(str(folder))[1:-1]):
            text = text.replace(shown + os.sep, "").replace(shown + repr(os.sep)[1:-1], "")
    text = text.replace("--preview-face", "POST detect")
    return re.sub(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)", lambda flag: flag[1].replace("-", "_"), text)
