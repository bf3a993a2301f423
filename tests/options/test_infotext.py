"""The line that tells how a video was made, and what can be set again from it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from sadtalker_ext.engines import ENGINES
from sadtalker_ext.errors import OptionsError
from sadtalker_ext.options import Options, knob_named, knobs
from sadtalker_ext.options.infotext import from_infotext, is_described, restore, to_infotext
from sadtalker_ext.options.knob import Knob
from sadtalker_ext.version import __version__

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


def values_of(knob: Knob) -> st.SearchStrategy[Any]:
    number = st.floats(
        -1e4 if knob.low is None else knob.low, 1e4 if knob.high is None else knob.high, allow_nan=False
    )
    point = st.tuples(number, number)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "int": st.integers(int(knob.low or 0), int(knob.high or 9)),
        "float": number,
        "choice": st.sampled_from(knob.choices or ("",)),
        "path": TEXT,
        "text": TEXT.filter(str.isprintable),
        "ramp": st.lists(number, min_size=1, max_size=5).map(tuple),
        "point": point,
        "points": st.lists(point, min_size=5, max_size=5).map(tuple),
    }
    return st.none() | kinds[knob.kind] if knob.nullable else kinds[knob.kind]


VALUES = st.fixed_dictionaries({knob.name: values_of(knob) for knob in knobs()})


def plain(value: Any) -> Any:
    return [plain(item) for item in value] if isinstance(value, tuple) else value


@settings(max_examples=60, deadline=None)
@given(
    values=VALUES,
    engine=st.sampled_from(["auto", *ENGINES]),
    picture=st.none() | TEXT,
    speech=st.none() | TEXT,
    version=TEXT,
)
def test_a_line_reads_back_as_what_was_written(
    values: dict[str, Any], engine: str, picture: str | None, speech: str | None, version: str
) -> None:
    document = {
        "engine": engine,
        "version": version,
        "picture": picture,
        "speech": speech,
        "options": {name: plain(value) for name, value in values.items()},
    }
    line = to_infotext(document)
    assert len(line.splitlines()) == 1
    read = from_infotext(line)
    others = {knob.name for knob in knobs() if knob.engine and engine not in (knob.engine, "auto")}
    left = {
        name: value
        for name, value in document["options"].items()
        if value is not None and is_described(knob_named(name)) and name not in others
    }
    assert read == {**document, "options": left}


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200) | TEXT.map(lambda text: f"Engine: instant, {text}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = from_infotext(text)
    except OptionsError:
        return
    restored = restore(document)
    assert all(isinstance(notice, str) for notice in restored.notices)
    assert set(restored.values) <= {knob.name for knob in knobs()}


def test_the_line_is_readable() -> None:
    options = Options(head_motion=1.5, yaw=(0, 20, -10), ref_pose="a, b.mp4").to_dict()
    line = to_infotext({"engine": "instant", "version": "1.2.3", "options": options, "speech": "hello.wav"})
    assert line.startswith("Engine: instant, Seed: 0, Start: 0, Lips: auto")
    assert "Head motion: 1.5, " in line
    assert "Yaw: 0 20 -10, " in line
    assert 'Ref pose: "a, b.mp4"' in line
    assert line.endswith("Speech: hello.wav, Version: 1.2.3")
    assert "Idle" not in line
    assert "Overwrite" not in line


def test_everything_is_restored_from_a_run_of_this_version() -> None:
    options = Options(head_motion=0.3, idle=4.0, yaw=(1.5,), still=True, crf=30, seed=7)
    restored = restore({"engine": "instant", "version": __version__, "options": options.to_dict()})
    assert restored.notices == ()
    assert restored.values["engine"] == "instant"
    again = Options(**{**restored.values, "engine": "auto"})
    assert again == options


@pytest.mark.parametrize(
    ("changed", "said", "kept"),
    [
        ({"ref_pose": "dance.mp4"}, "Ref pose: give the file 'dance.mp4' again.", "ref_pose"),
        ({"face": 2}, "A face was chosen in the picture; choose it again.", "face"),
        ({"face_at": [3, 4]}, "A face was chosen in the picture; choose it again.", "face_at"),
        ({"gaze": 99}, "Gaze was 99, which cannot be set here.", "gaze"),
        ({"gaze": float("nan")}, "Gaze was nan, which cannot be set here.", "gaze"),
        ({"lips": "telepathy"}, "Lips was 'telepathy', which cannot be set here.", "lips"),
        ({"sparkle": 1, "glow": 2}, "Not known here: Glow, Sparkle.", "sparkle"),
    ],
)
def test_what_cannot_be_restored_is_told(changed: dict[str, Any], said: str, kept: str) -> None:
    options = {**Options().to_dict(), **changed}
    restored = restore({"engine": "instant", "version": __version__, "options": options})
    assert restored.notices == (said,)
    assert kept not in restored.values


def test_another_engine_and_version_are_told() -> None:
    restored = restore({"engine": "magic", "version": "99.1", "options": {}})
    assert restored.notices[0] == "The engine magic is not known here; the engine was left alone."
    assert restored.notices[1].startswith("Made by version 99.1; this is")
    assert "engine" not in restored.values
    assert restored.values["head_motion"] == 1.0


@pytest.mark.parametrize("document", [{}, {"options": None}, {"options": [1]}, {"options": "x"}])
def test_what_is_not_a_description_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(OptionsError, match="not one of ours"):
        restore(document)


@pytest.mark.parametrize("text", ["", "hello", "Steps: 20, Sampler: Euler a, Seed: 1, Size: 512x512"])
def test_a_foreign_line_is_refused(text: str) -> None:
    with pytest.raises(OptionsError, match="not a line"):
        from_infotext(text)
