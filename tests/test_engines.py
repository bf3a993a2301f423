"""The table of engines tells what is ready and what to do about what is not."""

from __future__ import annotations

import pytest

from sadtalker_ext import engines
from sadtalker_ext.engines import ENGINES, Engine, Need, choose_engine
from sadtalker_ext.errors import EngineError
from sadtalker_ext.options import knobs
from sadtalker_ext.track import ARKIT


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


def test_unknown_engine():
    with pytest.raises(EngineError, match="known engines: sadtalker, instant"):
        choose_engine("magic")


def test_scaled_columns_exist():
    for column in engines.SCALED_COLUMNS:
        ARKIT.index(column)
