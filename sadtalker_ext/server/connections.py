"""Connections to our server, of which each has to say soon what it wants."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = (
    20.0  # from the first byte of a request, or from a new connection, to the end of its headers
)
MOST_WAITING = 256  # connections that have not said it; of more, the oldest goes
MOST_HEADER_BYTES = 1 << 16
MOST_MESSAGE_BYTES = 1 << 25  # of a websocket, by which gradio 3 sends pictures

_waiting: dict[Connection, asyncio.TimerHandle] = {}  # the oldest first


class Connection(H11Protocol):
    """Uvicorn's, which by itself waits for headers for ever."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE:
            self._await_request()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        if self in _waiting:
            return
        _waiting[self] = self.loop.call_later(REQUEST_SECONDS, self._give_up)
        if len(_waiting) > MOST_WAITING:
            next(iter(_waiting))._give_up()

    def _give_up(self) -> None:
        self._stop_waiting()
        self.transport.close()

    def _stop_waiting(self) -> None:
        timer = _waiting.pop(self, None)
        if timer is not None:
            timer.cancel()
