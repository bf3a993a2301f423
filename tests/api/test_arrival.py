"""Bodies as they arrive: slow ones make room, one client has not all of it, JSON stays small in memory."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the REST API needs FastAPI")

from fastapi import FastAPI

from sadtalker_ext.api import Limits, arrival
from sadtalker_ext.api.arrival import Arrival, Arrivals, Pace, client_of
from sadtalker_ext.api.replies import Refusal

V1 = "/sadtalker/v1"


async def post(app: Any, body: bytes, *, held: bool, address: str = "10.0.0.1", kind: str = "json") -> Any:
    """Status and headers of the answer to a body of which, where it is held, the end never comes."""
    pieces = [{"type": "http.request", "body": body, "more_body": held}]
    sent: list[Any] = []

    async def receive() -> Any:
        if pieces:
            return pieces.pop()
        await asyncio.sleep(3600)
        return None

    async def send(message: Any) -> None:
        sent.append(message)

    content = b"application/json" if kind == "json" else b"multipart/form-data; boundary=b"
    scope = {
        "type": "http", "method": "POST", "path": f"{V1}/detect", "raw_path": b"", "query_string": b"",
        "headers": [(b"content-type", content), (b"transfer-encoding", b"chunked")],
        "root_path": "", "scheme": "http", "server": ("testserver", 80), "http_version": "1.1",
        "client": (address, 5000),
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize("others", ["10.0.0.1", "10.0.0.2"])
@pytest.mark.parametrize("kind", ["json", "form"])
def test_slow_bodies_do_not_keep_others_out(
    serve: Any, encoded: str, monkeypatch: pytest.MonkeyPatch, others: str, kind: str
) -> None:
    app = FastAPI()
    serve(app=app, bodies=4, bodies_each=4, busy_seconds=0.05, body_seconds=3000.0, wait_seconds=3000.0)
    part = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n'
    starts = {"json": b'{"pic', "form": part}

    async def both() -> int:
        slow = [asyncio.create_task(post(app, starts[kind], held=True, kind=kind)) for _ in range(4)]
        await asyncio.sleep(0)
        status, _ = await post(app, f'{{"picture": "{encoded}"}}'.encode(), held=False, address=others)
        put_off = [task.result() for task in slow if task.done()]
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert [told for told, headers in put_off if headers["retry-after"]] == [503] * len(put_off)
        assert len(put_off) < 4, "only as many make room as must"
        return status

    assert asyncio.run(both()) != 503


def test_one_client_has_a_share_of_the_room() -> None:
    async def ask() -> None:
        places = Arrivals(Limits(bodies=4, bodies_each=2, wait_seconds=0.01))
        async with places.place("ann"), places.place("ann"):
            with pytest.raises(Refusal, match="at one time"):
                async with places.place("ann"):
                    raise AssertionError("more than a share")
            async with places.place("bob"), places.place("bob"):
                with pytest.raises(Refusal, match="at one time"):
                    async with places.place("cleo"):
                        raise AssertionError("more than there is")
        async with places.place("ann"):
            pass

    asyncio.run(ask())


def test_a_proxy_of_this_computer_tells_whose_request_it_is() -> None:
    def named(address: str, user: str = "", **headers: str) -> str:
        return client_of({"client": (address, 1)}, headers, user)

    forwarded = {"x-forwarded-for": "203.0.113.5, 203.0.113.9"}
    assert named("127.0.0.1", **forwarded) == "203.0.113.9"
    assert named("198.51.100.1", **forwarded) == "198.51.100.1"  # who calls himself may say anything
    assert named("127.0.0.1") == "127.0.0.1"
    assert named("127.0.0.1", "ann", **forwarded) == "ann"
    assert client_of({"client": None}, {}) == ""


def test_what_came_fast_is_no_credit_for_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(arrival.time, "monotonic", lambda: now)
    pace = Pace(rate=10.0, seconds=5.0)
    assert pace.until == 105.0
    pace.take(1_000_000)
    assert pace.until == 105.0
    now = 104.0
    pace.take(20)
    assert pace.until == 107.0


@pytest.mark.parametrize("gap", [0.9, 1.1])
def test_a_trickle_is_not_waited_for(gap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(arrival.time, "monotonic", lambda: now)

    async def read() -> int:
        body, count = Arrival("", Limits(body_rate=10.0, body_seconds=5.0, upload_seconds=math.inf)), 0

        async def receive() -> Any:
            nonlocal now, count
            now, count = now + gap, count + 1
            return {"type": "http.request", "body": b"x" * 10, "more_body": count < 60}

        with suppress(Refusal):
            async for _ in body.pieces(receive, {}, 1000):
                await asyncio.sleep(0)  # where a deadline that is over strikes
        return count

    # Ten bytes a second are enough; with ten in 1.1 s it is behind by five after some fifty pieces.
    assert asyncio.run(read()) == (60 if gap < 1 else pytest.approx(50, abs=6))


@pytest.mark.parametrize("unit", ["[],", "{},", "0,", "[[[]]],", '"",', "\n,{}\n,[]"])
def test_json_of_many_values_is_refused_before_it_is_read(client: Any, unit: str) -> None:
    many = "[" + unit * 200_000 + "0]"
    for body in (f'{{"options": {many}}}', many):
        for text in (body.encode(), body.encode("utf-16")):
            told = client.post(f"{V1}/jobs", content=text, headers={"content-type": "application/json"})
            assert told.status_code == 400
            assert "too many values" in told.json()["error"]
    told = client.post(f"{V1}/jobs", data={"options": many[:900_000]}, files={"x": b""})
    assert told.status_code in (400, 422)


def test_files_in_json_have_a_limit_that_names_the_form(client: Any) -> None:
    limit = Limits().json_bytes
    assert limit <= 8 << 20
    text = b'{"picture": "' + b"A" * limit + b'"}'
    told = client.post(f"{V1}/jobs", content=text, headers={"content-type": "application/json"})
    assert told.status_code == 413
    assert "form" in told.json()["error"]
