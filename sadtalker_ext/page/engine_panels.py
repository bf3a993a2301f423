"""What an engine finds in the files that its own knobs name, into a sentence and lists beside those knobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ..engines import ENGINES, Engine
from ..options import Options, knob_named, knobs
from ..options.knob import Knob
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
    sentence = f"The engine {engine.name} animates {engine.animates}: no portrait is needed."
    return compat.update(value=note(f"{sentence} For a portrait choose another engine."), visible=True)


def connect(shell: Shell, blocks: gr.Blocks, panel: knob_panel.KnobPanel) -> None:
    """Whenever a file comes, a name is chosen or the page opens, say what is in it, and fill the lists."""
    for name, said in panel.notes.items():
        own = [knob for knob in knobs() if knob.engine == name and knob.kind in ("path", "text")]
        inputs = [panel.components[knob.name] for knob in own]
        outputs = [*(panel.components[knob.name] for knob in own if knob.kind == "text"), said]
        listen = partial(_listener, shell, ENGINES[name], own)
        for knob, component in zip(own, inputs, strict=True):
            compat.listen(component.change, listen(knob.name), inputs, outputs, queue=False)
        compat.on_load(blocks, listen(), inputs, outputs)


def _listener(
    shell: Shell, engine: Engine, own: Sequence[Knob], changed: str = ""
) -> Callable[..., list[Any]]:
    """Values of the knobs into updates of those that are lists, and a note.

    changed: the knob whose value is new; what lies in its file, and is not in the new one, is emptied.
    """

    def looked(*values: Any) -> list[Any]:
        folder, chosen = shell.host.models_dir(), dict(zip((knob.name for knob in own), values, strict=True))
        choices, sentence = look(engine, folder, chosen)
        lost = {
            knob.name: ""
            for knob in own
            if knob.within and knob.within == changed and chosen[knob.name] not in choices.get(knob.name, ())
        }
        if any(chosen[name] for name in lost):
            choices, sentence = look(engine, folder, {**chosen, **lost})
        lists = [knob.name for knob in own if knob.kind == "text"]
        emptied = {name: {"value": ""} if name in lost else {} for name in lists}
        updates = [compat.update(choices=["", *choices.get(name, ())], **emptied[name]) for name in lists]
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
        given = {name: knob_panel.from_widget(knob_named(name), value) for name, value in values.items()}
        seen = engine.look(Options(**given), models_dir)
        return seen.choices, note(seen.sentence) if seen.problem is None else explain(seen.problem)
    except Exception as error:  # a listener that raises shows a bare "Error"
        return {}, explain(error, UNREADABLE)
