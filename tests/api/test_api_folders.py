"""Folders of the REST API come and go; room is waited for; what others left is cleared away."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from sadtalker_ext.api import Jobs, Limits, body, catalogue, mount
from sadtalker_ext.api.job_folders import Folders
from sadtalker_ext.system import leftovers

V1 = "/sadtalker/v1"
PREFIX = f"{leftovers.PREFIX}api-"


def test_what_a_killed_server_left_is_removed_and_nothing_else(temp, monkeypatch):
    """Of the API as of everything else, by whose name it bears; `leftovers` has the tests of that."""
    monkeypatch.setattr(leftovers, "_swept", set())
    machine, boot, _, start = leftovers._owner().split("-")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = temp / f"{PREFIX}{machine}-{boot}-{ended.pid}-{start}-abcdefgh"
    unnamed, other = temp / f"{PREFIX}old", temp / "other-old"
    for folder in (dead, unnamed, other):
        folder.mkdir()
        (folder / "video.mp4").write_bytes(b"x")
        os.utime(folder, (0, 0))
    folders = Folders()
    mine = folders.new()
    assert mine.is_dir()
    assert [path.exists() for path in (dead, unnamed, other)] == [False, True, True]
    folders.close()
    assert not mine.exists()


def test_folders_of_servers_that_run_stay(temp, monkeypatch):
    alive, other = Folders(), Folders()
    kept = alive.new()
    os.utime(kept.parent, (0, 0))
    monkeypatch.setattr(leftovers, "_swept", set())
    other.new()
    assert kept.exists()
    other.close()
    assert kept.exists()
    alive.close()
    assert list(temp.iterdir()) == []


PROGRAM = """
import sys, tempfile, threading
from pathlib import Path
from types import SimpleNamespace
sys.path.insert(0, {root!r})
tempfile.tempdir = sys.argv[1]
from sadtalker_ext.host import CancelToken
from sadtalker_ext.options import Options
from sadtalker_ext.api import Jobs
from sadtalker_ext.request import Request

class Shell:
    def run(self, task, work, cancel):
        return work(lambda step: None, cancel)

begun = threading.Event()

def make(shell, request, limits, progress, cancel):
    begun.set()
    while True:
        cancel.check()

jobs = Jobs(Shell(), make=make)
for _ in range(2):
    folder = jobs.folders.new()
    jobs.submit(Request(folder / "picture", options=Options(idle=1.0), output=folder / "video.mp4"))
assert begun.wait(60)
assert len(list(Path(sys.argv[1]).glob("sadtalker-api-*/*"))) == 2
"""


def test_a_server_that_ends_with_work_on_its_hands_leaves_nothing(tmp_path):
    folder = tmp_path / "temp"
    folder.mkdir()
    program = PROGRAM.format(root=str(Path(__file__).resolve().parents[2]))
    ended = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert list(folder.iterdir()) == []


def test_a_folder_that_somebody_removed_is_made_anew(temp):
    folders = Folders()
    first = folders.new()
    folders.close()
    second = folders.new()
    assert second.is_dir()
    assert second != first
    shutil.rmtree(second.parent)
    assert folders.new().is_dir()
    folders.close()


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
def test_nobody_else_can_look_in(temp):
    folders = Folders()
    folder = folders.new()
    assert folder.stat().st_mode & 0o077 == 0
    assert folder.parent.stat().st_mode & 0o077 == 0
    folders.close()


def together(
    app: FastAPI, count: int, encoded: str, answered: Callable[[int], None] = lambda number: None
) -> list[httpx.Response]:
    """Answers to that many requests for faces, sent at one time; `answered` hears how many there are."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        answers = []
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            sent = [client.post(f"{V1}/detect", json={"picture": encoded}) for _ in range(count)]
            for answer in asyncio.as_completed(sent):
                answers.append(await answer)
                answered(len(answers))
        return answers

    return asyncio.run(send())


def test_many_requests_at_once_wait_for_each_other(serve, encoded, monkeypatch):
    app = FastAPI()
    busy, most, lock = 0, 0, threading.Lock()

    def look(*arguments: Any) -> dict[str, Any]:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return {"faces": []}

    monkeypatch.setattr(catalogue, "find_faces_in", look)
    serve(app=app, bodies=2, looks=3)
    answers = together(app, 20, encoded)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert 1 <= most <= 2


def test_who_cannot_wait_is_told(serve, encoded, monkeypatch):
    app = FastAPI()
    release = threading.Event()

    def look(*arguments: Any) -> dict[str, Any]:
        release.wait(60)
        return {"faces": []}

    monkeypatch.setattr(catalogue, "find_faces_in", look)
    serve(app=app, looks=1, wait_seconds=0.2)
    # The first is looked at until the two others have been told.
    answers = together(app, 3, encoded, lambda number: release.set() if number == 2 else None)
    assert sorted(answer.status_code for answer in answers) == [200, 503, 503]
    told = next(answer for answer in answers if answer.status_code == 503)
    assert told.headers["retry-after"]
    assert "at one time" in told.json()["error"]


def test_a_body_that_does_not_come(serve, monkeypatch):
    monkeypatch.setattr(body, "DRAIN_SECONDS", 0.1)
    app = FastAPI()
    serve(app=app, body_seconds=0.1)

    async def slow() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        pieces = [{"type": "http.request", "body": b'{"pic', "more_body": True}]

        async def receive() -> dict[str, Any]:
            if pieces:
                return pieces.pop()
            await asyncio.sleep(30)
            raise AssertionError("waited for too long")

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": f"{V1}/jobs", "raw_path": b"", "query_string": b"",
            "headers": [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")],
            "root_path": "", "scheme": "http", "server": ("testserver", 80), "http_version": "1.1",
        }  # fmt: skip
        await app(scope, receive, send)
        return sent

    sent = asyncio.run(slow())
    assert sent[0]["status"] == 408
    assert b"did not come in time" in sent[1]["body"]


def test_a_client_that_goes_away_leaves_nothing(serve, temp):
    app = FastAPI()
    serve(app=app)

    async def gone() -> None:
        messages = [
            {"type": "http.disconnect"},
            {"type": "http.request", "body": b"--b\r\n", "more_body": True},
        ]

        async def receive() -> dict[str, Any]:
            return messages.pop()

        async def send(message: Any) -> None:
            assert message.get("status", 400) == 400

        scope = {
            "type": "http", "method": "POST", "path": f"{V1}/jobs", "raw_path": b"", "query_string": b"",
            "headers": [
                (b"content-type", b"multipart/form-data; boundary=b"), (b"transfer-encoding", b"chunked"),
            ],
            "root_path": "", "scheme": "http", "server": ("testserver", 80), "http_version": "1.1",
        }  # fmt: skip
        await app(scope, receive, send)

    asyncio.run(gone())
    assert [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []


def test_refused_bodies_are_read_so_that_the_answer_arrives(shell, temp):
    app = FastAPI()
    jobs = Jobs(shell, Limits())
    mount(app, shell, {"ann": "secret"}, jobs)
    read = 0

    async def pieces() -> Any:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 10_000

    async def send() -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            answer = await client.post(
                f"{V1}/jobs", content=pieces(), headers={"Transfer-Encoding": "chunked"}
            )
            return answer.status_code

    assert asyncio.run(send()) == 401
    assert read == 100
    jobs.close()
