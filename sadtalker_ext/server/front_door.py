"""Requests to our own server into answers, or refusals of what no page or program of ours sends."""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from ..api.access import site_of, user_of
from ..api.arrival import Arrivals, client_of
from ..api.limits import MEGABYTE, Limits
from ..api.replies import Refusal
from ..api.routes import PREFIX
from .answers import FILE, harmless
from .events import checked_event
from .page import SCRIPT, STYLE, asset
from .uploads import Uploads, both_names, is_below

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SCRIPT_URL, STYLE_URL = "/sadtalker/internal/sadtalker.js", "/sadtalker/internal/style.css"
HEAD = f'<link rel="stylesheet" href=".{STYLE_URL}"><script src=".{SCRIPT_URL}" defer></script></head>'
# What gradio's page would fetch from elsewhere: fonts, and a script for pages inside other pages.
ELSEWHERE = re.compile(r'<script\s+src="https://[^"]*"[^>]*></script>|<link\s[^>]*href="https://[^"]*"[^>]*>')
# Gradio's own, which this page has no use for.
CLOSED = re.compile(r"^/(proxy=|monitoring|dev/|call/|component_server|stream/|custom_component/|login/?$)")
ONCE = ("host", "origin", "authorization", "content-type", "content-length", "x-forwarded-host")
EVENT_LIMITS = Limits(bodies=8, bodies_each=4)
GRADIO3_EVENT_BYTES = 32 * MEGABYTE  # there, pictures are in events
CHALLENGE = {"www-authenticate": 'Basic realm="SadTalker", charset="UTF-8"'}
MOST_OPEN = 400  # requests of one client; each page keeps a few open
POLICY_VIOLATION = 1008  # code that closes a websocket


