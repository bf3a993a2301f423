"""The whole page: portrait, speech and knobs on the left, the video and what to do with it on the right."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..engines import ENGINES, Engine, ready_engines
from ..options import Options, knob_named
from ..shell import Shell
from ..video import FORMATS
from . import (
    compat,
    engine_panels,
    generate,
    knob_panel,
    portrait_panel,
    read_back,
    result_panel,
    speech_panel,
)
from .notes import note

SUBMIT = "(...args) => window.sadtalkerSubmit ? window.sadtalkerSubmit(...args) : args"
LATEST = "(_, before) => [window.sadtalkerLatestTask ? window.sadtalkerLatestTask() : '', before]"
CLEAR = "() => ['']"

_log = logging.getLogger(__name__)


def build_tab(shell: Shell) -> gr.Blocks:
    """The tab's Blocks. Their attributes `sadtalker_image`, `sadtalker_last_frame_button` and
    `sadtalker_last_frame_image` are what a host connects to its other tabs.
    """
    with gr.Blocks(analytics_enabled=False, title="SadTalker") as blocks:
        with gr.Row(equal_height=False, elem_id="sadtalker_page", elem_classes=["sadtalker-page"]):
            with gr.Column(min_width=320, elem_classes=["sadtalker-inputs"]):
                with gr.Column(elem_id="sadtalker_portrait_box") as portrait_box:
                    portrait = portrait_panel.build(shell)
                instead = engine_panels.build_instead()
                speech = speech_panel.build(shell)
                with gr.Row(elem_classes=["sadtalker-knobs"]):
                    engine = _engine(shell)
                    file_format = compat.component(
                        gr.Radio,
                        choices=[suffix.lstrip(".") for suffix in FORMATS],
                        value="mp4",
                        label="File",
                        elem_id="sadtalker_format",
                    )
                manner = knob_panel.build_manner()
                panel = knob_panel.build()
            with gr.Column(min_width=320, elem_classes=["sadtalker-results"]):
                task = compat.component(gr.Textbox, label="Task", elem_id="sadtalker_task", visible=False)
                with gr.Row():
                    start = compat.button("Generate", elem_id="sadtalker_generate", variant="primary")
                    stop = compat.button("Interrupt", elem_id="sadtalker_interrupt")
                compat.component(gr.HTML, "", elem_id="sadtalker_progress", label="Progress")
                compat.component(gr.HTML, "", elem_id="sadtalker_preview", label="Preview")
                message = compat.component(gr.HTML, "", elem_id="sadtalker_message", label="Message")
                results = result_panel.build(shell)
                settings = read_back.build()
                with compat.component(gr.Accordion, "Models", open=False, elem_id="sadtalker_models_box"):
                    _part("models_panel", shell)
                _part("health", shell)
                latest = compat.button(
                    "Show the latest video",
                    elem_id="sadtalker_show_latest",
                    elem_classes=["sadtalker-hidden"],
                )

        form = generate.Form(portrait, speech, panel, engine, file_format)
        knob_panel.connect_manner(manner, panel)
        _connect_last_seed(panel, results)
        result_panel.connect(shell, results, message)
        read_back.connect(
            settings,
            panel,
            speech,
            manner=manner,
            engine=engine,
            file_format=file_format,
            engines=lambda: engines_on_offer(shell),
        )
        _connect_runs(shell, form, results, start, stop, latest, task, message)

        def engines_now() -> Any:
            return compat.update(info=engine_states(shell), choices=engines_on_offer(shell))

        compat.on_load(blocks, engines_now, [], [engine])
        _connect_engine(shell, blocks, engine, panel, [portrait_box, manner, instead])
        engine_panels.connect(shell, blocks, panel)

    blocks.sadtalker_image = portrait.image
    blocks.sadtalker_last_frame_button = results.last_frame
    blocks.sadtalker_last_frame_image = results.last_frame_image
    return blocks


def _part(module: str, shell: Shell) -> None:
    """Build a panel that the rest of the page does not need: when it is broken, it says so in its place."""
    try:
        importlib.import_module(f".{module}", __package__).build(shell)
    except Exception as error:  # see above
        _log.exception("The panel %s cannot be built", module)
        text = f"This part cannot be shown ({type(error).__name__}: {error})."
        compat.component(gr.HTML, note(text, "error"), elem_id=f"sadtalker_broken_{module}")


def _engine(shell: Shell) -> Any:
    names = engines_on_offer(shell)
    wanted = shell.settings().engine
    return compat.component(
        gr.Dropdown,
        choices=names,
        value=wanted if wanted in names else Options().engine,
        label="Engine",
        info=engine_states(shell),
        elem_id="sadtalker_engine",
    )


def engines_on_offer(shell: Shell) -> list[str]:
    """The choices of engines: those for something else than pictures appear when their files are there."""
    names = knob_named("engine").choices
    return [name for name in names if name not in ENGINES or _offered(ENGINES[name], shell)]


def _offered(engine: Engine, shell: Shell) -> bool:
    return engine.animates == "pictures" or not engine.missing(shell.host.models_dir())


def _automatic(shell: Shell) -> Engine | None:
    """The engine that `auto` takes for a picture."""
    ready = ready_engines(shell.host.models_dir())
    return next((engine for engine in ready if engine.animates == "pictures"), None)


def engine_states(shell: Shell) -> str:
    """Which engines are ready, which one `auto` takes, and what the others miss."""
    folder = shell.host.models_dir()
    best = _automatic(shell)
    states = [f"auto takes {best.name}"] if best is not None else []
    for engine in (engine for engine in ENGINES.values() if _offered(engine, shell)):
        missing = ", ".join(need.name for need in engine.missing(folder))
        if missing:
            states.append(f"{engine.name} still needs {missing}")
        elif engine is not best:
            states.append(f"{engine.name} is ready")
    return " · ".join(states)


def _connect_engine(
    shell: Shell, blocks: gr.Blocks, engine: Any, panel: knob_panel.KnobPanel, portrait: Sequence[Any]
) -> None:
    """Show what the engine that makes the video reads, of the knobs that not all engines do.

    portrait: what is of use where it wants a portrait, and last what is said where it wants none.
    """
    *wanted, instead = portrait

    def fitting(chosen: str | None) -> list[Any]:
        taken = ENGINES.get(chosen or "") or _automatic(shell)
        pictures = taken is None or taken.animates == "pictures"
        shown = [compat.update(visible=pictures) for _ in wanted]
        return [*panel.useful_to(taken), *shown, engine_panels.instead(taken)]

    outputs = [*panel.switched, *wanted, instead]
    compat.listen(engine.change, fitting, [engine], outputs, queue=False)
    compat.on_load(blocks, fitting, [engine], outputs)


def _connect_last_seed(panel: knob_panel.KnobPanel, results: result_panel.ResultPanel) -> None:
    def last_seed(finished: result_panel.Finished | None) -> Any:
        return compat.update() if finished is None else compat.update(value=finished.seed)

    compat.click(panel.last_seed, last_seed, [results.finished], [panel.components["seed"]], queue=False)


def _connect_runs(
    shell: Shell,
    form: generate.Form,
    results: result_panel.ResultPanel,
    start: Any,
    stop: Any,
    latest: Any,
    task: Any,
    message: Any,
) -> None:
    outcomes = generate.Outcomes()
    outputs = [*results.shown, message]

    def show(outcome: generate.Outcome, before: Any) -> list[Any]:
        if outcome.finished is None:
            return [before, *result_panel.unchanged(results), outcome.message]
        values, notices = result_panel.show(shell, results, outcome.finished)
        return [*values, outcome.message + "".join(map(note, notices))]

    def make(name: str, before: Any, *values: Any) -> list[Any]:
        return show(outcomes.keep(name, lambda: generate.run(shell, form, name, values)), before)

    def render(name: str, before: Any, given: Any, *values: Any) -> list[Any]:
        return show(
            outcomes.keep(name, lambda: generate.rerun(shell, form, name, before, given, values)), before
        )

    def show_latest(name: str, before: Any) -> list[Any]:
        return show(generate.latest(shell, outcomes, name), before)

    before = results.finished
    for button in (start, results.rerender):
        compat.click(button, None, [], [message], js=CLEAR)
    for button, work, extra in ((start, make, []), (results.rerender, render, [results.other_track])):
        inputs = [task, before, *extra, *form.inputs]
        compat.click(button, work, inputs, outputs, js=SUBMIT)
    compat.click(stop, shell.interrupt, [], [], queue=False)
    compat.click(latest, show_latest, [task, before], outputs, js=LATEST)
