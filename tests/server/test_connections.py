"""Connections that say nothing, or never come to the point, are closed; others are served."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the server needs uvicorn")

import uvicorn

from sadtalker_ext.server import connections
from sadtalker_ext.server.connections import Connection
from sadtalker_ext.server.server import listen

PATIENCE = 60.0  # s; reached only by a failure


async def hello(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    settings: Any = {"http": Connection, "lifespan": "off", "log_level": "critical", "ws": "none"}
    server = uvicorn.Server(uvicorn.Config(hello, timeout_keep_alive=int(PATIENCE), **settings))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join(PATIENCE)


def closed(client: socket.socket) -> bool:
    """Whether the server ends the connection without a word."""
    client.settimeout(PATIENCE)
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def answer(client: socket.socket, end: bytes) -> bytes:
    """All that the server says up to an end; a connection that is closed before that is a failure."""
    client.settimeout(PATIENCE)
    told = b""
    while not told.endswith(end):
        piece = client.recv(1000)
        assert piece, told
        told += piece
    return told


BEGUN = [b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nA: " + b"b" * 900]


@pytest.mark.parametrize("begun", BEGUN)
def test_headers_that_do_not_come_are_not_waited_for(
    address: tuple[str, int], begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    with socket.create_connection(address) as client:
        client.sendall(begun)
        assert closed(client)
    assert not connections._waiting


@pytest.mark.parametrize("begun", BEGUN)
def test_nor_are_they_in_a_later_request_on_the_same_connection(
    address: tuple[str, int], begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer(client, b"hi")
        monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
        client.sendall(begun or b"G")
        assert closed(client)
    assert not connections._waiting


def test_a_slow_body_has_its_own_limits(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert answer(client, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        assert not connections._waiting
        client.sendall(b"ab")
        assert answer(client, b"hi").startswith(b"HTTP/1.1 200")


def test_of_many_that_wait_the_oldest_goes(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_WAITING", 3)
    with socket.create_connection(address) as oldest:
        others = [socket.create_connection(address) for _ in range(3)]
        assert closed(oldest)
        for other in others:
            other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer(other, b"hi").startswith(b"HTTP/1.1 200")
            other.close()
