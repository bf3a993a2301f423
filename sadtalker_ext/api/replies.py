"""Answers of the REST API: JSON documents, refusals in a sentence, and files, whole or in part."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anyio import to_thread
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

CHUNK_BYTES = 1 << 18
RANGE = re.compile(r"\s{0,9}bytes\s{0,9}=\s{0,9}([0-9]{0,18})\s{0,9}-\s{0,9}([0-9]{0,18})\s{0,9}")
NO_CACHE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Refusal(Exception):
    """A request that is not served: an HTTP status (4xx or 503), a sentence and more headers."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document; pure ASCII, so that no text in it can spoil it."""
    content = json.dumps(document, ensure_ascii=True, allow_nan=False)
    return Response(content, status, {**NO_CACHE, **(headers or {})}, "application/json")


def refuse(refusal: Refusal) -> Response:
    """{"error": sentence}."""
    return answer({"error": refusal.sentence}, refusal.status, refusal.headers)


class FileReply(Response):
    """A file, or the range of its bytes that was asked for; never whole in memory.

    Raises, when it is made and not while it is sent, `OSError` where the file is gone and `Refusal` (416) for
    a range outside it.
    """

    def __init__(self, path: Path, kind: str, name: str, asked: str | None, inline: bool = True) -> None:
        self._file: IO[bytes] | None = path.open("rb")
        size = os.fstat(self._file.fileno()).st_size
        shown = "inline" if inline else "attachment"
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'{shown}; filename="{name}"',
            "Cache-Control": "private, no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        wanted = byte_range(asked, size)
        status = 200 if wanted is None else 206
        start, end = wanted or (0, size)
        if wanted is not None:
            if start >= end:
                self._file.close()
                told = {"Content-Range": f"bytes */{size}"}
                raise Refusal(416, f"That range lies outside the file, which has {size} bytes.", told)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self._start, self._length = start, end - start
        headers["Content-Length"] = str(self._length)
        super().__init__(None, status, headers, kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file, self._file = self._file, None
        assert file is not None
        try:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            left = 0 if scope["method"] == "HEAD" else self._length
            await to_thread.run_sync(file.seek, self._start)
            more = True
            while more:
                chunk = await to_thread.run_sync(file.read, min(CHUNK_BYTES, left))
                left = left - len(chunk) if chunk else 0
                more = left > 0
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        finally:
            file.close()


def byte_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last of a Range header; None for the whole file.

    What is not one plain range means the whole file, as the standard allows; one that lies outside the file
    is empty.
    """
    found = RANGE.fullmatch(asked or "")
    if found is None or found.group(1, 2) == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return min(int(first), size), min(int(last) + 1 if last else size, size)
