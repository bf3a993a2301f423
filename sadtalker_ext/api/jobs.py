"""Requests into videos, one after the other, in a thread of its own; what was made is kept for a while."""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import errors
from ..errors import Cancelled, OutputError, Sentence, tell, worded
from ..host import CancelToken, Progress, ProgressCallback
from ..request import Request, Result
from ..shell import Meter, Shell
from .intake import FORMATS, make_video
from .job_folders import Folders
from .limits import Limits
from .replies import Refusal
from .words import REQUEST

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
ENDED = (DONE, FAILED, CANCELLED)
SWEEP_SECONDS = 30.0  # between two looks at what has expired, while nothing else happens
LOOKERS = 2  # threads that unpack pictures and find faces
JOIN_SECONDS = 5.0  # that a closing queue waits for its thread
RETRY = {"Retry-After": "30"}

Make = Callable[[Shell, Request, Limits, ProgressCallback, CancelToken], Result]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Product:
    """What a finished job left: its files, their size together in bytes, and facts about the video."""

    video: Path
    track: Path | None
    size: int
    facts: dict[str, Any]
    metadata: dict[str, Any]
    notices: tuple[str, ...]


@dataclass(eq=False)
class Job:
    """One request on its way. Times: seconds of the queue's clock. owner: a user's name.

    notices: sentences about what was sent; those about the video are in `product`.
    """

    id: str
    owner: str
    request: Request
    created: str
    state: str = QUEUED
    cancel: CancelToken = field(default_factory=CancelToken)
    meter: Meter | None = None
    error: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    product: Product | None = None
    notices: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its files lie, those that were sent and the video."""
        assert self.request.output is not None
        return Path(self.request.output).parent

    @property
    def format(self) -> str:
        """A key of `FORMATS`."""
        return self.request.suffix.lstrip(".")


class Jobs:
    """A queue of jobs and the results that are kept; every method may be called from any thread."""

    def __init__(
        self,
        shell: Shell,
        limits: Limits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        make: Make = make_video,
    ) -> None:
        self.shell = shell
        self.limits = limits or Limits()
        self.folders = Folders()
        # Threads of our own: a heap of large pictures must not keep the host's threads from its page.
        self.lookers = ThreadPoolExecutor(LOOKERS, thread_name_prefix="sadtalker-api")
        self._clock, self._make = clock, make
        self._jobs: dict[str, Job] = {}  # oldest first
        self._pending: deque[Job] = deque()
        self._current: Job | None = None
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._closed = False
        atexit.register(self.close)

    @property
    def closed(self) -> bool:
        return self._closed

    def check_room(self) -> None:
        """`Refusal` (429) while the queue is full, (503) when it is closed."""
        with self._changed:
            if self._closed:
                raise Refusal(503, "The server is ending; ask again when it is back.", RETRY)
            waiting = len(self._pending)
            if waiting >= self.limits.queued:
                told = f"{waiting} jobs are waiting already; ask again when some are done."
                raise Refusal(429, told, RETRY)

    def submit(self, request: Request, owner: str = "", notices: tuple[str, ...] = ()) -> Job:
        """Queue a request, whose output's folder is the queue's from then on; raises as `check_room`.

        notices: what there is to say of it already.
        """
        with self._changed:
            self.check_room()
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            job = Job(secrets.token_hex(16), owner, request, now, notices=notices)
            self._jobs[job.id] = job
            self._pending.append(job)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="sadtalker-jobs", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return job

    def find(self, job_id: str, owner: str = "") -> Job:
        """A job of that user; `Refusal` (404) for one that is unknown, another's, removed or expired."""
        with self._changed:
            self.sweep()
            job = self._jobs.get(job_id)
            if job is None or job.owner != owner:
                raise Refusal(404, "There is no such job; it may have expired or been removed.")
            return job

    def page(self, number: int, size: int, owner: str = "") -> tuple[list[Job], int]:
        """The jobs on one page (from 1), newest first, and how many that user has in all."""
        with self._changed:
            self.sweep()
            own = [job for job in reversed(self._jobs.values()) if job.owner == owner]
            return own[(number - 1) * size : number * size], len(own)

    def withdraw(self, job: Job) -> str:
        """Cancel a job that has not ended, or forget one that has: "cancelled", "cancelling" or "removed"."""
        with self._changed:
            if job.state in ENDED:
                if self._jobs.pop(job.id, None) is not None:
                    self.folders.remove(job.folder)
                return "removed"
            job.cancel.cancel()
            if job.state == RUNNING:
                return "cancelling"
            if job in self._pending:
                self._pending.remove(job)
            self._end(job, CANCELLED, str(Cancelled()))
            return "cancelled"

    def describe(self, job: Job) -> dict[str, Any]:
        """A job as plain JSON values, without its addresses."""
        with self._changed:
            meter, product, now = job.meter, job.product, self._clock()
            running = job.state == RUNNING and meter is not None
            document: dict[str, Any] = {
                "id": job.id,
                "state": job.state,
                "position": self._position(job),
                "progress": 1.0 if job.state == DONE else round(meter.fraction, 4) if meter else 0.0,
                "stage": self._stage(job),
                "eta": round(meter.eta, 1) if running and meter and meter.eta is not None else None,
                "error": job.error,
                "created": job.created,
                "format": job.format,
            }
            if job.started_at is not None:
                document["seconds"] = round((job.ended_at or now) - job.started_at, 2)
            if job.ended_at is not None:
                document["expires_in"] = round(max(0.0, job.ended_at + self.limits.keep_seconds - now))
            if product is not None:
                document["video"] = product.facts
            if product is not None or job.notices:
                document["notices"] = [*job.notices, *(product.notices if product is not None else ())]
            return document

    def sweep(self) -> None:
        """Forget what has expired, and the oldest results where too many or too large ones are kept."""
        with self._changed:
            now, size = self._clock(), 0
            ended = [job for job in reversed(self._jobs.values()) if job.ended_at is not None]
            for kept, job in enumerate(ended, start=1):
                assert job.ended_at is not None
                size += job.product.size if job.product else 0
                expired = now >= job.ended_at + self.limits.keep_seconds
                if expired or kept > self.limits.kept or (kept > 1 and size > self.limits.keep_bytes):
                    del self._jobs[job.id]
                    self.folders.remove(job.folder)

    def close(self) -> None:
        """Cancel everything, end the thread and remove all files; may be called twice."""
        atexit.unregister(self.close)
        with self._changed:
            self._closed = True
            for job in list(self._jobs.values()):
                if job.state not in ENDED:
                    self.withdraw(job)
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_SECONDS)
        self.lookers.shutdown(wait=False, cancel_futures=True)
        self.folders.close()

    def _position(self, job: Job) -> int | None:
        """1 for the next one to run; None for one that does not wait."""
        if job.state != QUEUED:
            return None
        waiting = [self._current] if self._current is not None and self._current.state == QUEUED else []
        return [*waiting, *self._pending].index(job) + 1

    def _stage(self, job: Job) -> str:
        if job.state == QUEUED:
            return "Waiting for the other work of the server" if job is self._current else "Waiting"
        if job.state == RUNNING:
            if job.cancel.cancelled:
                return "Cancelling"
            return (job.meter.text if job.meter else "") or "Starting"
        return {DONE: "Done", FAILED: "Failed", CANCELLED: "Cancelled"}[job.state]

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._closed:
                    self._changed.wait(SWEEP_SECONDS)
                    self.sweep()
                if self._closed:
                    return
                job = self._current = self._pending.popleft()
            try:
                self._run(job)
            finally:
                with self._changed:
                    self._current = None
                    self.sweep()

    def _run(self, job: Job) -> None:
        def work(progress: ProgressCallback, cancel: CancelToken) -> Result:
            with self._changed:
                job.cancel.check()
                cancel.check()
                meter = job.meter = Meter()
                job.state, job.started_at = RUNNING, self._clock()

            def report(step: Progress) -> None:
                meter(Progress(step.stage, step.done, step.total))  # not the frame, which is large
                progress(step)

            return self._make(self.shell, job.request, self.limits, report, cancel)

        try:
            result = self.shell.run(f"task({job.id})", work, job.cancel)
            product = _keep(result, job, self.limits)
        except BaseException as error:  # the queue must go on, even where a host's code calls sys.exit
            failure = tell(error, REQUEST)
            if failure.kind not in (errors.MISTAKE, errors.CANCELLED):
                logger.exception("A job of the SadTalker API failed")
            self._end(job, CANCELLED if failure.kind == errors.CANCELLED else FAILED, failure.sentence)
        else:
            self._end(job, DONE, None, product)

    def _end(self, job: Job, state: str, error: str | None, product: Product | None = None) -> None:
        with self._changed:
            if job.state in ENDED:
                return
            job.state, job.error, job.product, job.ended_at = state, error, product, self._clock()
            if product is None:
                self.folders.remove(job.folder)


def _keep(result: Result, job: Job, limits: Limits) -> Product:
    """What is kept of a result; the files that were sent go, and a motion too large to be sent again."""
    from ..tracks.files import save_track

    track, told = None, list(result.notices)
    if result.track.data.nbytes <= limits.track_bytes:
        try:
            track = save_track(result.track, job.folder / "track.npz", overwrite=True)
        except OutputError as error:  # the video is there all the same
            told += [Sentence("The motion could not be kept ({error}).", error)]
    for path in job.folder.iterdir():
        if path not in (result.path, track):
            path.unlink(missing_ok=True)
    size = result.path.stat().st_size
    facts = {
        "type": FORMATS[job.format],
        "bytes": size,
        "frames": result.frames,
        "fps": result.fps,
        "duration": round(result.duration, 3),
        "elapsed": round(result.elapsed, 2),
        "engine": result.engine,
    }
    notices = tuple(worded(notice, REQUEST) for notice in told)
    kept = size + (track.stat().st_size if track is not None else 0)
    return Product(result.path, track, kept, facts, dict(result.metadata), notices)
