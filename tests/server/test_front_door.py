"""Who is let in to `sadtalker serve`, and what its page is given on the way out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sadtalker_ext.api.limits import Limits
from sadtalker_ext.server.front_door import SCRIPT_URL, STYLE_URL, FrontDoor
from sadtalker_ext.server.uploads import Uploads

PAGE = (
    '<html><head><link rel="preconnect" href="https://fonts.example" />'
    '<script\n src="https://cdn.example/x.js"\n async ></script>'
    '<script type="module" src="./assets/index.js"></script></head><body>ü</body></html>'
)


def door_of(app: Any, uploads: Path = Path("uploads"), **more: Any) -> FrontDoor:
    return FrontDoor(app, uploads=Uploads(uploads, Limits()), **more)


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """The app behind the door: a page."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    body = PAGE.encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body[:40], "more_body": True})
    await send({"type": "http.response.body", "body": body[40:]})


def ask(
    door: FrontDoor, path: str = "/", method: str = "GET", kind: str = "http", **headers: str
) -> tuple[int, str, Mapping[str, str]]:
    """Status (of a websocket: 101 or its closing code), body and headers of the answer."""
    given = {"host": "127.0.0.1:7865", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(door(scope, receive, send))
    if kind == "websocket":
        return sent[0].get("code", 101), "", {}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert int(told["content-length"]) == len(body)
    return sent[0]["status"], body.decode(), told


def test_the_page_gets_our_script_and_style_and_asks_nobody_else() -> None:
    status, text, _ = ask(door_of(inner))
    assert status == 200
    assert SCRIPT_URL in text
    assert STYLE_URL in text
    assert "https://" not in text
    assert "./assets/index.js" in text
    assert "ü" in text


def test_script_and_style_are_served() -> None:
    door = door_of(inner)
    status, text, headers = ask(door, SCRIPT_URL)
    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "function sadtalkerSubmit" in text
    assert "#sadtalker_" in ask(door, STYLE_URL)[1]


@pytest.mark.parametrize("host", ["localhost:7865", "127.0.0.1", "127.0.0.2:80", "[::1]:7865"])
def test_names_of_this_computer_are_answered(host: str) -> None:
    assert ask(door_of(inner), host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7865", "", "localhost.evil.example", "[::1", "10.0.0.1"]
)
def test_other_names_are_not(host: str) -> None:
    # A name that someone else made to lead here would let his pages read ours.
    assert ask(door_of(inner), host=host)[0] == 403


def test_with_a_password_any_name_is_answered() -> None:
    door = door_of(inner, credentials={"ann": "secret"})
    good = "Basic " + base64.b64encode(b"ann:secret").decode()
    assert ask(door, host="my.example", authorization=good)[0] == 200


@pytest.mark.parametrize(
    "given", ["", "Basic", "Basic ???", "Bearer ann:secret", "ann:other", "bob:secret", "ann", ":"]
)
def test_a_wrong_password_is_asked_for_again(given: str) -> None:
    if ":" in given and " " not in given:
        given = "Basic " + base64.b64encode(given.encode()).decode()
    door = door_of(inner, credentials={"ann": "secret"})
    for path in ("/", SCRIPT_URL, "/sadtalker/v1/jobs", "/file=/tmp/x"):
        status, _, headers = ask(door, path, authorization=given)
        assert status == 401
        assert headers["www-authenticate"].startswith("Basic")
    assert ask(door, "/queue/join", kind="websocket", authorization=given)[0] == 1008


def test_a_page_opened_with_a_password_needs_it_no_more() -> None:
    door, other = (door_of(inner, credentials={"ann": "secret"}) for _ in range(2))
    good = "Basic " + base64.b64encode(b"ann:secret").decode()
    cookie, _, flags = ask(door, authorization=good)[2]["set-cookie"].partition("; ")
    assert "HttpOnly" in flags
    assert "SameSite=Strict" in flags
    assert ask(door, "/queue/join", kind="websocket", cookie=f"x=1; {cookie}")[0] == 101
    assert ask(other, "/queue/join", kind="websocket", cookie=cookie)[0] == 1008
    assert ask(door, "/queue/join", kind="websocket", cookie=cookie[:-1])[0] == 1008
    assert "set-cookie" not in ask(door_of(inner))[2]


def test_the_server_itself_has_a_way_in() -> None:
    door = door_of(inner, credentials={"ann": "secret"})
    assert ask(door, f"{door.side_door}/api/predict", "POST")[0] == 200
    assert ask(door, f"{door.side_door[:-1]}/api/predict", "POST")[0] == 401
    assert ask(door, "//api/predict", "POST")[0] == 401


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_other_sites_pages_reach_nothing(kind: str) -> None:
    door = door_of(inner)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
        for method in ("POST", "GET", "OPTIONS"):
            assert ask(door, "/queue/join", method, kind, origin=origin)[0] in (403, 1008)
    assert ask(door, "/queue/join", "POST", kind, origin="http://127.0.0.1:7865")[0] in (200, 101)
    assert ask(door, "/queue/join", "POST", kind)[0] in (200, 101)  # a program


def test_files_of_our_folders_only(tmp_path: Path) -> None:
    results, private = tmp_path / "results", tmp_path / "private.txt"
    results.mkdir()
    (results / "link").symlink_to(private)
    private.touch()
    door = door_of(inner, folders=[results])
    assert ask(door, f"/file={results}/made.mp4")[0] == 200
    for name in (
        private,
        f"{results}/../private.txt",
        f"{results}/link",
        results,
        "",
        "private.txt",
        "http://x/y",
    ):
        assert ask(door, f"/file={name}")[0] == 403, name
        assert ask(door, f"/file/{name}")[0] == 403, name


def test_gradios_proxy_is_closed() -> None:
    for path in ("/proxy=https://x.example/", "/monitoring", "/dev/reload"):
        assert ask(door_of(inner), path)[0] == 404


async def stores(scope: Any, receive: Any, send: Any) -> None:
    """An app that serves whatever it is asked for as the kind that its name tells."""
    kinds = {
        "html": "text/html",
        "svg": "image/svg+xml",
        "png": "image/png",
        "mp4": "video/mp4",
        "wav": "audio/wav",
    }
    kind = kinds.get(scope["path"].rpartition(".")[2], "application/json")
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", b"1"),
        (b"content-disposition", b"inline"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x"})


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.json", "a.xhtml", "A.HTML", "a"])
def test_what_a_browser_might_run_is_for_saving_only(tmp_path: Path, name: str) -> None:
    headers = ask(door_of(stores, tmp_path), f"/file={tmp_path}/{name}")[2]
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment"
    assert headers["content-security-policy"].startswith("sandbox")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.wav"])
def test_pictures_sounds_and_videos_are_shown(tmp_path: Path, name: str) -> None:
    headers = ask(door_of(stores, tmp_path), f"/file={tmp_path}/{name}")[2]
    assert headers["content-type"] != "application/octet-stream"
    assert headers["content-disposition"] == "inline"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/", "/config", SCRIPT_URL, "/sadtalker/v1/version", "/proxy=http://x", "/upload"]
)
def test_no_answer_is_guessed_at(path: str) -> None:
    assert ask(door_of(stores), path)[2]["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_to_this_page_works_and_nothing_else_from_other_pages(site: str) -> None:
    def told(path: str, method: str, mode: str, dest: str) -> int:
        fetched = {"sec_fetch_site": site, "sec_fetch_mode": mode, "sec_fetch_dest": dest}
        return ask(door_of(inner), path, method, **fetched)[0]

    assert told("/", "GET", "navigate", "document") == 200
    for path in ("/", "/queue/data", "/sadtalker/v1/jobs", SCRIPT_URL):
        for mode, dest in (
            ("no-cors", "image"),
            ("navigate", "iframe"),
            ("cors", "empty"),
            ("no-cors", "script"),
        ):
            assert told(path, "GET", mode, dest) == 403
        assert told(path, "POST", "navigate", "document") == 403
        assert told(path, "DELETE", "cors", "empty") == 403
    assert ask(door_of(inner), "/queue/data", sec_fetch_site="same-origin", sec_fetch_mode="cors")[0] == 200
    assert ask(door_of(inner), "/queue/data", sec_fetch_site="none", sec_fetch_mode="navigate")[0] == 200
