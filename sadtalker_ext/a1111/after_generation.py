"""“Animate after generation”: an always-visible script in txt2img and img2img, off by default.

Through the host's API, with arguments in the order of `arguments.DEFAULTS` or by name:

    "alwayson_scripts": {"SadTalker": {"args": [true, "data:audio/wav;base64,Ukl…", "", 5, "auto", "Lively"]}}
    "alwayson_scripts": {"SadTalker": {"args": [{"text": "Hello!", "manner_preset": "Still portrait"}]}}

The videos' paths are in the answer's `info`, under extra_generation_params, “SadTalker videos”; what there is
to say, as why a picture was skipped, is under “SadTalker notes”.

Hosts load this with all scripts at their start: nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modules import scripts

from ..errors import CANCELLED, MISTAKE, tell
from ..options.presets import PRESETS
from .arguments import COMMENT, DEFAULTS, HOOK, IDLE_SECONDS, notices_of, read_arguments

log = logging.getLogger(__name__)

MAX_IDLE_SECONDS = 60.0  # on the page; the API takes what the options take
NOTES_KEY = "SadTalker notes"  # comments are not in the answers of the host's API
HINT = (
    "Each generated picture with a face becomes a video beside it. It says the recording, or else the text; "
    "without either it is quietly alive for some seconds."
)


class AfterGeneration(scripts.Script):
    """“Animate after generation” below the settings of txt2img and img2img."""

    def title(self) -> str:
        return "SadTalker"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """The controls, in the order of `arguments.DEFAULTS`."""
        import gradio as gr

        from ..page import compat
        from .settings_page import picture_engines
        from .webui_shell import the_shell

        page = getattr(self, "parent", None) or ("img2img" if is_img2img else "txt2img")
        name = f"sadtalker_after_{page}"
        engines, wanted = picture_engines(), the_shell().settings().engine

        def part(what: str, kind: Any, *args: Any, **settings: Any) -> Any:
            return compat.component(kind, *args, elem_id=f"{name}_{what}", **settings)

        with _accordion(name) as enabled:
            part("hint", gr.HTML, HINT)
            speech = compat.file(
                label="Speech", elem_id=f"{name}_speech", elem_classes=["sadtalker-small-file"]
            )
            with gr.Row():
                text = part("text", gr.Textbox, label="Text to speak", lines=1, scale=3)
                voice = part("voice", gr.Textbox, label="Voice", placeholder="default", lines=1, scale=1)
            with gr.Row():
                seconds = {"minimum": 1, "maximum": MAX_IDLE_SECONDS, "step": 0.5, "value": IDLE_SECONDS}
                idle = part("idle", gr.Slider, label="Seconds of quiet presence", **seconds)
                value, manner = wanted if wanted in engines else "auto", DEFAULTS["manner_preset"]
                engine = part("engine", gr.Dropdown, choices=engines, value=value, label="Engine")
                preset = part("preset", gr.Dropdown, choices=list(PRESETS), value=manner, label="Manner")
        return [enabled, speech, text, idle, engine, preset, voice]

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        """Animate what was generated; called by the host inside its queue. Never raises: it comments."""
        notes: list[str] = []

        def comment(text: str) -> None:
            processed.comments = f"{getattr(processed, 'comments', '') or ''}{text}\n"
            if text.startswith(COMMENT):
                notes.append(text.removeprefix(COMMENT))

        try:
            arguments = read_arguments(args)
            if arguments["enabled"]:
                from .animate_batch import animate_batch

                for notice in notices_of(args):
                    comment(f"{COMMENT}{notice}")
                animate_batch(arguments, p, processed, comment)
        except Exception as error:  # the pictures are made and must reach the user
            failure = tell(error, HOOK)
            if failure.kind not in (MISTAKE, CANCELLED):
                log.exception("Animating after generation failed")
            comment(f"{COMMENT}{failure.sentence}")
        if notes:
            known = getattr(processed, "extra_generation_params", None) or {}
            processed.extra_generation_params = {**known, NOTES_KEY: notes}


@contextmanager
def _accordion(elem_id: str) -> Iterator[Any]:
    """The host's accordion with a switch, else a plain one with a checkbox in it; gives the switch."""
    import gradio as gr

    from ..page import compat

    label = "SadTalker: animate after generation"
    try:
        from modules.ui_components import InputAccordion
    except ImportError:  # older A1111
        with gr.Accordion(label, open=False, elem_id=elem_id):
            yield compat.component(gr.Checkbox, False, label="Animate", elem_id=f"{elem_id}_enabled")
    else:
        with compat.component(InputAccordion, False, label=label, elem_id=elem_id) as switch:
            yield switch
