"""Requests to our own server into answers, or refusals of what no page or program of ours sends."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from hmac import compare_digest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..api.access import site_of, user_of
from .page import SCRIPT, STYLE, asset

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SCRIPT_URL, STYLE_URL = "/sadtalker/internal/sadtalker.js", "/sadtalker/internal/style.css"
HEAD = f'<link rel="stylesheet" href=".{STYLE_URL}"><script src=".{SCRIPT_URL}" defer></script></head>'
# What gradio's page would fetch from elsewhere: fonts, and a script for pages inside other pages.
ELSEWHERE = re.compile(r'<script\s+src="https://[^"]*"[^>]*></script>|<link\s[^>]*href="https://[^"]*"[^>]*>')
FILE = re.compile(r"^/file(=|/)")
CLOSED = re.compile(r"^/(proxy=|monitoring|dev/)")  # gradio's own, which this page has no use for
POLICY_VIOLATION = 1008  # code that closes a websocket


class FrontDoor:
    """An ASGI app around gradio's and ours.

    Without credentials it answers only to the names of this computer, so that no other site's page reaches it
    by a name of its own; requests must come from our page or from a program, not from another site's page. Of
    files, only those below `folders` are served.

    side_door: a secret path below which the server itself asks without a password; gradio 3 does.
    credentials: user → password; None is anybody.
    """

    def __init__(
        self, app: App, *, credentials: Mapping[str, str] | None = None, folders: Sequence[Path] = ()
    ) -> None:
        self._app = app
        self._credentials = credentials
        self._folders = [Path(os.path.realpath(folder)) for folder in folders]
        # Browsers send a password with a page's requests, but not all of them with its websockets.
        self._pass = secrets.token_urlsafe(32)
        self.side_door = f"/{secrets.token_urlsafe(32)}"
        self._cookie = f"sadtalker-{secrets.token_hex(4)}"  # servers on other ports share a browser's cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(self.side_door + "/"):
            path = scope["path"][len(self.side_door) :]
            await self._app({**scope, "path": path, "raw_path": path.encode("utf-8")}, receive, send)
            return
        sent = scope["headers"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in sent}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(scope, send, *refusal)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif scope["path"] == "/favicon.ico":
            await _answer(send, 204, b"", "image/x-icon")
        elif scope["path"] in (SCRIPT_URL, STYLE_URL):
            is_script = scope["path"] == SCRIPT_URL
            text = asset(SCRIPT if is_script else STYLE).read_bytes()
            kind = "text/javascript" if is_script else "text/css"
            await _answer(send, 200, text, f"{kind}; charset=utf-8")
        elif scope["path"] == "/" and scope["method"] == "GET":
            await self._page(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and sentence for a request that is not let in; None for one that is."""
        host = headers.get("host", "")
        if self._credentials is None and not _is_this_computer(host):
            return 403, "This server answers to localhost only; start it with --auth to reach it elsewhere."
        if not self._knows(headers):
            return 401, "A user name and a password are needed."
        origin = headers.get("origin")
        if origin is not None:
            # Whatever the method: gradio would let any page ask with any header, and read what it gets.
            ours = {name.strip().lower() for name in (host, headers.get("x-forwarded-host", ""))} - {""}
            if site_of(origin) not in ours:
                return 403, "Pages of other sites may not use this server."
        path = scope["path"]
        if CLOSED.match(path):
            return 404, "There is no such page."
        if FILE.match(path) and not self._may_read(path[len("/file=") :]):
            return 403, "This file is not served."
        return None

    def _knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the request comes with a password, or from a page that was opened with one."""
        if self._credentials is None:
            return True
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and compare_digest(value.encode(), self._pass.encode()):
                return True
        return user_of(headers.get("authorization", ""), self._credentials) is not None

    def _may_read(self, name: str) -> bool:
        try:
            real = Path(os.path.realpath(name))
        except (OSError, ValueError):
            return False
        return any(folder in real.parents for folder in self._folders)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Gradio's page with our script and style in it, and nothing from elsewhere."""
        start: Message = {}
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            if message["type"] != "http.response.body":  # what test clients are told beside
                await send(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(parts)
            kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            if any(name.lower() == b"content-type" and b"text/html" in value for name, value in kept):
                text = ELSEWHERE.sub("", body.decode("utf-8"))
                body = text.replace("</head>", HEAD, 1).encode("utf-8")
            kept.append((b"content-length", str(len(body)).encode("ascii")))
            if self._credentials is not None:
                cookie = f"{self._cookie}={self._pass}; Path=/; HttpOnly; SameSite=Strict"
                kept.append((b"set-cookie", cookie.encode("ascii")))
            await send({**start, "headers": kept})
            await send({"type": "http.response.body", "body": body})

        plain = [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, collect)


def _is_this_computer(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    extra = [(b"www-authenticate", b'Basic realm="SadTalker", charset="UTF-8"')] if status == 401 else []
    body = json.dumps({"detail": sentence}).encode("utf-8")
    await _answer(send, status, body, "application/json", extra)


async def _answer(
    send: Send, status: int, body: bytes, kind: str, extra: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    headers = [
        (b"content-type", kind.encode("ascii")),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-cache"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
