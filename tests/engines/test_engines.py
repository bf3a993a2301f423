"""The table of engines tells what is ready and what to do about what is not."""

from __future__ import annotations

import pytest

from sadtalker_ext import engines
from sadtalker_ext.engines import ENGINES, Engine, Need, choose_engine, instant
from sadtalker_ext.errors import EngineError
from sadtalker_ext.options import knobs
from sadtalker_ext.tracks import ARKIT, BFM


def broken(name: str) -> Engine:
    def unused(*_: object) -> None:
        raise AssertionError

    return Engine(
        name=name,
        summary="",
        space=ARKIT,
        composition={},
        needs=lambda folder: (Need("a file", False, "put it in models/SadTalker"),),
        motion=unused,
        renderer=unused,
    )


def test_every_engine_can_be_chosen_by_option():
    engine_knob = next(knob for knob in knobs() if knob.name == "engine")
    assert set(engine_knob.choices) == {"auto", *ENGINES}


def test_auto_takes_the_first_that_is_ready(monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {"best": broken("best"), **ENGINES})
    assert choose_engine("auto").name == "instant"


def test_an_engine_that_is_not_ready_says_what_to_do(monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {"best": broken("best")})
    with pytest.raises(EngineError, match="a file: put it in models/SadTalker"):
        choose_engine("best")


def test_auto_takes_an_engine_for_the_motion_that_is_there(monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {**ENGINES, "other": broken("other")})
    assert choose_engine("auto", space=ARKIT).name == "instant"
    with pytest.raises(EngineError, match="The engine sadtalker cannot run yet"):
        choose_engine("auto", space=BFM)


def test_missing_weights_are_named_with_their_folder_and_one_command(tmp_path):
    with pytest.raises(EngineError) as caught:
        choose_engine("sadtalker", tmp_path)
    sentence = str(caught.value)
    for file in ("SadTalker_V0.0.2_256.safetensors", "mapping_00109-model.pth.tar"):
        assert file in sentence
    assert str(tmp_path) in sentence
    assert "sadtalker models download sadtalker-256 mapping-109 mapping-229" in sentence


def test_unknown_engine():
    with pytest.raises(EngineError, match="known engines: sadtalker, instant"):
        choose_engine("magic")


def test_scaled_columns_exist():
    for column in instant.SCALED_COLUMNS:
        ARKIT.index(column)
