"""A checkpoint from its author's server into its folder: resumed, verified, and whole before it is named."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ..errors import Place, Sentence, WeightsError
from ..host import CancelToken
from ..system import interrupts
from ..system.outputs import note_written
from ..version import __version__
from .catalog import Checkpoint
from .contents import DAMAGED, MISSING, UNREADABLE
from .places import home
from .state import PART, fault, file_hash, status

TIMEOUT = 30.0  # s without a byte
CHUNK = 1 << 18  # bytes
SPARE = 32_000_000  # bytes that are left free on the disk
VAIN_ATTEMPTS = 2  # in a row that bring nothing new, before the next source is tried
PAUSE = 0.5  # s between attempts
REPORT_EVERY = 0.1  # s
LOCK_AT = 1 << 40  # where no byte is, because Windows lets nobody else read what is locked
LONGEST_NUMBER = 18  # digits of a stated size
OFF = "Downloads are switched off here"

DOWNLOADING, CHECKING = "download", "check"  # phases


@dataclass(frozen=True)
class Transfer:
    """How far a download is. phase: `DOWNLOADING` or `CHECKING`. done, total: bytes; total 0 when unknown."""

    phase: str
    done: int
    total: int
    source: str = ""


Listener = Callable[[Transfer], None]


class _SourceFailed(Exception):
    """This source cannot serve the file; another may."""


class _Interrupted(Exception):
    """The connection ended before the file did."""


def download(
    checkpoint: Checkpoint,
    models_dir: Path,
    progress: Listener | None = None,
    cancel: CancelToken | None = None,
    *,
    allowed: bool = True,
) -> Path:
    """Fetches the file into its folder, unless a usable one is there already; returns where it lies.

    What arrived before a failure or a cancel is kept as FILE.part and resumed by the next call. A damaged
    file under the final name is replaced by the verified new one; a file of another kind is not touched.
    Raises `WeightsError` with what to do, or `Cancelled`. allowed: False where the user wants no downloads.
    """
    there = status(checkpoint, models_dir)
    if there.usable:
        return there.path
    target = home(checkpoint, models_dir) / checkpoint.file
    folder = Place(target.parent, "the folder for models")
    by_hand = Sentence(f"fetch {checkpoint.file} from {checkpoint.page} and put it into {{path}}", folder)
    if not allowed:
        raise WeightsError(OFF + "; {by_hand}.", by_hand=by_hand)
    if not checkpoint.urls:
        why = f"{checkpoint.file} has no address that a program could fetch it from"
        raise WeightsError(why + "; {by_hand}.", by_hand=by_hand)
    if not checkpoint.sha256:
        why = f"{checkpoint.file} has no published sha256, so that no program can tell the right one"
        raise WeightsError(why + "; {by_hand}.", by_hand=by_hand)
    if there.state == UNREADABLE and there.path == target:
        raise WeightsError("{note}; it may be good, so it is not fetched anew.", note=there.note)
    if there.state not in (MISSING, DAMAGED) and there.path == target:
        raise WeightsError("{note}; move it away first, then download again.", note=there.note)
    part = target.with_name(target.name + PART)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            _fetch(checkpoint, file, part, progress or (lambda _: None), cancel or CancelToken(), by_hand)
        with interrupts.held():
            os.replace(part, target)
            note_written(target)
    except OSError as error:
        why = f"{checkpoint.file} cannot be written into {{path}} ({{error}})"
        advice = "make room there, or make the folder writable."
        raise WeightsError(f"{why}; {advice}", folder, error) from error
    return target


def _fetch(
    checkpoint: Checkpoint,
    file: IO[bytes],
    part: Path,
    progress: Listener,
    cancel: CancelToken,
    by_hand: Sentence,
) -> None:
    """Fills the open .part file from the first source that can, and verifies it."""
    troubles = []
    for url in checkpoint.urls:
        source = urlsplit(url).hostname or url
        try:
            for fresh in (False, True):
                if fresh:  # what was resumed did not fit together: once more from the beginning
                    file.truncate(0)
                resumed = _size(file) > 0
                _fill(checkpoint, _address(url), file, progress, cancel, source)
                trouble = _trouble(checkpoint, part, progress, cancel, source)
                if not trouble:
                    return
                if not resumed:
                    break
            file.truncate(0)
            raise _SourceFailed(trouble)
        except _SourceFailed as failure:
            troubles.append(f"{source}: {failure}")
    kept = " (what has arrived is kept)" if _size(file) else ""
    told = f"{checkpoint.file} could not be downloaded ({{troubles}}); try again later{kept}, or {{by_hand}}."
    raise WeightsError(told, troubles="; ".join(troubles), by_hand=by_hand)


def _trouble(checkpoint: Checkpoint, part: Path, progress: Listener, cancel: CancelToken, source: str) -> str:
    """What is wrong with a file that has arrived; "" when it is whole and the published one."""
    found = fault(checkpoint, part)
    if found is not None and found.state == UNREADABLE:
        raise WeightsError("{path} {reason}; what has arrived is kept, try again.", part, reason=found.reason)
    if found is not None:
        return f"the file {found.reason}"

    def report(done: int, size: int) -> None:
        progress(Transfer(CHECKING, done, size, source))

    if not file_hash(part, report, cancel.check).startswith(checkpoint.sha256):
        return "the file is not the published one (its sha256 differs)"
    return ""


def _fill(
    checkpoint: Checkpoint, url: str, file: IO[bytes], progress: Listener, cancel: CancelToken, source: str
) -> None:
    """Appends what the file lacks, reconnecting as long as that brings more."""
    vain, best = 0, _size(file)
    while True:
        cancel.check()
        try:
            _once(checkpoint, url, file, progress, cancel, source)
            return
        except _Interrupted as interruption:
            arrived = _size(file)
            vain, best = (0, arrived) if arrived > best else (vain + 1, best)
            if vain >= VAIN_ATTEMPTS:
                raise _SourceFailed(str(interruption)) from interruption
        pause_until = time.monotonic() + PAUSE
        while time.monotonic() < pause_until:
            cancel.check()
            time.sleep(0.05)


def _once(
    checkpoint: Checkpoint, url: str, file: IO[bytes], progress: Listener, cancel: CancelToken, source: str
) -> None:
    """One connection: from where the file ends to the end of what the server has."""
    have = file.seek(0, os.SEEK_END)
    if checkpoint.size is not None and have >= checkpoint.size:
        if have == checkpoint.size:
            return
        file.truncate(0)  # of something else
        have = 0
    try:
        with _open(url, have) as response:
            total = _accept(checkpoint, response, file, have)
            _receive(checkpoint, response, file, total, progress, cancel, source)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            # Either all of it is there, which the verification will tell, or it is part of another file.
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return
            file.truncate(0)
            raise _Interrupted("it does not continue this file") from error
        raise _SourceFailed(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _Interrupted(_said(error.reason)) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _Interrupted(_said(error)) from error
    finally:
        file.flush()


def _receive(
    checkpoint: Checkpoint,
    response: Any,
    file: IO[bytes],
    total: int,
    progress: Listener,
    cancel: CancelToken,
    source: str,
) -> None:
    """What the server sends, to its end, behind what the file has; total: bytes of both, 0 when unknown."""
    have = file.seek(0, os.SEEK_END)
    _check_space(file, total - have if total else 0)
    last = 0.0
    while True:
        cancel.check()
        chunk = read_chunk(response)
        if not chunk:
            break
        file.write(chunk)
        have += len(chunk)
        if total and have > total:
            raise _SourceFailed(f"it sends more than the {total:,} bytes it announced")
        if have > checkpoint.most_bytes:
            file.truncate(0)
            raise _SourceFailed(f"it sends more than {megabytes(checkpoint.most_bytes)}")
        if time.monotonic() - last >= REPORT_EVERY:
            last = time.monotonic()
            progress(Transfer(DOWNLOADING, have, total, source))
    file.flush()
    progress(Transfer(DOWNLOADING, have, total, source))
    if total and have < total:
        raise _Interrupted("the connection was closed early")


def _said(error: object) -> str:
    """What an error says, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def read_chunk(response: Any) -> bytes:
    """What has arrived, up to a chunk; b"" at the end."""
    try:
        arrived: bytes = response.read1(CHUNK)
        return arrived
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(_said(error)) from error


