"""One request for every way in: to JSON and back, and where its video goes."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sadtalker_ext.errors import OptionsError
from sadtalker_ext.options import Options
from sadtalker_ext.request import Request
from sadtalker_ext.shell import placed
from sadtalker_ext.tracks import MotionTrack

FIVE = ((40, 52), (88, 52), (64, 76), (48, 96), (80, 96))
PATHS = {"ref_pose": "a.mp4", "template": "head.ply"}
REQUESTS = (
    Request(),
    Request("face.png", "speech.wav"),
    Request("face.png", text="Good morning!", voice="espeak-ng:en-us", suffix=".gif"),
    Request("face.png", "speech.wav", track="motion.npz", output="out.webm"),
    Request(
        "face.png", options=Options(idle=2, engine="instant", yaw=(0, 20), points=FIVE, ref_pose="a.mp4")
    ),
)


def facts(request: Request) -> dict[str, Any]:
    return {entry.name: getattr(request, entry.name) for entry in fields(request)}


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_the_same_after_json(request_: Request) -> None:
    document = request_.to_dict()
    again = Request.from_dict(json.loads(json.dumps(document)))
    assert facts(again) == facts(request_)
    assert again.to_dict() == document


def test_paths_are_written_as_text() -> None:
    document = Request(Path("face.png"), Path("speech.wav"), output=Path("out")).to_dict()
    assert document == {"picture": "face.png", "speech": "speech.wav", "output": "out", "suffix": ".mp4"}


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (Request(np.zeros((8, 8, 3), np.uint8)), "picture"),
        (Request("a.png", (np.zeros(8, np.float32), 16000)), "speech"),
        (Request("a.png", track=MotionTrack.rest(2, 25.0)), "track"),
    ],
)
def test_what_is_in_memory_cannot_be_written(request_: Request, name: str) -> None:
    with pytest.raises(OptionsError, match=f"The {name} is in memory"):
        request_.to_dict()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"pictur": "a.png"}, "Unknown field 'pictur'"),
        ({1: "a.png"}, "Unknown field '1'"),
        ({"picture": 3}, "picture of a request must be a string"),
        ({"text": ["a"]}, "text of a request must be a string"),
        ({"options": []}, "options of a request must be an object"),
        ({"options": {"gase": 1}}, "Unknown option 'gase'"),
        ({"options": {"gaze": "much"}}, "--gaze must be a number"),
    ],
)
def test_what_is_no_request(document: dict[Any, Any], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        Request.from_dict(document)


def test_files_are_all_that_is_read() -> None:
    request = Request(
        "a.png", Path("b.wav"), track="c.npz", options=Options(ref_pose="d.mp4"), output="e.mp4"
    )
    assert request.files() == [Path("a.png"), Path("b.wav"), Path("c.npz"), Path("d.mp4")]
    assert Request(np.zeros((8, 8, 3), np.uint8), text="a.wav").files() == []


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (Request(Path("me.png"), Path("hello.wav")), "me.mp4"),
        (Request(np.zeros((8, 8, 3), np.uint8), Path("hello.wav"), suffix=".gif"), "hello.gif"),
        (Request(np.zeros((8, 8, 3), np.uint8), text="Hello"), "talking.mp4"),
    ],
)
def test_a_place_among_the_results(request_: Request, name: str) -> None:
    shell: Any = SimpleNamespace(output_file=lambda stem, suffix: Path("results", stem + suffix))
    request = placed(shell, request_)
    assert request.output == Path("results", name)
    assert placed(shell, request) is request
