"""What an engine finds in the files that its own knobs name, into a sentence and lists beside those knobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ..engines import ENGINES, Engine
from ..options import Options, knobs
from ..shell import Shell
from . import compat, knob_panel
from .notes import explain, note
from .words import PageWords

UNREADABLE = PageWords("The file cannot be read ({error}); export it anew.")


def build_instead() -> Any:
    """What is said in the place of the portrait where none is wanted."""
    return compat.component(gr.HTML, "", elem_id="sadtalker_no_portrait", label="No portrait", visible=False)


def instead(engine: Engine | None) -> Any:
    """An update of what is said in the place of the portrait."""
    if engine is None or engine.animates == "pictures":
        return compat.update(visible=False)
    sentence = f"The engine {engine.name} animates {engine.source}: no portrait is needed."
    return compat.update(value=note(f"{sentence} For a portrait choose another engine."), visible=True)


def connect(shell: Shell, blocks: gr.Blocks, panel: knob_panel.KnobPanel) -> None:
    """Whenever a file comes, a name is chosen or the page opens, say what is in it, and fill the lists."""
    for name, said in panel.notes.items():
        own = [knob for knob in knobs() if knob.engine == name and knob.kind in ("path", "text")]
        inputs = [panel.components[knob.name] for knob in own]
        lists = [knob.name for knob in own if knob.kind == "text"]
        outputs = [*(panel.components[text] for text in lists), said]
        listen = partial(_listener, shell, ENGINES[name], [knob.name for knob in own], lists)
        for knob, component in zip(own, inputs, strict=True):
            is_file = knob.kind == "path"
            compat.listen(component.change, listen(is_new=is_file), inputs, outputs, queue=False)
        compat.on_load(blocks, listen(is_new=False), inputs, outputs)


def _listener(
    shell: Shell, engine: Engine, names: list[str], lists: list[str], *, is_new: bool
) -> Callable[..., list[Any]]:
    """Values of the knobs `names` into updates of `lists`, and a note; a new file empties what it does not have."""

    def looked(*values: Any) -> list[Any]:
        chosen = dict(zip(names, values, strict=True))
        choices, sentence = look(engine, shell.host.models_dir(), chosen)
        updates = []
        for name in lists:
            offered = choices.get(name, ())
            lost = is_new and chosen[name] not in offered
            value = {"value": ""} if lost else {}
            updates.append(compat.update(choices=["", *offered], **value))
        return [*updates, sentence]

    return looked


def look(
    engine: Engine, models_dir: Path, values: Mapping[str, Any]
) -> tuple[Mapping[str, tuple[str, ...]], str]:
    """Values worth offering, by knob, and a note (HTML) on what the files are; never raises.

    values: what the components of the engine's own paths and texts hold, by knob.
    """
    assert engine.look is not None
    try:
        table = {knob.name: knob for knob in knobs()}
        options = Options(
            **{name: knob_panel.from_widget(table[name], value) for name, value in values.items()}
        )
        seen = engine.look(options, models_dir)
        return seen.choices, note(seen.sentence) if seen.problem is None else explain(seen.problem)
    except Exception as error:  # a listener that raises shows a bare "Error"
        return {}, explain(error, UNREADABLE)
