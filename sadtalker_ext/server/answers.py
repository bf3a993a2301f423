"""Answers of gradio into ones that make no browser run what somebody uploaded."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

FILE = re.compile(r"^/file(=|/)")
SHOWN = re.compile(rb"\s*(?:image|audio|video)/(?!svg)[\w.+-]+", re.IGNORECASE)  # drawings may hold scripts
ALWAYS = {b"x-content-type-options": b"nosniff", b"cross-origin-resource-policy": b"same-origin"}
ON_DISK = {
    b"content-type": b"application/octet-stream",
    b"content-disposition": b"attachment",
    b"content-security-policy": b"sandbox; default-src 'none'",
}


def harmless(path: str, send: Send) -> Send:
    """`send` for the answer to a request for `path`, with what browsers are told about it."""

    async def guard(message: Message) -> None:
        if message["type"] == "http.response.start":
            served = FILE.match(path) is not None and message["status"] < 400
            message = {**message, "headers": _guarded([*message.get("headers", [])], served)}
        await send(message)

    return guard


def _guarded(headers: Headers, served: bool) -> Headers:
    """served: the answer is a file."""
    kinds = [value for name, value in headers if name.lower() == b"content-type"]
    shown = len(kinds) == 1 and SHOWN.match(kinds[0]) is not None
    told = {**ALWAYS, **(ON_DISK if served and not shown else {})}
    return [pair for pair in headers if pair[0].lower() not in told] + [*told.items()]
