"""A server of one weight file with manners of its own, and a models folder."""

from __future__ import annotations

import dataclasses
import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from small_checkpoint import PLAIN, WHOLE

from sadtalker_ext import checkpoints as weights
from sadtalker_ext.checkpoints import transfer


class Files:
    """A server of one file whose manners can be changed."""

    def __init__(self) -> None:
        self.data = self.whole = WHOLE
        self.ranges = True  # understands Range
        self.drops: list[int] = []  # of coming answers, after how many bytes the connection ends
        self.refusals: list[int] = []  # of coming answers, the status
        self.slow = 0.0  # s between pieces
        self.silence = 0.0  # s before an answer
        self.content_type = "application/octet-stream"
        self.redirect = False
        self.stated: str | None = None  # the Content-Length; "" for none, None for the right one
        self.endless = False
        self.asked: list[str] = []  # the Range of each request, "" for none
        self.served = threading.Event()
        files = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(ConnectionError):
                    files.answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/thing.safetensors"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def offer(self, **changes: object) -> weights.Checkpoint:
        """A checkpoint that is this file, with changes."""
        return dataclasses.replace(PLAIN, **{"urls": (self.url,), **changes})

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range", "")
        if self.redirect and not request.path.startswith("/other"):
            request.send_response(302)
            request.send_header("Location", self.url.replace("/thing", "/other"))
            request.end_headers()
            return
        self.asked.append(asked)
        time.sleep(self.silence)
        if self.refusals:
            request.send_error(self.refusals.pop(0))
            return
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", asked)
        if match and self.ranges:
            start = int(match[1])
            if start >= len(self.data):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(self.data)}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        else:
            request.send_response(200)
        request.send_header("Content-Type", self.content_type)
        if self.stated is None or self.stated:
            request.send_header("Content-Length", self.stated or str(len(self.data) - start))
        request.end_headers()
        body = self.data[start:]
        while self.endless:
            request.wfile.write(bytes(100_000))
        if self.drops:
            body = body[: self.drops.pop(0)]
        for begin in range(0, len(body), 20_000):
            try:
                request.wfile.write(body[begin : begin + 20_000])
            except OSError:
                return
            self.served.set()
            time.sleep(self.slow)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served = Files()
    yield served
    served.server.shutdown()
    served.server.server_close()
