"""Uploads: whole or not at all, of a size and a number, and swept when they are old."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the server needs starlette")
pytest.importorskip("python_multipart", reason="forms need python-multipart")

from sadtalker_ext.api.limits import Limits
from sadtalker_ext.server import uploads as module
from sadtalker_ext.server.front_door import FrontDoor
from sadtalker_ext.server.uploads import Uploads, is_below, plain_name

FORM = "multipart/form-data; boundary=b"


def part(content: bytes, name: str = "a.png", field: str = "files") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def send(
    uploads: Uploads, pieces: Iterable[bytes], kind: str = FORM, query: str = "", cut: str = ""
) -> tuple[int, Any]:
    """Status and document of the answer. cut: the message with which the body ends early, if it does."""
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if cut:
        waiting.append({"type": cut})
    else:
        waiting[-1]["more_body"] = False
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("gradio stores no uploads")

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        await asyncio.sleep(3600)
        return None

    async def answer(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/upload", "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", kind.encode())], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asyncio.run(FrontDoor(app, uploads=uploads)(scope, receive, answer))
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


def stored(uploads: Uploads) -> list[Path]:
    return [path for path in uploads.folder.rglob("*") if path.is_file()]


def test_files_lie_where_gradio_would_put_them(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "new" / "folder", Limits())
    body = part(b"one", "my portrait.png") + part(b"two", "../../b\\c.wav") + b"--b--\r\n"
    status, paths = send(uploads, [body[at : at + 7] for at in range(0, len(body), 7)])
    assert status == 200
    folders = [uploads.folder / hashlib.sha1(content).hexdigest() for content in (b"one", b"two")]
    assert paths == [str(folders[0] / "my portrait.png"), str(folders[1] / "c.wav")]
    assert [Path(path).read_bytes() for path in paths] == [b"one", b"two"]
    assert all(uploads.use(path) for path in paths)
    assert send(uploads, [body])[1] == paths
    assert len(stored(uploads)) == 2
    assert not [path for path in uploads.folder.iterdir() if path.name.startswith(module.ARRIVING)]


@pytest.mark.parametrize("cut", ["http.disconnect", ""])
@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
def test_an_upload_that_is_cut_short_leaves_nothing(tmp_path: Path, cut: str, at: float) -> None:
    uploads = Uploads(tmp_path, Limits())
    body = part(b"x" * 5000) + part(b"y" * 5000) + b"--b--\r\n"
    status, told = send(uploads, [body[: int(len(body) * at)]], cut=cut)
    assert status == 400
    assert told["detail"]
    assert list(tmp_path.iterdir()) == []


def test_an_upload_that_trickles_leaves_nothing(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits(body_seconds=0.05))
    body = part(b"x" * 5000)
    waiting = [body]

    async def trickle() -> int:
        async def receive() -> Any:
            if waiting:
                return {"type": "http.request", "body": waiting.pop(), "more_body": True}
            await asyncio.sleep(3600)
            return None

        answers: list[Any] = []

        async def answer(message: Any) -> None:
            answers.append(message)

        scope = {"type": "http", "method": "POST", "path": "/upload", "query_string": b"", "client": None}
        headers = [(b"host", b"localhost"), (b"content-type", FORM.encode())]
        await FrontDoor(None, uploads=uploads)({**scope, "headers": headers}, receive, answer)  # type: ignore[arg-type]
        return int(answers[0]["status"])

    assert asyncio.run(trickle()) == 408
    assert list(tmp_path.iterdir()) == []


def test_uploads_are_cut_off_while_they_come(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits(form_bytes=20_000))
    read = 0

    def pieces() -> Iterable[bytes]:
        nonlocal read
        yield part(b"x" * 1000)
        for _ in range(100):
            read += 1
            yield b"x" * 1000

    waiting = list(pieces())
    status, told = send(uploads, waiting)
    assert status == 413
    assert "larger than" in told["detail"]
    assert list(tmp_path.iterdir()) == []
    assert Limits().form_bytes == 256 << 20


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (part(b"x") + b"--b--", "application/json", 415),
        (part(b"x") + b"--b--", "", 415),
        (part(b"x") + b"--b--", "multipart/form-data", 400),
        (part(b"x", field="other") + b"--b--", FORM, 422),
        (part(b"") + b"--b--", FORM, 422),
        (b"--b--", FORM, 422),
        (b"nonsense", FORM, 400),
        (b"".join(part(b"x") for _ in range(module.MOST_FILES + 1)) + b"--b--", FORM, 422),
        (part(b"x", name="a" * 10_000) + b"--b--", FORM, 400),
    ],
)
def test_what_is_no_upload_is_refused(tmp_path: Path, body: bytes, kind: str, status: int) -> None:
    told, document = send(Uploads(tmp_path, Limits()), [body], kind)
    assert told == status
    assert document["detail"].endswith(".")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\x\\y.png", "y.png"), ("", "file"), ("..", "file"),
        (".hidden", "hidden"), ("a\x00.png", "a.png"),
        ("a\r\nSet-Cookie: x=1.png", "aSet-Cookie x1.png"), ('a"; filename="b.html', "a filenameb.html"),
        ("ü\u202egnp.exe", "ügnp.exe"), ("a%2e%2e%2fb.png", "a2e2e2fb.png"), ("   ", "file"),
    ],
)  # fmt: skip
def test_names_mean_nothing_to_anybody(given: str, kept: str) -> None:
    assert plain_name(given) == kept


def test_long_names_keep_their_ending() -> None:
    for given in ("ü" * 500 + ".png", "a" * 300 + ".png"):
        assert len(plain_name(given).encode()) <= module.NAME_BYTES
        assert plain_name(given).endswith(".png")
    assert len(plain_name("." * 10 + "b" * 500).encode()) <= module.NAME_BYTES


def test_old_uploads_go_and_used_ones_stay(tmp_path: Path) -> None:
    now = 1e9
    uploads = Uploads(tmp_path, Limits(), clock=lambda: now)
    old, used = (send(uploads, [part(text) + b"--b--"])[1][0] for text in (b"old", b"used"))
    for path in (old, used):
        os.utime(path, (now, now))
    left = tmp_path / f"{module.ARRIVING}killed"
    left.mkdir()
    (left / "0").write_bytes(b"x")
    os.utime(left / "0", (now, now))
    now += module.KEPT_SECONDS - 10
    assert uploads.use(used)
    now += 20
    uploads.sweep()
    assert [str(path) for path in stored(uploads)] == [used]
    assert [path.name for path in tmp_path.iterdir()] == [Path(used).parent.name]


def test_uploads_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 2500)
    now = 1e9
    uploads = Uploads(tmp_path, Limits(), clock=lambda: now)
    for number in range(4):
        path = tmp_path / str(number) / "x.png"
        path.parent.mkdir()
        path.write_bytes(bytes(1000))
        os.utime(path, (now + number, now + number))
    status, told = send(uploads, [part(b"x") + b"--b--"])
    assert (status, told["detail"][:8]) == (503, "Too many")
    now += module.IN_USE_SECONDS + 10
    assert send(uploads, [part(b"x") + b"--b--"])[0] == 200
    assert {path.parent.name for path in stored(uploads)} >= {"2", "3"}
    assert not {path.parent.name for path in stored(uploads)} & {"0", "1"}


@pytest.mark.parametrize("name", ["a.png", f"{'a' * 40}/a.png", f"{module.ARRIVING}killed/0"])
def test_the_folder_outlives_its_last_file_and_stays_private(tmp_path: Path, name: str) -> None:
    uploads = Uploads(tmp_path / "uploads", Limits())
    path = uploads.folder / name
    path.parent.mkdir(0o700, parents=True)
    uploads.folder.chmod(0o700)
    before = uploads.folder.stat().st_ino
    path.write_bytes(b"x")
    os.utime(path, (0, 0))
    uploads.sweep()
    assert list(uploads.folder.iterdir()) == []
    assert uploads.folder.stat().st_ino == before


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
def test_nobody_else_can_look_in(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads", Limits())
    before = os.umask(0)
    try:
        path = Path(send(uploads, [part(b"x") + b"--b--"])[1][0])
    finally:
        os.umask(before)
    assert [folder.stat().st_mode & 0o777 for folder in (uploads.folder, path.parent)] == [0o700, 0o700]


def test_a_folder_that_is_swept_meanwhile_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = Uploads(tmp_path, Limits())
    real = os.replace

    def swept(source: Any, target: Path) -> None:
        monkeypatch.setattr(os, "replace", real)
        target.parent.rmdir()
        real(source, target)

    monkeypatch.setattr(os, "replace", swept)
    status, paths = send(uploads, [part(b"x") + b"--b--"])
    assert status == 200
    assert Path(paths[0]).read_bytes() == b"x"


def test_a_page_hears_how_far_an_upload_is(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits())
    told: list[bytes] = []

    async def both() -> None:
        heard = asyncio.Event()

        async def hear(message: Any) -> None:
            told.append(message.get("body", b""))
            if b"update" in told[-1]:
                heard.set()

        waiting = [(part(b"x" * 3000, "ü.png"), True), (b"--b--", False)]

        async def receive() -> Any:
            if len(waiting) == 1:
                await heard.wait()
            body, more = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": more}

        scope = {"query_string": b"upload_id=abc", "client": None}
        progress = asyncio.create_task(uploads.progress(scope, hear))
        await uploads.take(scope, {"content-type": FORM}, receive)
        await progress

    asyncio.run(both())
    events = [json.loads(text[len("data: ") :]) for text in told if text]
    assert events[0] == {"msg": "update", "orig_name": "ü.png", "chunk_size": 3000}
    assert events[-1] == {"msg": "done"}


def test_what_lies_elsewhere_is_not_even_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def realpath(path: Any) -> str:
        raise AssertionError(f"{path} was looked at")

    monkeypatch.setattr(module.os.path, "realpath", realpath)
    for name in ("/etc/passwd", "//host/share/x", f"{tmp_path}/../x", "relative", "", "\\\\host\\share\\x"):
        assert not is_below(name, [tmp_path])
