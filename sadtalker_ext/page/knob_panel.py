"""The options into sliders, boxes and lists in groups, and their values back into options."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType
from typing import Any

import gradio as gr

from ..engines import ENGINES, Engine
from ..options import Options, groups, knob_named, knobs
from ..options.knob import Knob, flat
from ..options.presets import PRESETS
from . import compat

SHOWN_ELSEWHERE = ("engine", "idle")  # in panels of their own
OWN_MANNER = "Own"  # what the presets show when a slider was moved
SLIDER_INT_SPAN = 200  # wider whole numbers are typed
SLIDER_FLOAT_SPAN = 100.0
FINE_SPAN = 5.0  # up to here a slider moves in small steps
FINE_STEP, COARSE_STEP = 0.05, 1.0
ANY_SEED = -1  # as hosts write it: another one for every video
FOLLOWED_TYPES, MESH_TYPES = ("video", ".npz", ".csv"), (".ply", ".obj", ".pkl")
NUMBERS = re.compile(r"[\s,;]+")
EMPTY_NOTE = re.compile(r"\s*\(default: ([^)]*)\)")


@dataclass(frozen=True)
class KnobPanel:
    """The components by knob name, in the order in which their values are passed.

    last_seed: the button that is to bring back the seed of the last video. groups: what folds each group of
    knobs, by its name. notes: what is said about the files that an engine's own knobs name, by its name.
    """

    components: Mapping[str, Any]
    last_seed: Any = None
    groups: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> list[Any]:
        return list(self.components.values())

    def useful_to(self, engine: Engine | None) -> list[Any]:
        """Updates of `switched` that show what an engine reads; None: every engine's knobs are hidden."""
        name = None if engine is None else engine.name
        own = [group == name for group in self._own_groups()]
        shared = [engine is None or engine.uses(knob_named(knob)) for knob in (*self._shared(), "face")]
        return [compat.update(visible=wanted) for wanted in (*own, *shared)]

    @property
    def switched(self) -> list[Any]:
        """What some engines have no use for: the groups of single engines, shared knobs, the group face."""
        own = [self.groups[group] for group in self._own_groups()]
        return [*own, *(self.components[name] for name in self._shared()), self.groups["face"]]

    def _own_groups(self) -> list[str]:
        return [group for group in self.groups if any(k.engine == group for k in knobs())]

    def _shared(self) -> list[str]:
        """Shared knobs that some engine does not read."""
        members = [knob_named(name) for name in self.components]
        shared = [knob for knob in members if not knob.engine and knob.group != "face"]
        return [knob.name for knob in shared if not all(engine.uses(knob) for engine in ENGINES.values())]


def group_title(group: str) -> str:
    """What the page calls a group of knobs."""
    return f"Engine {group}" if group in ENGINES else group.capitalize()


def build() -> KnobPanel:
    """Build an accordion per group, inside the current Blocks."""
    made: dict[str, Any] = {}
    folded: dict[str, Any] = {}
    again = None
    notes: dict[str, Any] = {}
    for group in groups():
        members = [knob for knob in knobs() if knob.group == group and is_shown(knob)]
        if not members:
            continue
        with compat.component(
            gr.Accordion,
            group_title(group),
            open=False,
            elem_id=f"sadtalker_group_{group}",
            elem_classes=["sadtalker-group"],
        ) as folded[group]:
            for row in _rows(members):
                with gr.Row(elem_classes=["sadtalker-knobs"]):
                    for knob in row:
                        made[knob.name] = _component(knob)
                        if knob.name == "seed":
                            again = _seed_buttons(made["seed"])
                        if knob.kind == "path" and group not in notes and _looks_into_files(group):
                            elem_id = f"sadtalker_head_{group}" if notes else "sadtalker_head"
                            notes[group] = compat.component(gr.HTML, "", elem_id=elem_id, label="Head")
    ordered = {knob.name: made[knob.name] for knob in knobs() if knob.name in made}
    return KnobPanel(MappingProxyType(ordered), again, MappingProxyType(folded), notes)


def is_shown(knob: Knob) -> bool:
    """Whether it stands among the knobs: what is chosen in a picture, or concerns files alone, does not."""
    return not (knob.in_picture or knob.local or knob.name in SHOWN_ELSEWHERE)


def _looks_into_files(engine: str) -> bool:
    return engine in ENGINES and ENGINES[engine].look is not None


def _rows(members: Sequence[Knob]) -> list[list[Knob]]:
    """Knobs of one kind beside each other, so that rows are even: narrow ones two or three, files two."""
    rows: list[list[Knob]] = []
    for look, run in groupby(members, _look):
        alike = list(run)
        rows += [alike[at : at + _PER_ROW[look]] for at in range(0, len(alike), _PER_ROW[look])]
    return rows


_PER_ROW: Mapping[str, int] = MappingProxyType({"number": 2, "slider": 2, "ramp": 3, "path": 2, "other": 2})


def _look(knob: Knob) -> str:
    if knob.kind in ("int", "float"):
        return "slider" if is_slider(knob) else "number"
    return knob.kind if knob.kind in _PER_ROW else "other"


def is_slider(knob: Knob) -> bool:
    """Whether a number's range is one that can be set by sliding."""
    if knob.kind not in ("int", "float") or knob.nullable or knob.low is None or knob.high is None:
        return False
    return knob.high - knob.low <= (SLIDER_INT_SPAN if knob.kind == "int" else SLIDER_FLOAT_SPAN)


