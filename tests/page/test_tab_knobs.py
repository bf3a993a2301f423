"""The options as components, and the components' values as options."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("gradio")
pytest.importorskip("hypothesis")

import gradio as gr
from hypothesis import given, settings
from hypothesis import strategies as st

from sadtalker_ext.errors import Named, OptionsError, Sentence
from sadtalker_ext.options import Options, knobs
from sadtalker_ext.options.presets import PRESETS
from sadtalker_ext.page import knob_panel
from sadtalker_ext.page.words import PAGE

TABLE = {knob.name: knob for knob in knobs()}
# Chosen in the portrait, speech and engine panels, or of no use where names are always free.
ELSEWHERE = ("engine", "face", "face_at", "points", "idle", "overwrite")
SHOWN = [knob for knob in knobs() if knob.name not in ELSEWHERE]


@pytest.fixture(scope="module")
def panel() -> knob_panel.KnobPanel:
    with gr.Blocks():
        return knob_panel.build()


def test_every_knob_is_shown_once(panel: knob_panel.KnobPanel) -> None:
    assert list(panel.components) == [knob.name for knob in SHOWN]
    assert {knob.name for knob in knobs()} == {*panel.components, *ELSEWHERE}


def test_components_look_like_their_knobs(panel: knob_panel.KnobPanel) -> None:
    kinds = {
        "head_motion": gr.Slider,
        "crf": gr.Slider,
        "fps": gr.Slider,
        "seed": gr.Number,
        "start": gr.Number,
        "end": gr.Textbox,
        "yaw": gr.Textbox,
        "still": gr.Checkbox,
        "lips": gr.Dropdown,
        "ref_pose": gr.File,
    }
    for name, kind in kinds.items():
        assert isinstance(panel.components[name], kind), name
    slider = panel.components["head_motion"]
    assert (slider.minimum, slider.maximum, slider.value) == (0.0, 2.0, 1.0)


def test_help_is_shown(panel: knob_panel.KnobPanel) -> None:
    for knob in SHOWN:
        info = getattr(panel.components[knob.name], "info", None)
        if knob.kind == "path" or knob.label.lower() == knob.help:
            continue
        assert info
        assert info[1:20] in knob.help


def test_untouched_components_are_the_defaults(panel: knob_panel.KnobPanel) -> None:
    values = [component.value for component in panel.inputs]
    assert Options(**knob_panel.read(panel, values)) == Options()


def test_weights_are_fetched_on_the_page() -> None:
    asked = Named("download", "sadtalker-256 mapping-109")
    told = Sentence("missing a, b in DIR: {asked}.", asked=asked).worded(PAGE)
    assert told == "missing a, b in DIR: fetch what is missing under “Models” on this page."
    told = Sentence("It needs a; {asked}, or from x.", asked=Named("fetch", "sadtalker-512")).worded(PAGE)
    assert told == "It needs a; fetch what is missing under “Models” on this page, or from x."


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_is_shown_reads_back(data: st.DataObject) -> None:
    knob = data.draw(st.sampled_from([knob for knob in SHOWN if knob.kind != "path"]))
    kinds: dict[str, Any] = {
        "bool": st.booleans(),
        "int": st.integers(int(knob.low or 0), int(knob.high or 0)),
        "float": st.floats(knob.low, knob.high).map(lambda value: float(f"{value:.12g}")),
        "choice": st.sampled_from(knob.choices or ("",)),
        "text": st.text(min_size=1, max_size=40).filter(
            lambda text: text.isprintable() and text == text.strip()
        ),
        "ramp": st.lists(st.floats(knob.low, knob.high), min_size=1, max_size=4).map(
            lambda values: tuple(float(f"{value:.12g}") for value in values)
        ),
    }
    drawn = kinds[knob.kind]
    value = data.draw(st.none() | drawn if knob.nullable else drawn)
    assert knob_panel.from_widget(knob, knob_panel.to_widget(knob, value)) == value


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just([""])


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from([knob.name for knob in SHOWN]), value=ANYTHING)
def test_any_value_is_an_option_or_a_sentence(name: str, value: Any) -> None:
    knob = TABLE[name]
    try:
        read = knob_panel.from_widget(knob, value)
    except OptionsError as error:
        said = error.worded(PAGE)
    else:
        assert knob.check(read) == read
        return
    assert said.startswith(f"“{knob.label}” must be ")
    assert "--" not in said.split(", not ")[0]


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("yaw", "0 20 -10", (0.0, 20.0, -10.0)),
        ("yaw", " 0, 20 ;-10 ", (0.0, 20.0, -10.0)),
        ("yaw", "  ", None),
        ("end", "2,5", 2.5),
        ("end", "", None),
        ("seed", None, 0),
        ("seed", 5.0, 5),
        ("fps", None, 25.0),
        ("ref_pose", {"path": "dance.mp4"}, "dance.mp4"),
        ("ref_pose", None, None),
        ("still", 1, True),
    ],
)
def test_what_people_type(name: str, given: Any, read: Any) -> None:
    assert knob_panel.from_widget(TABLE[name], given) == read


def test_minus_one_is_another_seed_every_time() -> None:
    drawn = {knob_panel.from_widget(TABLE["seed"], -1) for _ in range(5)}
    assert len(drawn) > 1
    assert all(0 <= seed < 2**32 for seed in drawn)


def test_sentences_name_what_the_page_shows() -> None:
    with pytest.raises(OptionsError) as caught:
        Options(start=3, end=2)
    assert caught.value.worded(PAGE) == "“Stop at second” (2 s) must be later than “Start at second” (3 s)."
    assert caught.value.knobs == ("end", "start")


def test_labels_are_unique() -> None:
    labels = [knob.label for knob in knobs()]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_recognised(name: str) -> None:
    values = {**Options().to_dict(), **PRESETS[name]}
    assert knob_panel.manner_of(values) == name
    assert knob_panel.manner_of({**values, "gaze": 0.123}) == knob_panel.OWN_MANNER


def test_only_what_is_known_is_set(panel: knob_panel.KnobPanel) -> None:
    shown = knob_panel.show(panel, {"gaze": 0.5, "yaw": (1.0, 2.0)})
    updates = dict(zip(panel.components, shown, strict=True))
    assert updates["gaze"]["value"] == 0.5
    assert updates["yaw"]["value"] == "1 2"
    assert all("value" not in update for name, update in updates.items() if name not in ("gaze", "yaw"))
