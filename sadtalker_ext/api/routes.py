"""Requests under /sadtalker/v1/ into answers: a handler takes a request and the name of the user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import to_thread
from starlette.requests import ClientDisconnect

from ..errors import CANCELLED, FAULT, MEMORY, MISTAKE, tell
from . import catalogue
from .access import caller
from .arrival import LOOK_SECONDS, Arrivals, client_of
from .body import Body, Incoming, read_body
from .intake import FORMATS, VALUE_FIELDS, file_fields, notices_of, read_request, voice_rows
from .jobs import DONE, ENDED, RETRY, Job, Jobs
from .openapi import MOST_PAGES, MOST_PER_PAGE, PER_PAGE
from .replies import FileReply, Refusal, answer, refuse
from .words import REQUEST

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

T = TypeVar("T")
Handler = Callable[["Request", str], Awaitable["Response"]]
PREFIX = "/sadtalker/v1"
STATUS = {MISTAKE: 422, CANCELLED: 422, MEMORY: 413, FAULT: 500}  # of what failed; the others: 503, later
logger = logging.getLogger(__name__)


class Routes:
    """The handlers of all routes, over one queue of jobs. credentials: as `access.caller` takes them."""

    def __init__(self, jobs: Jobs, credentials: Mapping[str, str] | None) -> None:
        self.jobs = jobs
        self.limits = jobs.limits
        self._credentials = credentials
        self._arrivals = Arrivals(jobs.limits)
        self._looks = 0

    def guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The handler behind the password, whose every failure is an answer with a sentence."""

        async def respond(request: Request) -> Response:
            incoming = Incoming(request)
            try:
                return await handler(incoming.request, caller(request, self._credentials))
            except Refusal as refusal:
                if "Connection" not in refusal.headers:  # else nobody waits for the rest
                    await incoming.drain()
                return refuse(refusal)
            except ClientDisconnect:
                return refuse(Refusal(400, "The request ended before it was whole."))
            except RecursionError:
                return refuse(Refusal(400, "The request is nested too deep."))
            except Exception as error:  # a fault of ours must not take the host's own error pages
                failure = tell(error, REQUEST)
                status = STATUS.get(failure.kind, 503)
                if status >= 500:
                    logger.exception("A request to the SadTalker API failed")
                return refuse(Refusal(status, failure.sentence, RETRY if status == 503 else None))

        return respond

    async def version(self, request: Request, user: str) -> Response:
        return answer(catalogue.version_document(self.jobs.shell, self.limits))

    async def engines(self, request: Request, user: str) -> Response:
        return answer({"engines": await to_thread.run_sync(catalogue.engine_rows, self.jobs.shell)})

    async def models(self, request: Request, user: str) -> Response:
        return answer({"models": await to_thread.run_sync(catalogue.model_rows, self.jobs.shell)})

    async def schema(self, request: Request, user: str) -> Response:
        return answer(catalogue.job_options_schema())

    async def voices(self, request: Request, user: str) -> Response:
        return answer({"voices": await to_thread.run_sync(voice_rows, self.jobs.shell)})

    async def detect(self, request: Request, user: str) -> Response:
        folder = await to_thread.run_sync(self.jobs.folders.new)
        try:
            body = await self._read(request, user, folder, ("picture",), ("detector",))
            if "picture" not in body.files:
                raise Refusal(422, "No picture was sent; give it as a file of a form, or in base64.")
            detector = body.values.get("detector")
            if detector == "face-alignment" and not self.jobs.shell.settings().downloads:
                raise Refusal(422, "This detector may need a download, which is switched off here.")
            picture = body.files["picture"]
            return answer(await self._look(catalogue.find_faces_in, picture, detector, self.limits))
        finally:
            self.jobs.folders.remove(folder)  # at once: a cancelled request may wait for nothing

    async def submit(self, request: Request, user: str) -> Response:
        self.jobs.check_room()
        folder = await to_thread.run_sync(self.jobs.folders.new)
        try:
            body = await self._read(request, user, folder, file_fields(), VALUE_FIELDS)
            asked = await self._look(read_request, body, folder, self.jobs.shell, self.limits)
            job = self.jobs.submit(asked, user, notices_of(body))
        except BaseException:
            self.jobs.folders.remove(folder)
            raise
        document = self._document(request, job)
        return answer(document, 202, {"Location": document["links"]["self"]})

    async def list_jobs(self, request: Request, user: str) -> Response:
        _check_query(request, "page", "per_page")
        page = _whole(request, "page", 1, 1, MOST_PAGES)
        per_page = _whole(request, "per_page", PER_PAGE, 1, MOST_PER_PAGE)
        jobs, total = self.jobs.page(page, per_page, user)
        rows = [self._document(request, job) for job in jobs]
        counts = {"page": page, "per_page": per_page, "pages": -(-total // per_page), "total": total}
        return answer({"jobs": rows, **counts})

    async def show(self, request: Request, user: str) -> Response:
        return answer(self._document(request, self._find(request, user)))

    async def remove(self, request: Request, user: str) -> Response:
        job = self._find(request, user)
        outcome = await to_thread.run_sync(self.jobs.withdraw, job)
        if outcome == "removed":
            return answer({"id": job.id, "state": "removed"})
        return answer(self._document(request, job), 202 if outcome == "cancelling" else 200)

    async def video(self, request: Request, user: str) -> Response:
        job = self._finished(request, user)
        assert job.product is not None
        kind = FORMATS[job.format]
        return await self._file(request, job.product.video, kind, f"{job.id[:8]}.{job.format}")

    async def track(self, request: Request, user: str) -> Response:
        job = self._finished(request, user)
        assert job.product is not None
        _check_query(request, "format")
        kind = request.query_params.get("format", "npz")
        if kind not in ("npz", "csv"):
            raise Refusal(422, "format must be npz or csv.")
        path = job.product.track
        if path is None:
            most = self.limits.track_bytes / 1e6
            raise Refusal(404, f"The motion has more than {most:.0f} MB; it was not kept.")
        if kind == "csv":
            path = await self._look(_as_csv, path)
        named, media = f"{job.id[:8]}.{kind}", "text/csv" if kind == "csv" else "application/octet-stream"
        return await self._file(request, path, media, named, inline=False)

    async def metadata(self, request: Request, user: str) -> Response:
        product = self._finished(request, user).product
        assert product is not None
        return answer(product.metadata)

    async def unknown(self, request: Request, user: str) -> Response:
        raise Refusal(404, f"There is nothing here; the API's own pages begin with {PREFIX}/version.")

    def wrong_method(self, methods: tuple[str, ...]) -> Handler:
        """For a path that exists, the answer to a method that it does not have."""
        allowed = ", ".join(methods)

        async def refuse_method(request: Request, user: str) -> Response:
            raise Refusal(405, f"This takes {allowed}, not {request.method[:20]}.", {"Allow": allowed})

        return refuse_method

    async def _read(
        self, request: Request, user: str, folder: Path, files: tuple[str, ...], values: tuple[str, ...]
    ) -> Body:
        client = client_of(request.scope, request.headers, user)
        async with self._arrivals.place(client) as arrival:
            return await read_body(request, arrival, self.limits, folder, files, values)
        raise AssertionError("what has no place ends with a refusal")

    async def _look(self, work: Callable[..., T], *arguments: Any) -> T:
        """Heavy work in a thread of ours."""
        patience = self.limits.wait_seconds
        while self._looks >= self.limits.looks:
            if patience <= 0:
                raise Refusal(503, "Too many requests came at one time; try again soon.", RETRY)
            patience -= LOOK_SECONDS
            await anyio.sleep(LOOK_SECONDS)
        self._looks += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.jobs.lookers, work, *arguments)
        finally:
            self._looks -= 1

    def _find(self, request: Request, user: str) -> Job:
        return self.jobs.find(request.path_params["job_id"], user)

    def _finished(self, request: Request, user: str) -> Job:
        job = self._find(request, user)
        if job.state not in ENDED:
            told = f"The job is {job.state}; ask again when its state is {DONE}."
            raise Refusal(409, told, {"Retry-After": "2"})
        if job.product is None:
            raise Refusal(409, f"The job made no video: {job.error}")
        return job

    async def _file(
        self, request: Request, path: Path, kind: str, name: str, inline: bool = True
    ) -> Response:
        asked = request.headers.get("range") if request.method == "GET" else None
        try:
            return await to_thread.run_sync(FileReply, path, kind, f"sadtalker-{name}", asked, inline)
        except OSError:
            raise Refusal(404, "The file is gone; its job expired or was removed.") from None

    def _document(self, request: Request, job: Job) -> dict[str, Any]:
        here = f"{request.scope.get('root_path', '')}{PREFIX}/jobs/{job.id}"
        links = {"self": here}
        if job.product is not None:
            kept = ("video", "metadata") if job.product.track is None else ("video", "track", "metadata")
            links |= {name: f"{here}/{name}" for name in kept}
        return {**self.jobs.describe(job), "links": links}


def _as_csv(track: Path) -> Path:
    from ..tracks.files import load_track, save_track

    path = track.with_suffix(".csv")
    return path if path.exists() else save_track(load_track(track), path, overwrite=True)


def _check_query(request: Request, *known: str) -> None:
    """Refuse what would have no effect: a parameter of another name, or one that comes twice."""
    for name in request.query_params:
        if name not in known:
            raise Refusal(422, f"Unknown parameter {name[:40]!r}; known parameters: {', '.join(known)}.")
        if len(request.query_params.getlist(name)) > 1:
            raise Refusal(422, f"The parameter {name} is given twice.")


def _whole(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and low <= int(text) <= high):
        raise Refusal(422, f"{name} must be a whole number from {low} to {high}.")
    return int(text)
