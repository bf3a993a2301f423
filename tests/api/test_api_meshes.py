"""Meshes in the REST API: a head speaks without a picture, and whatever else is sent as one is refused."""

from __future__ import annotations

import base64
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")
pytest.importorskip("trimesh")
pytest.importorskip("imageio_ffmpeg")

import torch
from tiny_codetalker import SPEECH_SIZES

from sadtalker_ext import pipeline
from sadtalker_ext.api.intake import make_video
from sadtalker_ext.api.words import REQUEST
from sadtalker_ext.engines.codetalker.networks import CodeQuery, QuerySizes, Sizes, VQAutoEncoder
from sadtalker_ext.errors import TrackError
from sadtalker_ext.mesh import load_template
from sadtalker_ext.mesh.draw import MeshRenderer
from sadtalker_ext.tracks import MotionTrack, vertex_space

JOBS = "/sadtalker/v1/jobs"
VERTICES = 12
HEAD = b"\n".join(
    [
        *(b"v %d %d %d" % (n, n % 3, n % 5) for n in range(VERTICES)),
        *(b"f %d %d %d" % (n, n + 1, n + 2) for n in range(1, 11)),
    ]
)
PLY = (
    b"ply\nformat ascii 1.0\nelement vertex 12\nproperty float x\nproperty float y\nproperty float z\n"
    b"element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    + b"".join(b"%d %d %d\n" % (n, n % 3, n % 5) for n in range(VERTICES))
    + b"3 0 1 2\n"
)
BINARY = (
    b"ply\nformat binary_little_endian 1.0\nelement vertex 1000000000000\nproperty float x\n"
    b"property float y\nproperty float z\nelement face 1\nproperty list uint int vertex_indices\nend_header\n"
    + struct.pack("<3f", 0, 1, 2)
    * 3
)
OPTIONS = {"canvas": 64, "fps": 10}