class FrontDoor:
    """An ASGI app around gradio's and ours.

    Without credentials it answers only to the names of this computer, so that no other site's page reaches it
    by a name of its own; requests must come from our page or from a program, not from another site's page. Of
    files, only those below `folders` are served, and only those in `uploads`, which it stores itself, may be
    named in what is sent to gradio.

    side_door: a secret path below which the server itself asks without a password; gradio 3 does.
    credentials: user → password; None is anybody. event_bytes: of what a page sends at once to gradio.
    """

    def __init__(
        self,
        app: App,
        *,
        uploads: Uploads,
        credentials: Mapping[str, str] | None = None,
        folders: Sequence[Path] = (),
        event_bytes: int = EVENT_LIMITS.json_bytes,
    ) -> None:
        self._app = app
        self._credentials = credentials
        self._uploads = uploads
        self._events, self._event_bytes = Arrivals(EVENT_LIMITS), event_bytes
        self._open: Counter[str] = Counter()  # requests that have not ended, by client
        self._folders = [name for folder in (uploads.folder, *folders) for name in both_names(folder)]
        # Browsers send a password with a page's requests, but not all of them with its websockets.
        self._pass = secrets.token_urlsafe(32)
        self.side_door = f"/{secrets.token_urlsafe(32)}"
        self._cookie = f"sadtalker-{secrets.token_hex(4)}"  # servers on other ports share a browser's cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given, path = scope["path"][: len(self.side_door)], scope["path"][len(self.side_door) :]
        if path.startswith("/") and compare_digest(given.encode("utf-8", "replace"), self.side_door.encode()):
            await self._app({**scope, "path": path, "raw_path": path.encode("utf-8")}, receive, send)
            return
        sent = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        headers = dict(sent)
        names = [name for name, _ in sent]
        client = client_of(scope, headers)
        self._open[client] += 1
        try:
            if self._open[client] > MOST_OPEN:
                raise Refusal(503, "Too many requests came at one time; try again soon.")
            if any(names.count(name) > 1 for name in ONCE):
                raise Refusal(400, "A header that may be sent once was sent twice.")
            self._check(scope, headers)
            if scope["type"] == "websocket":
                with suppress(WebSocketDisconnect):  # of which gradio 3 makes an error
                    await self._app(scope, self._checked_messages(receive, send, headers), send)
            else:
                await self._answer(scope, headers, receive, harmless(scope["path"], send))
        except Refusal as refusal:
            await _refuse(scope, harmless(scope["path"], send), refusal)
        except ClientDisconnect:
            await _refuse(scope, send, Refusal(400, "The request ended before it was whole."))
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    async def _answer(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path == "/favicon.ico":
            await _reply(send, 204, b"", "image/x-icon")
        elif path in (SCRIPT_URL, STYLE_URL):
            is_script = path == SCRIPT_URL
            text = asset(SCRIPT if is_script else STYLE).read_bytes()
            kind = "text/javascript" if is_script else "text/css"
            await _reply(send, 200, text, f"{kind}; charset=utf-8")
        elif path == "/" and method == "GET":
            await self._page(scope, receive, send)
        elif path.rstrip("/") == "/upload" and method == "POST":
            paths = await self._uploads.take(scope, headers, receive)
            await _reply(send, 200, json.dumps(paths).encode("ascii"), "application/json")
        elif path.rstrip("/") == "/upload_progress" and method == "GET":
            await self._uploads.progress(scope, send)
        elif method in ("GET", "HEAD", "OPTIONS") or path.startswith(PREFIX + "/"):
            await self._app(scope, receive, send)
        else:
            await self._event(scope, headers, receive, send)

    async def _event(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """To gradio, what is sent in JSON, once it has been looked through."""
        sent = bytearray()
        async with self._events.place(client_of(scope, headers)) as arrival:
            async for piece in arrival.pieces(receive, headers, self._event_bytes):
                sent += piece
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent and kind not in ("", "application/json"):
            raise Refusal(415, "Send JSON (Content-Type: application/json).")
        body = await to_thread.run_sync(checked_event, sent, self._uploads, _sites(headers)) if sent else b""
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        told = ("content-type", "content-length", "content-encoding", "transfer-encoding")
        kept = [pair for pair in scope["headers"] if pair[0].decode("latin-1").lower() not in told]
        kept.append((b"content-type", b"application/json"))
        kept.append((b"content-length", str(len(body)).encode("ascii")))
        await self._app({**scope, "headers": kept}, again, send)

    def _checked_messages(self, receive: Receive, send: Send, headers: Mapping[str, str]) -> Receive:
        """What comes by a websocket, as gradio 3 has it; looked through too."""

        async def checked() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            sent = bytearray((message.get("text") or "").encode("utf-8") or message.get("bytes") or b"")
            try:
                body = await to_thread.run_sync(checked_event, sent, self._uploads, _sites(headers))
            except Refusal:
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            return {"type": "websocket.receive", "text": body.decode("ascii")}

        return checked

    def _check(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """`Refusal` of a request that is not let in."""
        host = headers.get("host", "")
        if self._credentials is None and not _is_this_computer(host):
            raise Refusal(
                403, "This server answers to localhost only; start it with --auth to reach it elsewhere."
            )
        if not self._knows(headers):
            raise Refusal(401, "A user name and a password are needed.", CHALLENGE)
        origin = headers.get("origin")
        # Whatever the method: gradio would let any page ask with any header, and read what it gets.
        if (origin is not None and site_of(origin) not in _sites(headers)) or _of_another_site(
            scope, headers
        ):
            raise Refusal(403, "Pages of other sites may not use this server.")
        path = scope["path"]
        if CLOSED.match(path):
            raise Refusal(404, "There is no such page.")
        if FILE.match(path) and not is_below(path[len("/file=") :], self._folders):
            raise Refusal(403, "This file is not served.")

    def _knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the request comes with a password, or from a page that was opened with one."""
        if self._credentials is None:
            return True
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and compare_digest(value.encode(), self._pass.encode()):
                return True
        return user_of(headers.get("authorization", ""), self._credentials) is not None

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


def _sites(headers: Mapping[str, str]) -> set[str]:
    """The names by which whoever sends these headers knows this server."""
    return {headers.get(name, "").strip().lower() for name in ("host", "x-forwarded-host")} - {""}


def _of_another_site(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether a page of another site asks, and not a user who follows a link to ours."""
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return not (followed and scope.get("method") in ("GET", "HEAD"))


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    extra = [(name.encode("ascii"), value.encode("ascii")) for name, value in refusal.headers.items()]
    body = json.dumps({"detail": refusal.sentence}).encode("utf-8")
    await _reply(send, refusal.status, body, "application/json", extra)


async def _reply(
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
