"""The body of a request, JSON or a form, into plain values and files in a folder, within limits."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from starlette.requests import Request

from ..errors import cleaned
from ..system import foreign
from .access import check_same_site
from .arrival import Arrival
from .form import FormReader
from .limits import MEGABYTE, Limits
from .replies import Refusal

DRAIN_BYTES = 32 * MEGABYTE  # of a refused request's body
DRAIN_SECONDS = 10.0
BLANK = re.compile(r"\s")
TEXT_FIELDS = ("text", "voice", "manner_preset", "preset", "format", "detector")  # in a form; others: JSON


class Incoming:
    """A request of which is known whether its body has been read to the end."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        stated = request.headers.get("content-length", "0")
        has_body = "transfer-encoding" in request.headers or stated.lstrip("0") != ""
        self._ended = not has_body or len(stated) > 18 or not stated.isdecimal() or int(stated) > DRAIN_BYTES
        self.request = Request(request.scope, self._next)

    async def drain(self) -> None:
        """Read what is still to come, within limits: most programs hear no answer before all is sent."""
        left = DRAIN_BYTES
        with suppress(Exception), anyio.move_on_after(DRAIN_SECONDS):  # the answer is known already
            while not self._ended and left > 0:
                left -= len((await self._next()).get("body", b""))

    async def _next(self) -> Any:
        message = await self._receive()
        self._ended = self._ended or message["type"] != "http.request" or not message.get("more_body", False)
        return message


@dataclass(frozen=True)
class Body:
    """values: plain JSON values by field. files: what was sent as a picture, a sound …, by field."""

    values: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


async def read_body(
    request: Request,
    arrival: Arrival,
    limits: Limits,
    folder: Path,
    files: tuple[str, ...],
    values: tuple[str, ...],
) -> Body:
    """The fields of a request; `files` are stored in `folder` under their own names, base64 or not.

    files, values: the names that are known. Raises `Refusal`: 400 what cannot be read, 408 a body that does
    not come, 413 one that is too large, 415 another kind, 422 an unknown field.
    """
    kind = request.headers.get("content-type", "")
    plain = kind.partition(";")[0].strip().lower()
    if plain == "multipart/form-data":
        check_same_site(request)
        reader = FormReader(kind, folder, files, values)
        try:
            async for piece in arrival.pieces(request.receive, request.headers, limits.form_bytes):
                # In a thread: old releases of the parser take seconds over what looks like delimiters.
                await to_thread.run_sync(reader.feed, piece)
            reader.finish()
        finally:
            reader.close()
        given = {name: _form_value(name, text, limits) for name, text in reader.texts.items()}
        return Body({name: value for name, value in given.items() if value is not None}, reader.files)
    if plain == "application/json" or (plain.startswith("application/") and plain.endswith("+json")):
        gathered = bytearray()
        async for piece in arrival.pieces(request.receive, request.headers, limits.json_bytes):
            gathered += piece
        return await to_thread.run_sync(_read_json, gathered, limits, folder, files, values)
    stated = request.headers.get("content-length", "0")
    if not plain and stated == "0" and "transfer-encoding" not in request.headers:
        raise Refusal(400, "Nothing was sent; send JSON or a form.")
    raise Refusal(415, "Send JSON (Content-Type: application/json) or a form (multipart/form-data).")


def _form_value(name: str, text: str, limits: Limits) -> Any:
    """A form's text as the value that JSON would have held; None for an empty field."""
    if name in TEXT_FIELDS or not text.strip():
        return text or None
    return parse_json(text, f"The field {name}", limits.values)


def _read_json(
    data: bytearray, limits: Limits, folder: Path, files: tuple[str, ...], values: tuple[str, ...]
) -> Body:
    document = parse_json(data, "The request", limits.values)
    data.clear()  # what follows needs the memory
    if not isinstance(document, dict):
        raise Refusal(422, 'The request must be a JSON object, like {"picture": …, "idle": 3}.')
    unknown = sorted(set(document) - {*files, *values})
    if unknown:
        known = ", ".join((*files, *values))
        raise Refusal(422, f"Unknown field {unknown[0][:40]!r}; known fields: {known}.")
    given = {name: value for name, value in document.items() if value is not None}
    stored = {}
    for name in files:
        if name in given:
            stored[name] = folder / name
            stored[name].write_bytes(from_base64(name, given.pop(name)))
    return Body(given, stored)


def parse_json(text: str | bytearray, what: str, most_values: int) -> Any:
    """Plain JSON; `Refusal` (400) of what is none, is nested too deep, holds NaN or more values than that."""
    try:
        return foreign.parse_json(text, finite=True, most=len(text), most_values=most_values)
    except foreign.TooManyValues:
        told = f"{what} holds too many values; send files as a form, not as lists of numbers."
        raise Refusal(400, told) from None
    except foreign.TooDeep:
        raise Refusal(400, f"{what} is nested too deep.") from None
    except ValueError as error:
        raise Refusal(400, f"{what} is not valid JSON ({cleaned(str(error), 100)}).") from None


def from_base64(name: str, text: Any) -> bytes:
    content = "the content of a file in base64 (or a data: URI)"
    wrong = Refusal(422, f"{name} must be {content}, not a path or an address.")
    if not isinstance(text, str):
        raise wrong
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().rstrip().endswith(";base64"):
            raise wrong
    try:
        data = base64.b64decode("".join(text.split()) if BLANK.search(text) else text, validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if not data:
        raise Refusal(422, f"{name} is empty; send the content of a file in base64.")
    return data