@pytest.fixture
def models(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shell's folder for models, with networks of a mesh of twelve vertices in it."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))  # not among what we leave behind
    folder = shell.host.models_dir()
    folder.mkdir()
    torch.manual_seed(0)
    sizes = Sizes(VERTICES, width=16, hidden=16, layers=1, slots=2, code=8, entries=8)
    query = QuerySizes(VERTICES, styles=3, features=16, width=16, hidden=16, layers=1, speech=SPEECH_SIZES)
    for stage, network in ((1, VQAutoEncoder(sizes)), (2, CodeQuery(query))):
        torch.save({"state_dict": network.checkpoint()}, folder / f"own_stage{stage}.pth.tar")
    yield folder
    pipeline.release()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def refused(answer: Any, *words: str) -> None:
    assert answer.status_code == 422, answer.text
    (sentence,) = answer.json().values()
    for word in words:
        assert word in sentence
    assert "Traceback" not in sentence


@pytest.mark.parametrize("engine", ["codetalker", "auto"])
def test_a_head_speaks_without_a_picture(serve, wait, models, demo_speech, tmp_path, engine) -> None:
    client = serve(make=make_video)
    options = {**OPTIONS, "engine": engine, "end": 0.5, "manner": 2}
    files = {"template": ("my head.stl", HEAD, ""), "speech": ("a.wav", demo_speech.read_bytes(), "")}
    answer = client.post(JOBS, files=files, data={"options": json.dumps(options)})
    assert answer.status_code == 202, answer.text
    done = wait(client, answer.json()["id"])
    assert done["state"] == "done", done
    assert (done["video"]["frames"], done["video"]["engine"]) == (5, "codetalker")
    metadata = client.get(done["links"]["metadata"]).json()
    assert metadata["face"] is None
    assert metadata["options"]["template"] == "template.obj"
    assert str(tmp_path) not in json.dumps(metadata)

    track = client.get(done["links"]["track"]).content
    sent = {"track": encoded(track), "template": encoded(PLY), "options": OPTIONS}
    again = wait(client, client.post(JOBS, json=sent).json()["id"])
    assert (again["state"], again["video"]["frames"]) == ("done", 5), again
    refused(client.get(done["links"]["track"], params={"format": "csv"}), "csv")


def test_a_motion_of_another_head_is_told_without_folders(tmp_path) -> None:
    path = tmp_path / "head.obj"
    path.write_bytes(HEAD)
    track = MotionTrack.rest(2, 25.0, vertex_space(13))
    with pytest.raises(TrackError) as caught:
        list(MeshRenderer(load_template(path), size=64).render(track))
    assert "does not move the 12 vertices of head.obj" in caught.value.worded(REQUEST)


@pytest.mark.parametrize("name", ["head.pkl", "head.obj", "head.ply"])
def test_a_mesh_is_never_taken_as_the_picture(serve, models, name) -> None:
    client = serve(make=make_video)
    for engine, told in (("codetalker", "leave picture out"), ("auto", "picture cannot be read")):
        form = {"idle": "0.3", "options": json.dumps({"engine": engine})}
        refused(client.post(JOBS, files={"picture": (name, HEAD)}, data=form), told)


def test_what_fails_later_is_told_without_folders(serve, wait, models, tmp_path) -> None:
    client = serve(make=make_video)
    sent = {"template": encoded(HEAD), "idle": 0.3, "options": OPTIONS}
    job = client.post(JOBS, json=sent).json()
    assert wait(client, job["id"])["state"] == "done"
    refused(
        client.post(
            JOBS, json={**sent, "template": None, "options": {"engine": "codetalker"}, "picture": "AAAA"}
        ),
        "leave picture out",
    )
    neutral = client.post(JOBS, json={"idle": 0.3, "options": {**OPTIONS, "engine": "codetalker"}}).json()
    failed = wait(client, neutral["id"])
    assert failed["state"] == "failed"
    assert "neutral head cannot show mesh12 motion" in failed["error"]
    assert "(template)" in failed["error"]
    (models / "own_stage2.pth.tar").write_bytes(b"cut off")
    for answer in (client.post(JOBS, json=sent), client.get("/sadtalker/v1/engines")):
        assert "lacks its stage 2 (stage 1 is own_stage1.pth.tar)" in answer.text
        assert str(tmp_path) not in answer.text


def test_a_motion_that_is_too_large_is_not_kept(serve, wait, models) -> None:
    client = serve(make=make_video, track_bytes=100)
    sent = {"template": encoded(HEAD), "idle": 0.3, "options": OPTIONS}
    done = wait(client, client.post(JOBS, json=sent).json()["id"])
    assert done["state"] == "done"
    assert set(done["links"]) == {"self", "video", "metadata"}
    answer = client.get(f"{JOBS}/{done['id']}/track")
    assert answer.status_code == 404
    assert "not kept" in answer.json()["error"]


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("echo no",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x", ".ply or .obj"),
        (b"<html><body># 404</body></html>", ".ply or .obj"),
        (b"#!/bin/sh\nrm -rf /", "no vertices"),
        (pickle.dumps(Hostile()), ".ply or .obj"),
        (pickle.dumps({"ann": np.zeros((VERTICES, 3))}), ".ply or .obj"),
        (pickle.dumps({"ann": np.zeros((VERTICES, 3))}, protocol=0), ".ply or .obj"),
        (HEAD[:40], "vertices"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3", "The mesh has 3 vertices, and the networks here move 12"),
        (HEAD + b"\nf 1 2 99", "damaged"),
        (HEAD + b"\nv 1 2 x", "no usable .obj"),
        (HEAD.replace(b"v 3 0 3", b"v nan 0 0"), "no numbers"),
        (b"\n".join(HEAD.splitlines()[:VERTICES]), "no triangles"),
        (PLY[:-20], "template.ply"),
        (PLY[:60], "template.ply"),
        (BINARY, "template.ply"),
        (b"ply\n" + b"element vertex 3\n" * 9000, "template.ply"),
        (b"ply\0" * 50, "template.ply"),
    ],
)  # fmt: skip
def test_what_is_no_head(client, models, temp, content, words) -> None:
    for options in ({"engine": "codetalker"}, {}):
        answer = client.post(JOBS, json={"template": encoded(content), "idle": 1, "options": options})
        refused(answer, words)
        assert str(temp) not in answer.text
    assert [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []


def test_contradictions(client, serve, models, picture) -> None:
    head, portrait = encoded(HEAD), encoded(picture)
    base = {"template": head, "idle": 1}
    refused(client.post(JOBS, json={**base, "picture": portrait}), "leave template out")
    refused(client.post(JOBS, json={**base, "options": {"engine": "instant"}}), "animates pictures")
    refused(client.post(JOBS, json={**base, "options": {"face_model": "vocaset"}}), "no face model 'vocaset'")
    refused(client.post(JOBS, json={**base, "options": {"person": "ann"}}), "templates.pkl only")
    refused(client.post(JOBS, json={**base, "options": {"template": "/etc/passwd"}}), "cannot be a path")
    small = serve(template_bytes=100)
    refused(small.post(JOBS, json=base), "larger than")


def test_any_bytes(client, models, temp) -> None:
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies
    words = st.sampled_from(
        [b"v 0 0 0\n", b"f 1 2 3\n", b"# x\n", b"element vertex 3\n", b"end_header\n", b"\0", b"-"]
    )
    start = st.sampled_from([b"", b"ply\n", b"ply\nformat ascii 1.0\n", b"v 1 2 3\n", PLY[:90], HEAD[:50]])
    pieces = st.lists(words | st.binary(max_size=20), max_size=8).map(b"".join)

    @hypothesis.settings(
        max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(st.builds(bytes.__add__, start, pieces))
    def check(content: bytes) -> None:
        answer = client.post(JOBS, json={"template": encoded(content), "idle": 1})
        assert answer.status_code == 422, answer.text
        assert list(answer.json()) == ["error"]
        assert str(temp) not in answer.text

    check()
    assert [path for root in temp.iterdir() for path in root.iterdir() if path.is_dir()] == []
