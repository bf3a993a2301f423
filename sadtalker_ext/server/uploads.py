"""Files that a page uploads into paths in a folder of ours: no larger and no longer kept than they may be."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
from anyio import to_thread

from ..api.arrival import Arrivals, client_of
from ..api.form import FormReader
from ..api.limits import MEGABYTE, Limits
from ..api.replies import Refusal

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

FIELD = "files"  # of a form, as often as there are files
MOST_FILES = 100  # of one form
NAME_BYTES = 200
ARRIVING = ".arriving-"
PRIVATE = 0o700  # the mode of folders
KEPT_SECONDS = 24 * 3600.0  # since a file was last used
KEPT_BYTES = 8192 * MEGABYTE  # of all uploads; above, the oldest go
IN_USE_SECONDS = 600.0  # that even then are left to whoever has just uploaded something
SWEEP_SECONDS = 300.0  # between two looks at what is old
REPORT_SECONDS, PATIENCE_SECONDS = 0.1, 5.0  # between reports of an upload; for its beginning


class Uploads:
    """The folder of uploads, in which gradio keeps what it makes of them too."""

    def __init__(self, folder: Path, limits: Limits, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = Path(os.path.realpath(folder))
        self._names = both_names(folder)
        self._limits, self._clock = limits, clock
        self._arrivals = Arrivals(limits)
        self._under_way: dict[str, UploadReader] = {}
        self._swept = -SWEEP_SECONDS

    def holds(self, name: str) -> bool:
        """Whether a path leads into the folder."""
        return is_below(name, self._names)

    def use(self, name: str) -> bool:
        """Whether it is the path of a file here, in use from now on; `Refusal` (410) if it is gone."""
        if not self.holds(name):
            return False
        try:
            os.utime(name, times=(self._clock(), os.stat(name).st_mtime))
        except FileNotFoundError:
            told = "This upload is not here any more; choose the file again."
            raise Refusal(410, told) from None
        except OSError:
            return False
        return os.path.isfile(name)

    async def take(self, scope: Mapping[str, Any], headers: Mapping[str, str], receive: Any) -> list[str]:
        """Paths of the files of a form; raises `Refusal`. What is cut short or refused leaves nothing."""
        if not headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise Refusal(415, "Send files as a form (multipart/form-data).")
        asked = _upload_id(scope)
        await to_thread.run_sync(self.sweep)
        async with self._arrivals.place(client_of(scope, headers)) as arrival:
            reader = UploadReader(headers["content-type"], self.folder)
            if asked:
                self._under_way[asked] = reader
            try:
                async for piece in arrival.pieces(receive, headers, self._limits.form_bytes):
                    await to_thread.run_sync(reader.feed, piece)
                return reader.keep()
            finally:
                reader.close()
                self._under_way.pop(asked, None)
        raise AssertionError("what has no place ends with a refusal")

    async def progress(self, scope: Mapping[str, Any], send: Send) -> None:
        """Tell the page how far an upload is, until that ends."""
        upload_id = _upload_id(scope)
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        end, told, reader = time.monotonic() + PATIENCE_SECONDS, 0, None
        while reader is not None or time.monotonic() < end:
            now = self._under_way.get(upload_id)
            if now is None and reader is not None:
                break
            if now is not None and now.size > told:
                document = {"msg": "update", "orig_name": now.shown_name, "chunk_size": now.size - told}
                told = now.size
                await send({"type": "http.response.body", "body": _event(document), "more_body": True})
            reader = now
            await anyio.sleep(REPORT_SECONDS)
        await send({"type": "http.response.body", "body": _event({"msg": "done"}), "more_body": False})

    def sweep(self) -> None:
        """Remove what was not used for a day, and the oldest of too much; raises `Refusal` (503) if full."""
        now = self._clock()
        if abs(now - self._swept) < SWEEP_SECONDS and self._size() <= KEPT_BYTES:
            return
        self._swept = now
        left = 0
        for used, size, path in sorted(self._files(), reverse=True):  # the newest first
            left += size
            if now - used > KEPT_SECONDS or (left > KEPT_BYTES and now - used > IN_USE_SECONDS):
                with suppress(OSError):
                    path.unlink()
                    left -= size
                if path.parent != self.folder:
                    with suppress(OSError):
                        path.parent.rmdir()
        if left > KEPT_BYTES:
            raise Refusal(503, "Too many files were uploaded in a short time; try again later.")

    def _size(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _files(self) -> list[tuple[float, int, Path]]:
        """When each file was last used, its size, and where it is."""
        found = []
        for root, _, names in os.walk(self.folder):
            for name in names:
                with suppress(OSError):
                    path = Path(root, name)
                    seen = path.lstat()
                    found.append((max(seen.st_atime, seen.st_mtime), seen.st_size, path))
        return found


class UploadReader(FormReader):
    """A form with several files in one field. size: bytes of them that came; shown_name: of the latest."""

    def __init__(self, content_type: str, folder: Path) -> None:
        super().__init__(content_type, folder, (FIELD,), ())
        folder.mkdir(PRIVATE, parents=True, exist_ok=True)
        self._place = folder
        self._folder = Path(tempfile.mkdtemp(prefix=ARRIVING, dir=folder))
        self.size = 0
        self.shown_name = ""
        self._kept: dict[str, tuple[str, Any]] = {}  # name and hash by key of `files`

    def keep(self) -> list[str]:
        """Their paths, each in a folder named after its content, as in gradio; to be called at the end."""
        self.finish()
        if len(self.files) < max(1, len(self._kept)):
            raise Refusal(422, "A file is empty or missing; choose another one.")
        paths = []
        for key, path in self.files.items():
            name, digest = self._kept[key]
            folder = self._place / digest.hexdigest()
            try:
                paths.append(_moved(path, folder, name))
            except FileNotFoundError:  # a sweep found the folder empty meanwhile
                paths.append(_moved(path, folder, name))
        return paths

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _key(self, field: str) -> str:
        if len(self._kept) >= MOST_FILES:
            raise Refusal(422, f"At most {MOST_FILES} files are taken at one time.")
        return str(len(self._kept))

    def _file_name(self, given: str) -> str:
        self.shown_name = given
        self._kept[self._name] = (plain_name(given), hashlib.sha1(usedforsecurity=False))
        return self._name

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._kept[self._name][1].update(data[start:end])
        self.size += end - start
        super()._take_data(data, start, end)


def _moved(path: Path, folder: Path, name: str) -> str:
    folder.mkdir(PRIVATE, exist_ok=True)
    os.replace(path, folder / name)
    return str(folder / name)


def plain_name(given: str) -> str:
    """A file's name without what could mean something to a file system, a browser or a header."""
    last = re.split(r"[/\\]", given)[-1]
    kept = "".join(letter for letter in last if letter.isalnum() or letter in "._- ").strip(". ")
    stem, dot, suffix = kept.rpartition(".")
    while len((stem + dot + suffix).encode("utf-8", "replace")) > NAME_BYTES:
        stem, suffix = (stem[:-1], suffix) if stem else (stem, suffix[:-1])
    return stem + dot + suffix or "file"


def both_names(folder: Path) -> tuple[Path, ...]:
    """A folder as it is called, and as it is called without links."""
    return Path(os.path.abspath(folder)), Path(os.path.realpath(folder))


def is_below(name: str, folders: Sequence[Path]) -> bool:
    """Whether a path leads below one of the folders (see `both_names`), links in it included.

    What is not called so is not looked at: to look at a path of Windows may mean to ask another computer.
    """
    try:
        path = Path(os.path.normpath(name))
        if not path.is_absolute() or not any(folder in path.parents for folder in folders):
            return False
        return any(folder in Path(os.path.realpath(path)).parents for folder in folders)
    except (OSError, ValueError):
        return False


def _upload_id(scope: Mapping[str, Any]) -> str:
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return asked.get("upload_id", [""])[0][:100]


def _event(document: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode("ascii")
