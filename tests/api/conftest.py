"""A shell without a WebUI, a queue whose work is under the test's control, and clients of the REST API."""

from __future__ import annotations

import base64
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the REST API needs FastAPI")
pytest.importorskip("httpx", reason="FastAPI's test client needs httpx")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from sadtalker_ext.api import Jobs, Limits, mount
from sadtalker_ext.host import CancelToken, Progress
from sadtalker_ext.options import Options
from sadtalker_ext.request import Request, Result
from sadtalker_ext.shell import Settings
from sadtalker_ext.tracks import MotionTrack

WAIT_SECONDS = 60.0  # for what another thread does; reached only by a failure


class FakeShell:
    """Runs work at once, one at a time, like a WebUI that has nothing else to do."""

    name = "fake"
    can_open_folders = False
    has_img2img = False

    def __init__(self, folder: Path) -> None:
        self.host = SimpleNamespace(
            name="fake",
            device=lambda: "cpu",
            models_dir=lambda: folder / "models",
            output_dir=lambda: folder / "outputs",
        )
        self.given = Settings(output_dir=folder / "outputs")
        self.tasks: list[str] = []
        self.gate = threading.Lock()  # held by other work of the host

    def settings(self) -> Settings:
        return self.given

    def run(self, task: str, work: Any, cancel: CancelToken | None = None) -> Any:
        self.tasks.append(task)
        with self.gate:
            return work(lambda progress: None, cancel or CancelToken())

    def interrupt(self) -> None:
        raise AssertionError("the API never stops other people's work")

    def output_file(self, stem: str, suffix: str = ".mp4") -> Path:
        raise AssertionError("results of the API do not go into the user's folder")

    def open_folder(self, path: Path) -> None:
        raise AssertionError("the API opens no folder")


class Maker:
    """In the place of the work: waits where the test says so, then writes a small file as the video."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.begun = threading.Semaphore(0)
        self.held = threading.Event()
        self.held.set()
        self.error: BaseException | None = None
        self.content = bytes(range(256)) * 40

    def __call__(
        self, shell: Any, request: Request, limits: Limits, progress: Any, cancel: CancelToken
    ) -> Result:
        self.requests.append(request)
        for done in (1, 2):  # of the first frame alone nobody can tell how long the others take
            progress(Progress("render", done, 4))
        self.begun.release()
        while not self.held.wait(0.01):
            cancel.check()
        cancel.check()
        if self.error is not None:
            raise self.error
        path = request.output
        assert isinstance(path, Path)
        path.write_bytes(self.content)
        track = MotionTrack.rest(5, 25.0)
        return Result(path, 5, 25.0, 0.2, 0.1, "instant", Options(), track, {"seed": 7}, ("A notice.",))

    def wait_begun(self) -> None:
        assert self.begun.acquire(timeout=WAIT_SECONDS)


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, ours alone: what is left in it is left behind."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def shell(tmp_path: Path) -> FakeShell:
    return FakeShell(tmp_path)


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve(temp: Path, shell: FakeShell, maker: Maker, clock: Clock) -> Iterator[Callable[..., Any]]:
    """serve(credentials=None, make=..., **limits) is a client; its `jobs` is the queue."""
    queues: list[Jobs] = []

    def start(credentials: Any = None, make: Any = maker, app: FastAPI | None = None, **limits: Any) -> Any:
        jobs = Jobs(shell, Limits(**limits), clock=clock, make=make)
        queues.append(jobs)
        app = app or FastAPI()
        mount(app, shell, credentials, jobs)
        client = TestClient(app, raise_server_exceptions=True)
        client.jobs = jobs  # type: ignore[attr-defined]
        return client

    yield start
    maker.held.set()
    for jobs in queues:
        jobs.close()
    assert list(temp.iterdir()) == []


@pytest.fixture
def client(serve: Callable[..., Any]) -> Any:
    return serve()


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    Image.new("RGB", (64, 80), (200, 150, 100)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


@pytest.fixture
def wait() -> Callable[..., dict[str, Any]]:
    """wait(client, id) asks until the job has ended (or is in `state`) and returns its document."""

    def until(client: Any, job_id: str, *states: str, **request: Any) -> dict[str, Any]:
        wanted = states or ("done", "failed", "cancelled")
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            document = client.get(f"/sadtalker/v1/jobs/{job_id}", **request).json()
            if document["state"] in wanted:
                return document
            time.sleep(0.01)
        raise AssertionError(f"the job is still {document}")

    return until
