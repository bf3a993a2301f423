"""Options are validated, described and read back the same everywhere."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields

import numpy as np
import pytest

from sadtalker_ext.cli.flags import add_knobs, from_namespace
from sadtalker_ext.errors import OptionsError
from sadtalker_ext.options import Options, groups, knobs, options_schema

FIVE = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0))


def parse(*arguments: str) -> Options:
    parser = argparse.ArgumentParser()
    add_knobs(parser)
    return from_namespace(parser.parse_args(arguments))


def test_defaults_are_valid_and_flags_give_them():
    assert parse() == Options()


def test_every_knob_has_help_group_and_flag():
    assert {knob.name for knob in knobs()} == {entry.name for entry in fields(Options)}
    for knob in knobs():
        assert knob.group in groups()
        assert knob.help
        assert not knob.help.endswith(".")


def test_flags_reach_every_kind_of_knob():
    options = parse(
        *("--yaw", "0", "20", "-10", "--pitch", "-5", "--still", "--seed", "7", "--lips", "visemes"),
        *("--points", "1,2", "3,4", "5,6", "7,8", "9,10", "--fps", "29.97", "--ref-pose", "my video.mp4"),
    )
    assert options.yaw == (0.0, 20.0, -10.0)
    assert options.pitch == (-5.0,)
    assert options.still
    assert options.seed == 7
    assert options.lips == "visemes"
    assert options.points == FIVE
    assert options.fps == 29.97
    assert options.ref_pose == "my video.mp4"


@pytest.mark.parametrize(
    "knob", [knob for knob in knobs() if knob.kind == "bool"], ids=lambda knob: knob.name
)
def test_every_switch_can_be_turned_from_what_it_is_by_itself(knob):
    flag = knob.flag.replace("--", "--no-", 1) if knob.default else knob.flag
    assert getattr(parse(flag), knob.name) is not knob.default


@pytest.mark.parametrize(
    "values",
    [{}, {"yaw": [1, 2], "points": FIVE}, {"face_at": (3, 4), "still": True}, {"seed": np.int64(5)}],
)
def test_dictionary_round_trip_survives_json(values):
    options = Options(**values)
    assert Options.from_dict(json.loads(json.dumps(options.to_dict()))) == options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fps", 0),
        ("fps", 61),
        ("fps", float("nan")),
        ("fps", "25"),
        ("fps", None),
        ("seed", 1.5),
        ("seed", -1),
        ("seed", True),
        ("still", 1),
        ("lips", "loud"),
        ("lips", 3),
        ("yaw", ()),
        ("yaw", (0, 90)),
        ("yaw", "0 20"),
        ("points", FIVE[:4]),
        ("points", [1, 2, 3, 4, 5]),
        ("face_at", (1,)),
        ("face", 0),
        ("crf", 52),
        ("idle", 0),
        ("ref_pose", ""),
        ("expression_scale", float("inf")),
        ("fps", 10**400),
        ("seed", 10**400),
    ],
)
def test_bad_values_are_refused_in_a_sentence_naming_the_flag(name, value):
    with pytest.raises(OptionsError) as caught:
        Options(**{name: value})
    message = str(caught.value)
    assert message.startswith("--" + name.replace("_", "-"))
    assert message.endswith(".")


def test_contradictions_are_refused():
    with pytest.raises(OptionsError, match="later than"):
        Options(start=5, end=2)
    with pytest.raises(OptionsError, match="only one"):
        Options(face=1, face_at=(2, 3))
    with pytest.raises(OptionsError, match="Unknown option 'colour'"):
        Options.from_dict({"colour": 1})


def test_schema_describes_every_knob_with_its_range_and_default():
    properties = options_schema()["properties"]
    defaults = Options().to_dict()
    assert set(properties) == set(defaults)
    for name, shape in properties.items():
        assert shape["default"] == defaults[name]
        assert shape["description"]
    assert properties["fps"]["minimum"] == 1
    assert properties["fps"]["maximum"] == 60
    assert properties["lips"]["enum"] == ["auto", "phones", "visemes", "codes"]


def test_help_reads_well(capsys):
    parser = argparse.ArgumentParser(prog="x")
    add_knobs(parser)
    text = " ".join(parser.format_help().split())
    for knob in knobs():
        assert knob.flag in text
    assert "frames per second (1 to 60, default 25)" in text
