"""What the REST API refuses, one wrong thing at a time: always 4xx with a sentence, never a file left."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sadtalker_ext.api import intake
from sadtalker_ext.api.words import REQUEST
from sadtalker_ext.audio import say
from sadtalker_ext.errors import Foreign, Named, Place, WeightsError
from sadtalker_ext.tracks import ARKIT

V1 = "/sadtalker/v1"
JOBS = f"{V1}/jobs"


def refused(answer: Any, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert list(document) == ["error"]
    assert document["error"].endswith((".", ")"))
    for word in words:
        assert word in document["error"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"picture": None}, "No picture"),
        ({"idle": None}, "Nothing to say"),
        ({"picture": "/etc/passwd"}, "picture must be the content"),
        ({"picture": "../../secret.png"}, "picture must be the content"),
        ({"picture": "file:///etc/passwd"}, "picture must be the content"),
        ({"picture": "https://example.com/a.png"}, "picture must be the content"),
        ({"picture": "data:image/png,abc"}, "picture must be the content"),
        ({"picture": "C:\\a.png"}, "picture must be the content"),
        ({"picture": ""}, "picture is empty"),
        ({"picture": "AAAA"}, "cannot be read"),
        ({"picture": 5}, "picture must be the content"),
        ({"picture": ["x"]}, "picture must be the content"),
        ({"picture": "ü"}, "picture must be the content"),
        ({"idle": None, "speech": "/etc/passwd.wav"}, "speech must be the content"),
        ({"speech": "UklGRg=="}, "only one of speech, text and idle"),
        ({"idle": "3"}, "idle must be"),
        ({"idle": True}, "idle must be"),
        ({"idle": -1}, "idle must be"),
        ({"idle": 1e300}, "idle must be"),
        ({"idle": 10**300}, "idle must be"),
        ({"idle": 3601}, "idle must be"),
        ({"options": []}, "options must be an object"),
        ({"options": "x"}, "options must be an object"),
        ({"options": {"ref_pose": "/etc/passwd"}}, "ref_pose cannot be a path"),
        ({"options": {"ref_blink": None}}, "ref_blink cannot be a path"),
        ({"options": {"overwrite": True}}, "overwrite"),
        ({"options": {"nothing": 1}}, "Unknown option 'nothing'"),
        ({"options": {"\ud800": 1}}, "Unknown option"),
        ({"options": {"idle": 2}}, "Give idle once"),
        ({"options": {"gaze": "much"}}, "gaze must be a number"),
        ({"options": {"seed": 0.5}}, "seed must be a whole number"),
        ({"options": {"yaw": [[[1]]]}}, "yaw must be"),
        ({"options": {"engine": "other"}}, "engine must be one of"),
        ({"options": {"head_motion": 99}}, "head_motion must be"),
        ({"options": {"points": [[1, 2]]}}, "points must be"),
        ({"options": {"face": 1, "face_at": [1, 2]}}, "only one of face"),
        ({"manner_preset": "Nobody"}, "Unknown preset"),
        ({"manner_preset": 1}, "preset must be a string"),
        ({"preset": "Nobody"}, "Unknown preset"),
        ({"preset": 1}, "preset must be a string"),
        ({"preset": "Lively", "manner_preset": "Lively"}, "give it once"),
        ({"format": "exe"}, "format must be one of"),
        ({"format": "../x.mp4"}, "format must be one of"),
        ({"output": "/tmp/x.mp4"}, "Unknown field 'output'"),
        ({"\ud800": 1}, "Unknown field"),
        ({"voice": "x"}, "voice was given without"),
        ({"track": "UEsDBA=="}, "damaged or no"),
        ({"track": "UEsDBA==", "idle": None}, "damaged or no"),
        ({"track": "YSxiCjEsMgo="}, "track"),
    ],
)
def test_refused(client, encoded, temp, fields, words):
    sent = {"picture": encoded, "idle": 1, **fields}
    answer = client.post(JOBS, content=json.dumps(sent), headers={"Content-Type": "application/json"})
    refused(answer, 422, words)
    assert [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[]", b"3", b'"x"', b"\xff\xfe\x00", b'{"idle": NaN}', b'{"idle": -Infinity}',
        b"[" * 100_000, b'{"a":' * 100_000, b'{"options": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"options": {"yaw": ' + b"[" * 980 + b"1" + b"]" * 980 + b"}}",
        b'{"idle": ' + b"9" * 5000 + b"}", b'{"idle": 1} x', b"\x00" * 10,
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["jobs", "detect"])
def test_json_that_is_none(client, temp, content, path):
    answer = client.post(f"{V1}/{path}", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert list(answer.json()) == ["error"]
    assert [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []


XYZ = "multipart/form-data; boundary=xyz"
HEAD = 'Content-Disposition: form-data; name="{}"'


def form(*parts: bytes, end: bytes = b"--xyz--\r\n") -> bytes:
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + end


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "multipart/form-data", 400),
        (b"", "multipart/form-data; boundary=", 400),
        (b"", XYZ, 400),
        (b"nothing", XYZ, 400),
        (b"--xyz", XYZ, 400),
        (b"--xyz\r\n", XYZ, 400),
        (b"--xyz" + b" " * 10_000, XYZ, 400),
        (b"--xyzzy\r\n", XYZ, 400),
        (b"--xyz--", XYZ, 422),
        (form(b"\r\nx"), XYZ, 400),
        (form(b"X: y\r\n\r\nx"), XYZ, 400),
        (form(b"X: " + b"y" * 10_000 + b"\r\n\r\nx"), XYZ, 400),
        (form(HEAD.format("idle").encode() + b"\r\n\r\n1", end=b""), XYZ, 400),
        (form(HEAD.format("idle").encode() + b"\r\n\r\nNaN"), XYZ, 400),
        (form(HEAD.format("idle").encode() + b"\r\n\r\n\xff"), XYZ, 422),
        (form(HEAD.format("other").encode() + b"\r\n\r\n1"), XYZ, 422),
        (form(*[HEAD.format("idle").encode() + b"\r\n\r\n1"] * 2), XYZ, 422),
        (form(HEAD.format("picture").encode() + b"\r\n\r\n/etc/x"), XYZ, 422),
        (form(HEAD.format("text").encode() + b"\r\n\r\n" + b"x" * 2**21), XYZ.replace("xyz", '"xyz"'), 413),
    ],
)  # fmt: skip
def test_forms_that_are_none(client, temp, content, kind, status):
    answer = client.post(JOBS, content=content, headers={"Content-Type": kind})
    refused(answer, status)
    assert [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []


def test_a_form_in_single_bytes_is_the_same(client, picture, maker, wait):
    name = HEAD.format("picture") + '; filename="a\\"b/../../c.png"\r\nContent-Type: image/png'
    tricky = picture + b"\r\n--xy\r\n-\r\n--"
    content = b"preamble\r\n" + form(
        name.encode() + b"\r\n\r\n" + tricky, HEAD.format("idle").encode() + b"\r\n\r\n1"
    )

    def pieces() -> Any:
        for byte in content:
            yield bytes([byte])

    maker.held.clear()
    answer = client.post(JOBS, content=pieces(), headers={"Content-Type": XYZ})
    assert answer.status_code == 202, answer.text
    maker.wait_begun()
    assert maker.requests[0].picture.read_bytes() == tricky
    assert maker.requests[0].picture.name == "picture.png"


@pytest.mark.parametrize("kind", ["application/json", XYZ])
@pytest.mark.parametrize("stated", [True, False])
def test_bodies_have_a_limit_also_when_they_do_not_tell_their_size(serve, temp, kind, stated):
    client = serve(json_bytes=50_000, form_bytes=50_000)
    taken = 0

    def pieces() -> Any:
        nonlocal taken
        yield b"--xyz\r\n" + (HEAD.format("picture") + '; filename="x"').encode() + b"\r\n\r\n"
        while taken < 10_000_000:
            taken += 10_000
            yield b"x" * 10_000

    content: Any = b"x" * 50_001 if stated else pieces()
    answer = client.post(JOBS, content=content, headers={"Content-Type": kind})
    refused(answer, 413, "larger than 0.04768 MB")
    assert [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []


def test_a_wrong_content_length_is_no_matter(client):
    headers = {"Content-Type": "application/json", "Content-Length": "9" * 30}
    refused(client.post(JOBS, content=b"{}", headers=headers), 413)


def png_of(width: int, height: int) -> bytes:
    """A valid PNG header that promises this many pixels, with next to no data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8001, 8000), (20_000, 20_000), (65_000, 65_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("path", ["jobs", "detect"])
def test_pictures_that_unpack_to_too_much(client, size, path):
    sent = {"picture": base64.b64encode(png_of(*size)).decode()}
    sent |= {"idle": 1} if path == "jobs" else {}
    refused(client.post(f"{V1}/{path}", json=sent), 422, "picture")


@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n(/etc/passwd) run\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"#EXTM3U\nfile:///etc/passwd\n",
    ],
)
@pytest.mark.parametrize("path", ["jobs", "detect"])
def test_what_is_no_picture(client, content, path):
    sent = {"picture": base64.b64encode(content).decode(), **({"idle": 1} if path == "jobs" else {})}
    refused(client.post(f"{V1}/{path}", json=sent), 422, "picture")


