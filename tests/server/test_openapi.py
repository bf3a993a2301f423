"""The OpenAPI document of `sadtalker serve` is published and true: schemathesis asks for what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")
pytest.importorskip("fastapi", reason="the REST API needs FastAPI")
pytest.importorskip("httpx", reason="FastAPI's test client needs httpx")

from fastapi.testclient import TestClient

from sadtalker_ext.api import Jobs
from sadtalker_ext.api.openapi import DESCRIPTIONS
from sadtalker_ext.errors import OptionsError
from sadtalker_ext.server import server
from sadtalker_ext.server.connections import Connection
from sadtalker_ext.server.standalone import StandaloneShell
from sadtalker_ext.version import __version__

EXAMPLES = 20  # of each route, beside the edge cases of its schema
COMMAND = (sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The whole of `sadtalker serve`, but for the work of its jobs."""

    def make(*arguments: Any) -> Any:
        raise OptionsError("No video is made in this test.")

    folder = tmp_path_factory.mktemp("app")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        shell = StandaloneShell(folder / "results", folder / "models", device="cpu", downloads=False)
        jobs = Jobs(shell, make=make)
        yield server.build_app(shell, None, jobs)
        jobs.close()


def test_the_document_is_published(app: Any) -> None:
    document = TestClient(app, base_url="http://127.0.0.1").get("/openapi.json").json()
    assert document["info"] == {"title": "SadTalker", "version": __version__}
    told = {
        (method.upper(), path.removeprefix("/sadtalker/v1/"))
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert told == set(DESCRIPTIONS)


@pytest.mark.parametrize("path", ["version", "detect", "jobs", f"jobs/{'0' * 32}"])
def test_methods_that_there_are_not(app: Any, path: str) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    for method in ("TRACE", "PUT", "PATCH", "OPTIONS"):
        told = client.request(method, f"/sadtalker/v1/{path}")
        assert told.status_code == 405
        assert told.headers["allow"]


def test_parameters_without_effect_are_refused(app: Any) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    for query in ("perpage=5", "page=1&page=2", "per_page=101", "page=0", "page=-1"):
        told = client.get(f"/sadtalker/v1/jobs?{query}")
        assert told.status_code == 422
        assert told.json()["error"].endswith(".")


@pytest.fixture(scope="module")
def address(app: Any) -> Iterator[str]:
    uvicorn = pytest.importorskip("uvicorn", reason="the server needs uvicorn")
    served = uvicorn.Server(uvicorn.Config(app, http=Connection, log_level="critical", lifespan="off"))
    with server.listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        served.should_exit = True
        thread.join(60)


def test_what_the_document_promises(address: str, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    # Whether the content of a file is a picture, no schema can tell.
    (tmp_path / "schemathesis.toml").write_text(
        '[[operations]]\ninclude-method = "POST"\n'
        '[operations.checks.positive_data_acceptance]\nexpected-statuses = ["2xx", 422]\n'
    )
    flags = ("--generation-deterministic", "--no-color", "--phases", "examples,coverage,fuzzing")
    told = subprocess.run(
        [*COMMAND, "run", f"{address}/openapi.json", "--max-examples", str(EXAMPLES), *flags],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        timeout=300,
    )
    assert told.returncode == 0, told.stdout + told.stderr
