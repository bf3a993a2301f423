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


@pytest.mark.parametrize(
    "begun", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nA: " + b"b" * 900]
)
def test_headers_that_do_not_come_are_not_waited_for(
    address: tuple[str, int], begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    with socket.create_connection(address) as client:
        client.sendall(begun)
        assert closed(client)
    with socket.create_connection(address) as client:  # nor in a later request on the same connection
        client.settimeout(PATIENCE)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"hi"):
            answer += client.recv(1000)
        client.sendall(begun or b"G")
        assert closed(client)
    assert not connections._waiting


def test_a_slow_body_has_its_own_limits(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    with socket.create_connection(address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        with socket.create_connection(address) as other:
            assert closed(other)  # so that the time is over
        client.sendall(b"ab")
        client.settimeout(PATIENCE)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_of_many_that_wait_the_oldest_goes(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_WAITING", 3)
    with socket.create_connection(address) as oldest:
        others = [socket.create_connection(address) for _ in range(3)]
        assert closed(oldest)
        for other in others:
            other.settimeout(PATIENCE)
            other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.recv(1000).startswith(b"HTTP/1.1 200")
            other.close()
