"""Bodies of requests as they arrive: no larger, no slower and no more at one time than the limits allow."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.requests import ClientDisconnect

from .limits import MEGABYTE, Limits
from .replies import Refusal

LOOK_SECONDS = 0.05  # between looks for room
LONGEST_NUMBER = 18  # digits of a stated length
RETRY = {"Retry-After": "30"}


class Pace:
    """Whether bytes come at a rate (bytes per second) on the whole; they may fall behind by `seconds`."""

    def __init__(self, rate: float, seconds: float) -> None:
        self._rate, self._seconds = rate, seconds
        self.until = time.monotonic() + seconds

    def take(self, count: int) -> None:
        """So many bytes came just now. What came fast is no credit for hours of waiting."""
        self.until = min(self.until + count / self._rate, time.monotonic() + self._seconds)


class Arrival:
    """One body that is being read. client: whose it is; scope: cancelled where it has to make room."""

    def __init__(self, client: str, limits: Limits) -> None:
        self.client = client
        self.scope = anyio.CancelScope()
        self._limits = limits
        self._end = time.monotonic() + limits.upload_seconds
        self._pace = Pace(limits.body_rate, limits.body_seconds)
        self._busy_pace = Pace(limits.busy_rate, limits.busy_seconds)

    @property
    def behind(self) -> float:
        """Seconds for which it has been slower than bodies may be while others wait; negative: it is not."""
        return time.monotonic() - self._busy_pace.until

    async def pieces(
        self, receive: Callable[[], Awaitable[Any]], headers: Mapping[str, str], limit: int
    ) -> AsyncIterator[bytes]:
        """The body; `Refusal` (408, 413) where it does not come in time or has more than `limit` bytes."""
        too_large = _too_large(limit)
        stated = headers.get("content-length", "")
        if stated.isdecimal() and (len(stated) > LONGEST_NUMBER or int(stated) > limit):
            raise too_large
        total, more = 0, True
        while more:
            left = min(self._pace.until, self._end) - time.monotonic()
            try:
                with anyio.fail_after(max(0.0, left)):
                    message = await receive()
            except TimeoutError:
                told = "The rest of the request did not come in time; send it again."
                raise Refusal(408, told, {"Connection": "close"}) from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece, more = message.get("body", b""), message.get("more_body", False)
            total += len(piece)
            if total > limit:
                raise too_large
            self._pace.take(len(piece))
            self._busy_pace.take(len(piece))
            if not more:
                self._busy_pace.until = math.inf  # what takes time now is ours
            yield piece


class Arrivals:
    """The bodies that are read at one time. Where there is no room, the slowest one has to make some."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reading: list[Arrival] = []

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[Arrival]:
        """Room for one more body of that client; `Refusal` (503) where there is none, or none any more."""
        await self._room(client)
        arrival = Arrival(client, self._limits)
        self._reading.append(arrival)
        whole = False
        try:
            with arrival.scope:
                yield arrival
                whole = True
        finally:
            self._reading.remove(arrival)
        if not whole:
            told = "This request came too slowly while others were waiting; send it again."
            raise Refusal(503, told, {**RETRY, "Connection": "close"})

    async def _room(self, client: str) -> None:
        patience = time.monotonic() + self._limits.wait_seconds
        while True:
            own = [arrival for arrival in self._reading if arrival.client == client]
            if len(own) < self._limits.bodies_each and len(self._reading) < self._limits.bodies:
                return
            _evict(own if len(own) >= self._limits.bodies_each else self._reading)
            if time.monotonic() >= patience:
                raise Refusal(503, "Too many requests came at one time; try again soon.", RETRY)
            await anyio.sleep(LOOK_SECONDS)


def _evict(arrivals: Iterable[Arrival]) -> None:
    slowest = max(arrivals, key=lambda arrival: arrival.behind)
    if slowest.behind > 0:
        slowest.scope.cancel()


def _too_large(limit: int) -> Refusal:
    told = f"The request is larger than {limit / MEGABYTE:.4g} MB"
    if limit < MEGABYTE * 32:
        return Refusal(413, f"{told}; send files as a form (multipart/form-data), or smaller ones.")
    return Refusal(413, f"{told}; send a smaller picture or recording.")


def client_of(scope: Mapping[str, Any], headers: Mapping[str, str], user: str = "") -> str:
    """Whose requests share a part of the room: a user, or else an address; a proxy here tells whose it is."""
    if user:
        return user
    address = (scope.get("client") or ("", 0))[0]
    forwarded = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded or address if address in ("127.0.0.1", "::1", "") else address
