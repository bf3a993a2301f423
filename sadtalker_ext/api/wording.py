"""Sentences of errors as a caller of the REST API can use them: its own words, and no names of folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

# What leads to a file or folder, from the root on; addresses of the web are left alone. Names of folders may
# hold blanks, but what follows the ending of a file is the rest of the sentence.
_NAME = r"(?:(?!\.\w{2,11}\s)[^\\/:*?\"<>|\r\n;,'])+"
FOLDERS = re.compile(rf"(?<![\w:/.~])(?:/(?=[^/\s])(?:{_NAME}/)*|(?:[A-Za-z]:[\\/]|\\\\)(?:{_NAME}[\\/])*)")


def sentence(error: BaseException, folder: Path | None = None) -> str:
    """The error's text, options by the names they have in a request, files of `folder` by name alone."""
    return in_request_words(str(error), folder)


def in_request_words(text: str, folder: Path | None = None) -> str:
    """A sentence for the command line as `sentence` tells an error."""
    if folder is not None:
        for shown in (str(folder), repr(str(folder))[1:-1]):
            text = text.replace(shown + os.sep, "").replace(shown + repr(os.sep)[1:-1], "")
    text = FOLDERS.sub("", text).replace("--preview-face", "POST detect")
    return re.sub(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)", lambda flag: flag[1].replace("-", "_"), text)
