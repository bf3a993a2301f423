"""What is sent to gradio: files only as uploads, whatever an address or a path is hidden in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the server needs starlette")

from sadtalker_ext.api.limits import Limits
from sadtalker_ext.api.replies import Refusal
from sadtalker_ext.server.events import MOST_VALUES, checked_event, is_address
from sadtalker_ext.server.uploads import Uploads

SITES = {"127.0.0.1:7865", "my.example"}
PICTURE = "data:image/png;base64,iVBORw0KGgo="
META = {"_type": "gradio.FileData"}
ADDRESSES = [
    "http://127.0.0.1:9/x.png", "https://example.org/x.png", "ftp://example.org/x", "file:///etc/passwd",
    "HTTP://127.0.0.1:9/x.png", "hTtPs://example.org", "//127.0.0.1:9/x.png", "\\\\127.0.0.1\\share\\x.png",
    " http://127.0.0.1:9/", "\thttp://127.0.0.1:9/", "\nhttp://127.0.0.1:9/", "\x00http://127.0.0.1:9/",
    "ht\ntp://127.0.0.1:9/", "\u200bhttp://127.0.0.1:9/", "\ufeffhttp://127.0.0.1:9/", "http:\\\\127.0.0.1:9",
    "http%3A%2F%2F127.0.0.1:9/", "%68ttp://127.0.0.1:9/", "ｈttp://127.0.0.1:9/", "http：//127.0.0.1:9/",
    "/\\127.0.0.1/x", "\\/127.0.0.1/x", "gopher://127.0.0.1:9/", "http:/127.0.0.1:9/", "http://[::1]:9/x",
    "http://2130706433/", "http://user@127.0.0.1:9/", "jar:http://127.0.0.1:9/!x",
]  # fmt: skip


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    (tmp_path / "uploads" / "abc").mkdir(parents=True)
    (tmp_path / "uploads" / "abc" / "my picture.png").write_bytes(b"x")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "uploads" / "abc" / "link.png").symlink_to(tmp_path / "secret.txt")
    return Uploads(tmp_path / "uploads", Limits())


def sent(uploads: Uploads, *data: Any, **more: Any) -> Any:
    body = json.dumps({"data": [*data], "fn_index": 3, **more}).encode()
    return json.loads(checked_event(bytearray(body), uploads, SITES))


def refused(uploads: Uploads, *data: Any, **more: Any) -> None:
    with pytest.raises(Refusal) as told:
        sent(uploads, *data, **more)
    assert told.value.status == 403
    assert "upload the file" in told.value.sentence


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_no_file(uploads: Uploads, address: str) -> None:
    path = str(uploads.folder / "abc" / "my picture.png")
    assert is_address(address) or address.startswith("jar:")
    for file in (
        {"path": address, "meta": META},
        {"path": address},
        {"path": path, "url": address, "meta": META},
        {"path": path, "orig_name": address} if is_address(address) else {"path": address},
        {"name": address, "data": None, "is_file": True},
        {"name": address, "data": PICTURE, "is_file": True},
        {"name": "x.png", "data": address, "is_file": True},
        {"name": address, "is_file": "yes"},
        {"video": {"path": address, "meta": META}, "subtitles": None},
        {"video": address},
        {"image": address, "caption": None},
        {"background": None, "layers": [{"path": address}], "composite": None},
        {"meta": {"path": address}},
    ):
        refused(uploads, file)
        refused(uploads, "text", None, [[file]])
        refused(uploads, {"deep": [{"er": {"state": file}}]})
        refused(uploads, event_data={"index": 0, "value": file})
        refused(uploads, trigger_id=file)
        refused(uploads, session_hash={"a": file})
        refused(uploads, **{"state": [file]})


@pytest.mark.parametrize(
    "path",
    [
        "{secret}", "{folder}/../secret.txt", "{folder}/abc/../../secret.txt", "{folder}/abc/link.png",
        "{folder}", "{folder}2/x.png", "/etc/passwd", "", ".", "abc/my picture.png", "~/x", "{folder}/abc",
        "{picture}\x00.png",
        "/proc/self/environ", "C:\\Windows\\win.ini", "{folder}/abc/%2e%2e/%2e%2e/secret.txt", PICTURE,
    ],
)  # fmt: skip
def test_a_path_of_the_server_is_no_file(uploads: Uploads, path: str) -> None:
    folder = uploads.folder
    path = path.format(
        secret=folder.parent / "secret.txt", folder=folder, picture=folder / "abc" / "my picture.png"
    )
    for file in ({"path": path, "meta": META}, {"name": path, "data": None, "is_file": True}):
        if file.get("name") == PICTURE:
            continue  # which names nothing
        with pytest.raises(Refusal) as told:
            sent(uploads, file)
        assert told.value.status in (403, 410)


def test_uploads_and_contents_pass(uploads: Uploads) -> None:
    path = str(uploads.folder / "abc" / "my picture.png")
    for url in (f"http://127.0.0.1:7865/file={path}", f"https://my.example/app/file={path}", f"/file={path}"):
        for said in (url, url.replace(" ", "%20")):
            file = {"path": path, "url": said, "orig_name": "my picture.png", "size": 1, "meta": META}
            assert sent(uploads, file, event_data=None)["data"] == [{**file, "url": None}]
            old = {"name": path, "data": said, "is_file": True, "orig_name": "a.png"}
            assert sent(uploads, [old])["data"][0][0] in (old, {**old, "data": None})
    assert sent(uploads, {"name": "../a/b.png", "data": PICTURE})["data"] == [
        {"name": "b.png", "data": PICTURE}
    ]
    told = [
        "See https://example.org, and C:\\x",
        PICTURE,
        1.5,
        None,
        True,
        {"index": [1, 2], "value": "Lively"},
    ]
    assert sent(uploads, *told)["data"] == told


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/file={path}", "http://127.0.0.1:7865/file=/etc/passwd", "ftp://127.0.0.1:7865/file={path}",
        "http://127.0.0.1:7865/proxy=http://evil.example/", "http://127.0.0.1:7865", "http://127.0.0.1:7866/file={path}",
        "http://127.0.0.1:7865@evil.example/file={path}", "http://[/file={path}", "blob:http://127.0.0.1:7865/1",
    ],
)  # fmt: skip
def test_an_address_beside_a_path_is_this_servers_own(uploads: Uploads, url: str) -> None:
    path = str(uploads.folder / "abc" / "my picture.png")
    refused(uploads, {"path": path, "url": url.format(path=path), "meta": META})


def test_of_a_key_that_comes_twice_nobody_reads_the_other(uploads: Uploads) -> None:
    path = str(uploads.folder / "abc" / "my picture.png")
    twice = f'{{"data": [{{"path": "http://127.0.0.1:9/", "path": "{path}"}}], "data": [1], "data": [2]}}'
    assert json.loads(checked_event(bytearray(twice.encode("utf-16")), uploads, SITES)) == {"data": [2]}
    once = f'{{"data": [{{"path": "http://127.0.0.1:9/", "path": "{path}"}}]}}'
    clean = checked_event(bytearray(once.encode()), uploads, SITES)
    assert b"127.0.0.1" not in clean


def test_who_asks_is_not_for_the_sender_to_say(uploads: Uploads) -> None:
    assert "request" not in sent(uploads, request={"username": "ann", "url": "http://127.0.0.1/"})


def test_an_upload_that_is_gone_is_told(uploads: Uploads) -> None:
    with pytest.raises(Refusal, match="choose the file again") as told:
        sent(uploads, {"path": str(uploads.folder / "abc" / "old.png"), "meta": META})
    assert told.value.status == 410


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\x1f\x8b\x08", b'{"data": [NaN]}', b'{"data": [1e999]}', b"[" * 100_000,
        b'{"data":' + b"[" * 50_000 + b"]" * 50_000 + b"}", b'{"data": [' + b"9" * 5000 + b"]}",
        b'{"data": [' + b"0," * MOST_VALUES + b"0]}", b"\xff\xfe{", b"data=1&path=http://x",
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(uploads: Uploads, body: bytes) -> None:
    with pytest.raises(Refusal) as told:
        checked_event(bytearray(body), uploads, SITES)
    assert told.value.status == 422
