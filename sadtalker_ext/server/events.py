"""What a page or a program tells gradio into what gradio may see of it: of files, only those uploaded here.

Gradio 4 fetches whatever address a file's `path` holds, and gradio 3 takes any path of the server; both hand
the content back.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from ..api.access import site_of
from ..api.body import parse_json
from ..api.replies import Refusal

# Keys of the objects that stand for files in gradio 3 and 4, and in values made of several files.
FILE_KEYS = ("path", "name", "video", "image", "file", "subtitles", "background", "composite", "mask")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:[/\\]|[/\\]{2}")
INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")  # Unicode's categories of what does not show
CONTENT = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
MOST_VALUES = 100_000
REFUSED = "Files are taken as uploads only, not by an address or a path; upload the file, then try again."


class Shelf(Protocol):
    """Where uploads are."""

    def holds(self, name: str) -> bool:
        """Whether a path leads there."""

    def use(self, name: str) -> bool:
        """Whether it is the path of an upload, in use from now on; `Refusal` (410) if it is gone."""


def checked_event(body: bytearray, uploads: Shelf, sites: Collection[str]) -> bytes:
    """The JSON of an event, written anew so that nobody reads it otherwise; `Refusal` (403, 410, 422).

    sites: names by which the sender knows this server. Addresses of uploads are left out: gradio makes them
    of their paths.
    """
    try:
        document = parse_json(body, "The event", MOST_VALUES)
    except Refusal as refusal:
        raise Refusal(422, refusal.sentence) from None
    if isinstance(document, dict):
        document.pop("request", None)  # what gradio 3 would believe of who asks, and from where
        for value in document.values():
            for entry in _objects(value):
                _check_object(entry, uploads, sites)
    try:
        return json.dumps(document, allow_nan=False).encode("ascii")
    except (ValueError, RecursionError):
        raise Refusal(422, "The event holds a number that is too large, or is nested too deep.") from None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_object(entry: dict[str, Any], uploads: Shelf, sites: Collection[str]) -> None:
    data = entry.get("data")
    sent = isinstance(data, str) and CONTENT.match(data) is not None and not entry.get("is_file")
    for key, value in entry.items():
        if not isinstance(value, str):
            continue
        if key == "name" and sent:  # of the file whose content stands beside it
            entry[key] = re.split(r"[/\\]", value)[-1]
        elif key in FILE_KEYS:
            if not (uploads.use(value) or (key != "path" and CONTENT.match(value))):
                raise Refusal(403, REFUSED)
        elif key == "url" or is_address(value):
            if not _is_upload(value, uploads, sites):
                raise Refusal(403, REFUSED)
            entry[key] = None


def is_address(text: str) -> bool:
    """Whether it may be taken for an address, also by who decodes it first or overlooks odd characters."""
    plain = unicodedata.normalize("NFKC", unquote(text[:2000]))
    shown = "".join(letter for letter in plain if unicodedata.category(letter) not in INVISIBLE)
    return ADDRESS.match(shown.lower()) is not None


def _is_upload(address: str, uploads: Shelf, sites: Collection[str]) -> bool:
    """Whether it is this server's own address of an upload."""
    server, file, path = address.partition("/file=")
    try:
        scheme = urlsplit(server).scheme
        ours = not server or (scheme in ("http", "https") and site_of(server) in sites)
    except ValueError:
        return False
    return bool(file) and ours and uploads.holds(unquote(path))
