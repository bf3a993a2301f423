"""A finished video, or the line that tells how it was made, into the knobs as they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import SadTalkerError, VideoError
from ..options.infotext import from_infotext, options_of, restore
from ..video import FORMATS, read_metadata
from . import compat, knob_panel, speech_panel
from .notes import explain, note
from .words import label


@dataclass(frozen=True)
class ReadBack:
    """The components of the panel."""

    video: Any
    line: Any
    apply: Any
    message: Any


def build() -> ReadBack:
    """Build the panel inside the current Blocks."""
    with compat.component(
        gr.Accordion, "Settings from a finished video", open=False, elem_id="sadtalker_read_back_box"
    ):
        with gr.Row(elem_classes=["sadtalker-knobs"]):
            video = compat.file(
                label="Drop a finished video",
                elem_id="sadtalker_read_back",
                file_types=list(FORMATS),
                elem_classes=["sadtalker-small-file"],
            )
            with gr.Column(min_width=160):
                line = compat.component(
                    gr.Textbox,
                    label="…or paste the line that tells how it was made",
                    placeholder="Engine: instant, Seed: 0, …",
                    elem_id="sadtalker_read_line",
                    lines=2,
                    max_lines=4,
                )
                apply = compat.button("Set the knobs", elem_id="sadtalker_apply_line", size="sm")
        message = compat.component(gr.HTML, "", elem_id="sadtalker_read_back_message", label="Read back")
    return ReadBack(video, line, apply, message)


def connect(
    panel: ReadBack,
    knobs: knob_panel.KnobPanel,
    speech: speech_panel.SpeechPanel,
    *,
    manner: Any,
    engine: Any,
    file_format: Any,
    engines: Callable[[], Sequence[str]],
) -> None:
    """Setting the video or pressing the button sets the knobs, and says what could not be set.

    engines: the choices of engines at that moment.
    """
    idle = next(part for part in speech.inputs if part.elem_id == "sadtalker_idle")
    outputs = [*knobs.inputs, manner, engine, file_format, speech.source, idle, panel.message]

    def nothing(sentence: str = "") -> list[Any]:
        return [compat.update() for _ in outputs[:-1]] + [sentence]

    def from_video(value: Any) -> list[Any]:
        path = compat.file_path(value)
        if path is None:
            return nothing()
        try:
            document = read_metadata(path)
            if not document:
                raise VideoError("This video holds no description of how it was made; it is not one of ours.")
            return settings_of(knobs, document, suffix_of(path), engines())
        except Exception as error:  # a listener that raises shows a bare "Error"
            return nothing(explain(error))

    def from_line(text: str) -> list[Any]:
        try:
            return settings_of(knobs, from_infotext(text or ""), engines=engines())
        except Exception as error:  # a listener that raises shows a bare "Error"
            return nothing(explain(error))

    compat.listen(panel.video.change, from_video, [panel.video], outputs, queue=False)
    compat.click(panel.apply, from_line, [panel.line], outputs, queue=False)
    compat.listen(panel.line.submit, from_line, [panel.line], outputs, queue=False)


def suffix_of(path: Path) -> str | None:
    """The file format to choose, or None when it is not among those that can be written."""
    return FORMATS.get(path.suffix.lower())


def settings_of(
    knobs: knob_panel.KnobPanel,
    document: Mapping[str, Any],
    file_format: str | None = None,
    engines: Sequence[str] | None = None,
) -> list[Any]:
    """Values for knobs, manner, engine, format, speech source, idle seconds and message.

    engines: those that can be chosen; None: every one that is known. Raises a `SadTalkerError` where the
    document does not tell how a video was made.
    """
    restored = restore(document, label=label)
    notices = list(restored.notices)
    try:
        options_of(restored)
    except SadTalkerError as error:
        notices.append(error.sentence)
    values = dict(restored.values)
    if engines is not None and values.get("engine", "auto") not in engines:
        missing = values.pop("engine")
        notices.append(f"The files of the engine {missing} are not here; the engine was left alone.")
    names = [str(document[key]) for key in ("picture", "speech") if document.get(key)]
    if names:
        notices.append(f"It was made from {' and '.join(names)}; give the same again for the same video.")
    idle = values.get("idle")
    source = None if idle is None else speech_panel.IDLE
    told = note("The knobs are set as they were.", "done") + "".join(map(note, notices))
    others = (knob_panel.manner_of(values), values.get("engine"), file_format, source, idle)
    updates = [compat.update() if value is None else compat.update(value=value) for value in others]
    return [*knob_panel.show(knobs, values), *updates, told]