def info(knob: Knob) -> str | None:
    """The help line under a knob's label, unless it says the same."""
    if knob.help == knob.label.lower():
        return None
    text = EMPTY_NOTE.sub(r"; empty = \1", knob.help)
    if knob.nullable and text == knob.help and knob.kind in ("int", "float"):
        text += "; empty = not set"
    if knob.name == "seed":
        text += f"; {ANY_SEED} = another one every time"
    return text[:1].upper() + text[1:]


def _component(knob: Knob) -> Any:
    settings: dict[str, Any] = {"label": knob.label, "elem_id": f"sadtalker_knob_{knob.name}"}
    if knob.kind == "path":
        types = FOLLOWED_TYPES if knob.files == "video" else MESH_TYPES
        return compat.file(**settings, file_types=types, elem_classes=["sadtalker-small-file"])
    settings.update(info=info(knob), value=to_widget(knob, knob.default))
    if knob.kind == "bool":
        return compat.component(gr.Checkbox, **settings)
    if knob.kind == "choice":
        return compat.component(gr.Dropdown, choices=list(knob.choices), **settings)
    if knob.kind == "text":  # mostly one of a few, which the page learns later
        return compat.component(gr.Dropdown, choices=[""], allow_custom_value=True, **settings)
    if is_slider(knob):
        assert knob.low is not None
        assert knob.high is not None
        fine = knob.kind == "float" and knob.high - knob.low <= FINE_SPAN
        step: float = FINE_STEP if fine else COARSE_STEP
        return compat.component(gr.Slider, minimum=knob.low, maximum=knob.high, step=step, **settings)
    if knob.kind in ("int", "float") and not knob.nullable:
        return compat.component(gr.Number, precision=0 if knob.kind == "int" else None, **settings)
    # Gradio shows a number that is not set as 0, so what may stay empty is typed as text.
    placeholder = "0 20 -10" if knob.kind == "ramp" else ""
    return compat.component(gr.Textbox, placeholder=placeholder, max_lines=1, **settings)


def _seed_buttons(seed: Any) -> Any:
    with compat.component(gr.Column, min_width=90, scale=0, elem_classes=["sadtalker-tools"]):
        dice = compat.button("Random", elem_id="sadtalker_random_seed", size="sm", min_width=90)
        again = compat.button("Last", elem_id="sadtalker_last_seed", size="sm", min_width=90)
    compat.click(dice, None, [], [seed], js=f"() => [{ANY_SEED}]")
    return again


def to_widget(knob: Knob, value: Any) -> Any:
    """A knob's value as its component shows it."""
    if knob.nullable and knob.kind in ("int", "float", "ramp", "point", "points"):
        return "" if value is None else " ".join(f"{number:.15g}" for number in flat(value))
    if knob.kind == "text":
        return value or ""
    if knob.kind == "path":
        return None
    return value


def from_widget(knob: Knob, value: Any) -> Any:
    """What a component hands over as the knob's value; raises `OptionsError`."""
    if knob.kind == "path":
        path = compat.file_path(value)
        value = None if path is None else str(path)
    elif knob.kind == "text":
        value = (value or "").strip() or None if isinstance(value, (str, type(None))) else value
    elif knob.kind == "ramp" and isinstance(value, str):
        words = [word for word in NUMBERS.split(value.strip()) if word]
        try:
            value = tuple(float(word) for word in words) or None
        except ValueError:
            raise knob.error(value) from None
    elif knob.nullable and knob.kind in ("int", "float") and isinstance(value, str):
        try:
            value = float(value.replace(",", ".")) if value.strip() else None
        except ValueError:
            raise knob.error(value) from None
    elif value is None and not knob.nullable:
        value = knob.default
    elif knob.name == "seed" and value == ANY_SEED:
        assert knob.high is not None
        return random.randint(0, int(knob.high))
    elif knob.kind == "bool" and isinstance(value, (int, float)):
        value = bool(value)
    return knob.check(value)


def read(panel: KnobPanel, values: Sequence[Any]) -> dict[str, Any]:
    """The values of the panel's components as options by name; raises `OptionsError`."""
    given = zip(panel.components, values, strict=True)
    return {name: from_widget(knob_named(name), value) for name, value in given}


def show(panel: KnobPanel, values: Mapping[str, Any]) -> list[Any]:
    """Updates that set the panel's components to `values`; what is not named there stays as it is."""
    return [_set_to(name, values) for name in panel.components]


def _set_to(name: str, values: Mapping[str, Any]) -> Any:
    """The update that shows a knob's value, or that changes nothing where there is none to show."""
    knob = knob_named(name)
    if name not in values or knob.kind == "path":
        return compat.update()
    return compat.update(value=to_widget(knob, values[name]))


def manner_of(values: Mapping[str, Any]) -> str:
    """The preset that these values are, or `OWN_MANNER`."""
    alike = (name for name, preset in PRESETS.items() if preset.items() <= values.items())
    return next(alike, OWN_MANNER)


def build_manner() -> Any:
    """The choice of presets."""
    settings = {"label": "Manner of moving", "elem_id": "sadtalker_manner"}
    manner = manner_of(Options().to_dict())
    return compat.component(gr.Radio, choices=[*PRESETS, OWN_MANNER], value=manner, **settings)


def connect_manner(manner: Any, panel: KnobPanel) -> None:
    """Choosing a preset sets its knobs; moving one of those shows that it is a preset no more."""
    ruled = [name for name in panel.components if any(name in preset for preset in PRESETS.values())]
    targets = [panel.components[name] for name in ruled]

    def choose(name: str) -> list[Any]:
        return [_set_to(knob, PRESETS.get(name, {})) for knob in ruled]

    compat.listen(manner.input, choose, [manner], targets, queue=False)
    for target in targets:
        compat.listen(target.input, None, [], [manner], js=f"() => [{OWN_MANNER!r}]")
