"""Whatever is sent to the REST API, the answer is no 500, says what is wrong, and leaves no file behind."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("hypothesis", reason="property-based tests need hypothesis")

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sadtalker_ext.api.body import from_base64
from sadtalker_ext.api.form import FormReader
from sadtalker_ext.api.intake import VALUE_FIELDS, file_fields, open_knobs
from sadtalker_ext.api.replies import Refusal, byte_range
from sadtalker_ext.options import knobs

V1 = "/sadtalker/v1"
EXAMPLES = int(os.environ.get("SADTALKER_API_EXAMPLES", "40"))
ALLOWED = {200, 202, 206, 400, 401, 403, 404, 405, 408, 409, 413, 415, 416, 422, 429, 503}

# The fixtures are made once for all examples of a test: each must work on what the one before left.
common = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    derandomize="SADTALKER_API_EXAMPLES" not in os.environ,
)

texts = st.text(max_size=30) | st.sampled_from(
    [
        "/etc/passwd",
        "../../x",
        "data:image/png;base64,",
        "data:;base64,AAAA",
        "UEsDBA==",
        "\ud800",
        "auto",
        "1",
    ]
)
numbers = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 0.5, 1e308, 2**64])
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
close_options = st.fixed_dictionaries(
    {},
    optional={
        knob.name: (
            st.sampled_from(knob.choices)
            if knob.choices
            else st.floats(knob.low, knob.high)
            if knob.kind in ("float",)
            else st.lists(st.floats(-50, 50), max_size=5)
            if knob.kind in ("ramp", "point")
            else st.lists(st.lists(st.floats(-9, 999), min_size=2, max_size=2), min_size=4, max_size=6)
            if knob.kind == "points"
            else scalars
        )
        for knob in knobs()
        if knob.name in open_knobs()
    },
)


def check(answer: Any, temp: Any, running: int = 0) -> None:
    assert answer.status_code in ALLOWED, answer.text
    if answer.status_code >= 400:
        document = answer.json()
        assert list(document) == ["error"]
        assert document["error"]
        left = [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()]
        assert len(left) <= running, left
    assert str(temp) not in answer.text


def drain(client: Any, answer: Any) -> None:
    """End and forget the job that was made, if one was."""
    if answer.status_code == 202:
        link = answer.json()["links"]["self"]
        while client.delete(link).status_code != 404:
            pass


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


KIND = {"Content-Type": "application/json"}


@common
@given(document=anything)
def test_any_json(serve_once, document):
    client, temp = serve_once
    for path in ("jobs", "detect"):
        check(client.post(f"{V1}/{path}", content=as_json(document), headers=KIND), temp)


@common
@given(fields=st.dictionaries(st.sampled_from([*file_fields(), *VALUE_FIELDS]), anything, max_size=6))
def test_any_values_of_known_fields(serve_once, encoded, fields):
    client, temp = serve_once
    for sent in (fields, {"picture": encoded, **fields}, {"picture": encoded, "idle": 1, **fields}):
        answer = client.post(f"{V1}/jobs", content=as_json(sent), headers=KIND)
        drain(client, answer)
        check(answer, temp)


@common
@given(
    options=close_options | st.dictionaries(st.sampled_from([k.name for k in knobs()]), anything, max_size=5)
)
def test_any_options(serve_once, encoded, options):
    client, temp = serve_once
    sent = {"picture": encoded, "idle": 1, "options": options}
    answer = client.post(f"{V1}/jobs", content=as_json(sent), headers=KIND)
    drain(client, answer)
    check(answer, temp)


@common
@given(
    content=st.binary(max_size=300),
    kind=st.sampled_from(["application/json", "multipart/form-data; boundary=b"]),
)
def test_any_bytes(serve_once, content, kind):
    client, temp = serve_once
    for path in ("jobs", "detect"):
        check(client.post(f"{V1}/{path}", content=content, headers={"Content-Type": kind}), temp)


DISPOSITION = b"Content-Disposition: form-data; "
part_pieces = st.sampled_from(
    [
        b"--b", b"--b--", b"\r\n", b"\r\n\r\n", b"--", b"-", b" ", b"Content-Type: x", b"1", b"\0",
        DISPOSITION + b'name="idle"', DISPOSITION + b'name="picture"; filename="../a.png"',
        DISPOSITION + b"name=options", b'{"seed": 1}', b"\x89PNG\r\n\x1a\n", b'; filename=""',
        DISPOSITION + b'name="speech"; filename="/etc/passwd"',
    ]
)  # fmt: skip


@common
@given(pieces=st.lists(part_pieces | st.binary(max_size=8), max_size=25))
def test_any_form(serve_once, pieces):
    client, temp = serve_once
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post(f"{V1}/jobs", content=b"".join(pieces), headers=headers)
    drain(client, answer)
    check(answer, temp)


@common
@given(
    parts=st.lists(
        st.binary(max_size=60).filter(lambda data: b"\r\n--b" not in data), min_size=1, max_size=3
    ),
    cuts=st.lists(st.integers(0, 600), max_size=8),
)
def test_a_form_is_the_same_however_it_is_cut(tmp_path_factory, parts, cuts):
    folder = tmp_path_factory.mktemp("form")
    names = [f"f{number}" for number in range(len(parts))]
    body = (
        b"".join(
            b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n%s\r\n'
            % (name.encode(), data)
            for name, data in zip(names, parts, strict=True)
        )
        + b"--b--"
    )
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    reader = FormReader("multipart/form-data; boundary=b", folder, names, ())
    for start, end in pairwise(edges):
        reader.feed(body[start:end])
    reader.finish()
    read = {name: path.read_bytes() for name, path in reader.files.items()}
    assert read == {name: data for name, data in zip(names, parts, strict=True) if data}


@common
@given(
    kind=texts
    | st.sampled_from(['multipart/form-data; boundary="', "application/x+json", "multipart/form-data"])
)
def test_any_content_type(serve_once, kind):
    client, temp = serve_once
    content = kind.encode("utf-8", "replace").replace(b"\n", b"").replace(b"\r", b"").replace(b"\0", b"")
    check(client.post(f"{V1}/jobs", content=b"{}", headers={"Content-Type": content}), temp)


@common
@given(
    job=st.text(max_size=40).filter(lambda text: text not in (".", "..")),
    rest=st.sampled_from(["", "/video", "/track", "/metadata", "/video/../../version"]),
    method=st.sampled_from(["GET", "DELETE", "POST", "HEAD", "PATCH"]),
)
def test_any_job_id(serve_once, job, rest, method):
    from urllib.parse import quote

    client, temp = serve_once
    answer = client.request(method, f"{V1}/jobs/{quote(job, safe='', errors='replace')}{rest}")
    assert answer.status_code in {200, 404, 405, 415}  # "" is the list, and a slash makes another path
    assert str(temp) not in answer.text


@common
@given(page=texts | numbers.map(str), per_page=texts | numbers.map(str), asked=st.text(max_size=30))
def test_any_query(serve_once, done_job, page, per_page, asked):
    client, temp = serve_once
    query = {
        "page": page.encode("utf-8", "replace").decode(),
        "per_page": per_page.encode("utf-8", "replace").decode(),
    }
    check(client.get(f"{V1}/jobs", params=query), temp, running=1)
    check(client.get(done_job + "/track", params={"format": query["page"]}), temp, running=1)
    header = b"bytes=" + asked.encode("ascii", "replace").replace(b"\n", b"").replace(b"\r", b"").replace(
        b"\0", b""
    )
    check(client.get(done_job + "/video", headers={"Range": header}), temp, running=1)


@common
@given(header=st.binary(max_size=40))
def test_any_password(locked_once, header):
    clean = header.replace(b"\n", b"").replace(b"\r", b"").replace(b"\0", b"")
    for value in (clean, b"Basic " + clean):
        answer = locked_once.get(f"{V1}/version", headers={"Authorization": value})
        assert answer.status_code == 401


@common
@given(text=anything)
def test_any_base64(text):
    with suppress(Refusal):
        assert from_base64("picture", text)


@common
@given(
    asked=st.text(max_size=30) | st.from_regex(r"bytes=\d{0,4}-\d{0,4}", fullmatch=True),
    size=st.integers(0, 5000),
)
def test_a_range_lies_within_the_file(asked, size):
    found = byte_range(asked, size)
    if found is not None:
        assert 0 <= found[0] <= size
        assert found[1] <= size


@pytest.mark.parametrize("blanks", [" " * 20_000, "\t" * 20_000])
def test_a_range_of_blanks_alone_is_passed_over_at_once(blanks):
    for asked in (
        f"bytes={blanks}x",
        f"bytes={blanks}-{blanks}x",
        f"{blanks}bytes{blanks}=",
        f"bytes=1-{blanks}x",
    ):
        assert byte_range(asked, 5) is None
    assert byte_range(" bytes = 1 - 2 ", 5) == (1, 3)


@pytest.fixture
def serve_once(serve: Any, temp: Any) -> Any:
    return serve(), temp


@pytest.fixture
def locked_once(serve: Any) -> Any:
    return serve({"ann": "secret"})


@pytest.fixture
def done_job(serve_once: Any, encoded: str, wait: Any) -> str:
    client, _ = serve_once
    job = client.post(f"{V1}/jobs", json={"picture": encoded, "idle": 1}).json()["id"]
    return wait(client, job)["links"]["self"]
