"""What made a video, as a file by anybody tells it: readable lines, whatever is in the document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sadtalker_ext.cli import main
from sadtalker_ext.errors import VideoError
from sadtalker_ext.video import read_metadata
from sadtalker_ext.video.folder import folder_facts, folder_frames

GOOD = {
    "software": "sadtalker_ext",
    "version": "0.1.0",
    "engine": "instant",
    "seed": 3,
    "options": {"crf": 20},
}
ESCAPES = "\x1b[31mred\x1b]0;title\x07\x9b\u202e\nnext\r\u2028\ud800"


@pytest.fixture
def told(tmp_path: Path) -> Any:
    """told(document): the folder of frames that says so of itself; a text stands there as it is."""

    def tell(document: object) -> Path:
        text = document if isinstance(document, str) else json.dumps(document)
        facts = '{"frames": 1, "fps": [25, 1], "width": 64, "height": 64, "document": %s}'
        (tmp_path / "metadata.json").write_text(facts % text)
        return tmp_path

    return tell


STRANGE = [
    {**GOOD, "options": 5},
    {**GOOD, "options": "crf"},
    {**GOOD, "options": ["crf"]},
    {**GOOD, "options": {"yaw": ["a", "b"]}},
    {**GOOD, "options": {"yaw": [[["a"]]]}},
    {**GOOD, "options": {"face_at": [[1, None], {}]}},
    {**GOOD, "options": {"crf": ESCAPES, "lips": {"a": [ESCAPES]}, "still": "yes"}},
    {**GOOD, "options": {"crf": None, "yaw": None}},
    {**GOOD, "motion": 3},
    {**GOOD, "motion": {ESCAPES: {ESCAPES: [ESCAPES]}}},
    {**GOOD, "motion": {str(number): {"x": list(range(1000))} for number in range(200)}},
    {
        **GOOD,
        "engine": ESCAPES,
        "picture": ESCAPES,
        "speech": ESCAPES,
        "software": ESCAPES,
        "version": ESCAPES,
    },
    {**GOOD, "engine": {"a": 1}, "picture": [1], "speech": 3.5, "software": None, "seed": [1, [2]]},
    {**GOOD, "picture": "x" * 100_000, "engine": ["y" * 100_000] * 50},
    {"nothing": "of ours"},
]
LITERAL = [
    '{"options": {"yaw": [NaN, 1e999], "crf": -Infinity, "seed": %s}}' % ("9" * 5000),
    '{"options": {"yaw": 1e999}, "seed": NaN, "engine": 1e999}',
    '{"engine": "a", "engine": "b"}',
]


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("document", [*STRANGE, *LITERAL], ids=range(len(STRANGE) + len(LITERAL)))
def test_any_document(
    told: Any, document: object, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(told(document)), *flags]) == 0
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    if flags:
        assert json.loads(shown)
    else:
        assert len(shown) < 60_000
        assert all(len(line) < 2000 for line in shown.splitlines())


@pytest.mark.parametrize(
    "text", ["3", "[1]", "null", "[" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000, "{", ""]
)
def test_no_document(told: Any, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(told(text))]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("it was not made by sadtalker.")


def test_flags_can_be_given_again(told: Any, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {"crf": 20, "yaw": [0.0, 20.0], "face_at": [1.5, 2.0], "still": True, "lips": "phones"}
    main(["inspect", str(told({**GOOD, "options": changed}))])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("options")]
    assert set(line.split("--")) >= {"still ", "yaw 0 20 ", "face-at 1.5 2 ", "crf 20", "lips phones "}


@pytest.mark.parametrize(
    "facts",
    [
        {"fps": 25}, {"fps": [25, 0]}, {"fps": [25, 1, 1]}, {"fps": ["25", 1]}, {"fps": [1e999, 1]},
        {"frames": "1"}, {"frames": -1}, {"width": None}, {"height": 10**20}, {"fps": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_folder_of_strange_facts(tmp_path: Path, facts: dict[str, Any]) -> None:
    good = {"frames": 1, "fps": [25, 1], "width": 64, "height": 64, "document": {}}
    (tmp_path / "metadata.json").write_text(json.dumps(good))
    assert folder_facts(tmp_path)["frames"] == 1
    (tmp_path / "metadata.json").write_text(json.dumps(good | facts))
    with pytest.raises(VideoError, match="no frames"):
        folder_facts(tmp_path)


def test_a_frame_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "frame_000001.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\xff" * 40)
    with pytest.raises(VideoError, match="cannot be read"):
        list(folder_frames(tmp_path))


def test_numbers_come_back_as_numbers_or_nothing(told: Any) -> None:
    found = read_metadata(told('{"a": NaN, "b": 1e999, "c": 12, "d": [0.5]}'))
    assert found == {"a": None, "b": None, "c": 12, "d": [0.5]}
    assert not np.isinf(found["c"])