def test_a_damaged_picture_in_detect(client, picture):
    cut = base64.b64encode(picture[: len(picture) // 2]).decode()
    (notice,) = client.post(f"{V1}/detect", json={"picture": cut}).json()["notices"]
    assert "cut short" in notice
    broken = base64.b64encode(picture[:16] + b"rubbish" * 90).decode()
    refused(client.post(f"{V1}/detect", json={"picture": broken}), 422, "picture")


@pytest.mark.parametrize("fields", [{}, {"detector": 3}, {"detector": "x"}, {"detector": ["auto"]}, {"a": 1}])
def test_detect_refuses(client, encoded, fields):
    sent = {"picture": encoded, **fields} if fields else {}
    refused(client.post(f"{V1}/detect", json=sent), 422)


def test_nothing_is_downloaded_where_that_is_switched_off(client, shell, encoded):
    shell.given = replace(shell.given, downloads=False)
    refused(
        client.post(f"{V1}/detect", json={"picture": encoded, "detector": "face-alignment"}), 422, "download"
    )
    sent = {"picture": encoded, "idle": 1, "options": {"detector": "face-alignment"}}
    refused(client.post(JOBS, json=sent), 422, "download")


def npz(**parts: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **parts)
    return file.getvalue()


def track_parts(**changed: Any) -> dict[str, Any]:
    parts = {
        "version": np.int64(1),
        "space": np.str_("arkit"),
        "columns": np.array(ARKIT.columns),
        "fps": np.float64(25),
        "data": np.zeros((5, 55), np.float32),
    }
    return {**parts, **changed}


def zip_of(name: str, content: bytes, packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def huge_array() -> bytes:
    """An .npy that promises far more numbers than it holds."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (900000000000, 55), }"
    header += b" " * (118 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        npz(data=np.zeros(3)),
        npz(**track_parts(fps=np.float64("nan"))),
        npz(**track_parts(fps=np.float64(1e-9))),
        npz(**track_parts(data=np.full((5, 55), np.inf))),
        npz(**track_parts(data=np.array([{"a": 1}], dtype=object))),
        npz(**track_parts(space=np.str_("../../etc/passwd"))),
        npz(**track_parts(fps=np.float64(0.001))),  # hours
        zip_of("data.npy", huge_array()),
        zip_of("../../evil.npy", b"x"),
        zip_of("data.npy", b"\x93NUMPY\x01\x00" + b"\xff" * 50),
        npz(**track_parts())[:-40],
        npz(**track_parts()).replace(b"data", b"date"),
        bytes(byte ^ (0x55 if 60 < i < 90 else 0) for i, byte in enumerate(npz(**track_parts()))),
        b"PK\x03\x04" + b"\0" * 100,
        b"Timecode,BlendShapeCount\n" + b"\xff" * 100,
        b"\0" * 1000,
    ],
)
def test_damaged_tracks(client, picture, temp, content):
    answer = client.post(JOBS, files={"picture": ("p", picture, ""), "track": ("t.npz", content, "")})
    refused(answer, 422)
    assert [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []


def test_an_archive_that_unpacks_to_too_much(serve, picture):
    client = serve(track_bytes=1_000_000)
    content = zip_of("data.npy", b"\0" * 2_000_000)
    answer = client.post(JOBS, files={"picture": ("p", picture, ""), "track": ("t.npz", content, "")})
    refused(answer, 422, "too large")


def test_texts(client, encoded, maker, wait, monkeypatch):
    voice = say.Voice("prog:en", "English", "en", "prog")
    monkeypatch.setattr(say, "voices", lambda models_dir=None: (voice,))
    rows = client.get(f"{V1}/voices").json()["voices"]
    assert rows == [{"id": "prog:en", "name": "English", "language": "en", "program": "prog"}]
    for wrong in ("", "  ", "\x00", "x" * 5001, "\ud800", 5, ["x"], {"a": 1}):
        content = json.dumps({"picture": encoded, "text": wrong})
        refused(client.post(JOBS, content=content, headers={"Content-Type": "application/json"}), 422)
    sent = {"picture": encoded, "text": "Hello there; rm -rf $(pwd)"}
    refused(client.post(JOBS, json={**sent, "voice": "../../voice.onnx"}), 422, "Unknown voice")
    answer = client.post(JOBS, json={**sent, "voice": "prog:en"})
    assert answer.status_code == 202
    wait(client, answer.json()["id"])
    assert (maker.requests[0].text, maker.requests[0].voice) == (sent["text"], "prog:en")


def test_text_without_a_speech_program(client, encoded, monkeypatch):
    monkeypatch.setattr(say, "voices", lambda models_dir=None: ())
    refused(client.post(JOBS, json={"picture": encoded, "text": "Hello"}), 422, "No speech program")


def test_a_full_disk_is_no_500(client, encoded, monkeypatch):
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    answer = client.post(JOBS, json={"picture": encoded, "idle": 1})
    refused(answer, 503, "No space left on device")


def test_a_fault_of_ours_is_told_without_its_insides(client, encoded, monkeypatch):
    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError("secret insides")

    monkeypatch.setattr(intake, "_check_sources", broken)
    answer = client.post(JOBS, json={"picture": encoded, "idle": 1})
    refused(answer, 500, "ZeroDivisionError")
    assert "secret" not in answer.text


def test_catalogues(client, shell):
    engines = client.get(f"{V1}/engines").json()["engines"]
    assert {row["name"]: row["ready"] for row in engines} == {
        "sadtalker": False,
        "instant": True,
        "codetalker": False,
    }
    assert {"ready", "needs", "summary", "composition"} <= set(engines[0])
    assert all({"name", "present", "optional", "remedy"} == set(need) for need in engines[0]["needs"])
    assert str(shell.host.models_dir().parent) not in json.dumps(engines)
    models = client.get(f"{V1}/models").json()["models"]
    assert models
    assert all(row["state"] for row in models)
    assert str(shell.host.models_dir().parent) not in json.dumps(models)
    schema = client.get(f"{V1}/schema").json()
    assert {"head_motion", "seed", "points"} <= set(schema["properties"])
    assert not {"ref_pose", "ref_blink", "ref_face", "overwrite"} & set(schema["properties"])
    assert schema["x-presets"]["Lively"]["head_motion"] == 1.5
    version = client.get(f"{V1}/version").json()
    assert (version["host"], version["formats"]) == ("fake", ["mp4", "webm", "gif"])
    assert version["limits"]["seconds"] == 3600.0


def test_the_schema_is_what_jobs_take(client, encoded):
    properties = client.get(f"{V1}/schema").json()["properties"]
    defaults = {name: knob["default"] for name, knob in properties.items() if name != "idle"}
    answer = client.post(JOBS, json={"picture": encoded, "idle": 1, "options": defaults})
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        (Place("/home/me/my models/SadTalker", "the folder for models"), "the folder for models"),
        (Path("/srv/x y/f.pth"), "f.pth"),
        (OSError(13, "Permission denied", "/srv/f.pth"), "Permission denied"),
        (WeightsError("{path} is cut off.", path=Path("/srv/f.pth")), "f.pth is cut off"),
        (ValueError("no tensor in /srv/f.pth"), "details are not told here"),
        (Foreign(r"C:\Users\me\f.pth: bad"), "details are not told here"),
        (ValueError("one byte is missing"), "one byte is missing"),
        (Named("face_at"), "face_at"),
        ("3/4 of {it}", "3/4 of {it}"),
    ],
)
def test_folders_of_the_server_are_not_told(fact, told):
    assert WeightsError("It is so ({fact}).", fact=fact).worded(REQUEST) == f"It is so ({told})."
