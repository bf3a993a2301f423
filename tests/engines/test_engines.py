"""The table of engines tells what is ready and what to do about what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sadtalker_ext import engines
from sadtalker_ext.engines import ENGINES, Engine, Need, choose_engine
from sadtalker_ext.engines.base import shaping_key, shaping_knobs
from sadtalker_ext.engines.instant.actor import SCALED_COLUMNS
from sadtalker_ext.errors import EngineError, OptionsError
from sadtalker_ext.options import Options, knob_named, knobs
from sadtalker_ext.tracks import ARKIT, BFM, vertex_space

OTHER_VALUES = {"path": "other.obj", "text": "other", "point": (1, 2), "points": ((1, 2),) * 5, "ramp": (1,)}


def broken(name: str) -> Engine:
    needs = (Need("a file", False, "put it in models/SadTalker"),)
    return replace(ENGINES["instant"], name=name, needs=lambda folder: needs)


def named(name: str) -> Options:
    options = Options()
    object.__setattr__(options, "engine", name)
    return options


def test_every_engine_can_be_chosen_by_option():
    assert knob_named("engine").choices == ("auto", *ENGINES)


def test_auto_takes_the_first_that_is_ready(monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {"best": broken("best"), **ENGINES})
    assert choose_engine(Options()).name == "instant"


def test_an_engine_that_is_not_ready_says_what_to_do(monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {"best": broken("best")})
    with pytest.raises(EngineError, match="a file: put it in models/SadTalker"):
        choose_engine(named("best"))


def test_auto_takes_an_engine_for_the_motion_that_is_there(monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {**ENGINES, "other": broken("other")})
    assert choose_engine(Options(), space=ARKIT).name == "instant"
    with pytest.raises(EngineError, match="The engine sadtalker cannot run yet"):
        choose_engine(Options(), space=BFM)


def test_missing_weights_are_named_with_their_folder_and_one_command(tmp_path):
    with pytest.raises(EngineError) as caught:
        choose_engine(Options(engine="sadtalker"), tmp_path)
    sentence = str(caught.value)
    for file in ("SadTalker_V0.0.2_256.safetensors", "mapping_00109-model.pth.tar"):
        assert file in sentence
    assert str(tmp_path) in sentence
    assert "sadtalker models download sadtalker-256 mapping-109 mapping-229" in sentence


def test_unknown_engine():
    with pytest.raises(EngineError, match="known engines: sadtalker, instant"):
        choose_engine(named("magic"))


def test_scaled_columns_exist():
    for column in SCALED_COLUMNS:
        ARKIT.index(column)


def other_value(knob):
    """A value that is not the default."""
    if knob.kind == "bool":
        return not knob.default
    if knob.kind == "choice":
        return next(choice for choice in knob.choices if choice != knob.default)
    if knob.kind in ("int", "float"):
        return knob.high if knob.default != knob.high else knob.low
    return OTHER_VALUES[knob.kind]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_knob_that_shapes_what_is_prepared_changes_its_key(engine):
    own = {knob.name for knob in knobs() if knob.engine == engine and {"face", "frames"} & set(knob.shapes)}
    shaping = shaping_knobs(engine)
    assert own <= {knob.name for knob in shaping}
    keys = {shaping_key(engine, Options(**{knob.name: other_value(knob)})) for knob in shaping}
    assert len(keys | {shaping_key(engine, Options())}) == len(shaping) + 1


def test_an_engine_by_name_and_by_auto_share_what_is_prepared():
    one, two = Options(engine="instant", face=1), Options(face_at=(3, 4))  # the face is in the portrait's key
    assert shaping_key("instant", one) == shaping_key("instant", two)


def test_motion_of_vertices_on_a_picture_is_refused_at_once(monkeypatch):
    ready = {name: replace(engine, needs=lambda folder: ()) for name, engine in ENGINES.items()}
    monkeypatch.setattr(engines, "ENGINES", ready)
    assert choose_engine(Options(), space=vertex_space(5023)).name == "codetalker"
    with pytest.raises(OptionsError, match="animates meshes"):
        choose_engine(Options(), source="portrait.png", space=vertex_space(5023))


def test_what_shapes_the_motion_alone_leaves_what_is_prepared():
    moved = Options(seed=3, head_motion=0.2, lip_gain=0.5, crf=30, enhancer_strength=0.2)
    for engine in ENGINES:
        assert shaping_key(engine, moved) == shaping_key(engine, Options())