def _accept(checkpoint: Checkpoint, response: Any, file: IO[bytes], have: int) -> int:
    """The whole file's size as the server states it, else 0; empties the file where the server restarts."""
    if response.headers.get_content_type() == "text/html":
        raise _SourceFailed("it answers with a web page instead of the file")
    total = _count(response.headers.get("Content-Length", ""))
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        unit, _, numbers = response.headers.get("Content-Range", "").partition(" ")
        span, _, whole = numbers.partition("/")
        if unit != "bytes" or not span.startswith(f"{have}-"):
            file.truncate(0)
            raise _Interrupted("it continues another part of the file")
        total = _count(whole) or (have + total if total else 0)
    elif have:  # the server begins anew, so do we
        file.truncate(0)
    if checkpoint.size is not None:
        if total and total != checkpoint.size:
            raise _SourceFailed(f"it offers {total:,} bytes instead of {checkpoint.size:,}")
        total = checkpoint.size
    if total > checkpoint.most_bytes:
        raise _SourceFailed(f"it offers {megabytes(total)}, which is too much")
    return total


def _count(text: str) -> int:
    """A number of bytes as a header states it; 0 for none."""
    return int(text) if text.isdecimal() and len(text) <= LONGEST_NUMBER else 0


def _open(url: str, offset: int) -> Any:
    headers = {"User-Agent": f"sadtalker-ext/{__version__}", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    if urlsplit(url).scheme not in ("http", "https"):
        raise _SourceFailed("only http and https addresses are fetched")
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked above
    return urllib.request.urlopen(request, timeout=TIMEOUT, context=_certificates())  # noqa: S310


def _certificates() -> ssl.SSLContext:
    """The system's certificates and those of certifi, if installed: Python for macOS comes without any."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context


def _address(url: str) -> str:
    """The address, on the mirror of Hugging Face that the environment variable HF_ENDPOINT names, if any."""
    mirror = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    hub = "https://huggingface.co"
    return mirror + url[len(hub) :] if mirror and url.startswith(hub + "/") else url


def _check_space(file: IO[bytes], needed: int) -> None:
    folder = Path(file.name).parent
    free = shutil.disk_usage(folder).free
    lacking = needed + SPARE - free
    if lacking > 0:
        told = f"The disk of {{path}} is too full by {lacking / 1e6:,.0f} MB; make room, then try again."
        raise WeightsError(told, Place(folder, "the folder for models"))


def _size(file: IO[bytes]) -> int:
    file.flush()
    return file.seek(0, os.SEEK_END)


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """The .part file, open for appending; `WeightsError` when another download of it is under way."""
    locked = False
    try:
        with part.open("ab") as file:
            locked = _lock(file)
            if not locked:
                name = part.name.removesuffix(PART)
                raise WeightsError(f"{name} is being downloaded already; wait for that to end.")
            yield file
            file.flush()
            os.fsync(file.fileno())
    finally:
        if locked and part.is_file() and part.stat().st_size == 0:
            part.unlink()


def _lock(file: IO[bytes]) -> bool:
    """Take the file for this call alone, until it is closed; True too where nothing can be locked."""
    try:
        import fcntl
    except ImportError:
        return _lock_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network folders know no locks
        return True
    return True


def _lock_windows(file: IO[bytes]) -> bool:
    import msvcrt

    try:
        file.seek(LOCK_AT)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True


def megabytes(count: int) -> str:
    """Bytes as people say them: 725 MB."""
    if count >= 1e6:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e3:.0f} kB" if count >= 1e3 else f"{count} B"
