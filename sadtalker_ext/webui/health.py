"""What is wrong into a tab, or a panel in the tab, that says so together with the line that mends it."""

from __future__ import annotations

import html
import platform
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .. import __version__
from ..errors import SadTalkerError

REPORTED = ("gradio", "fastapi", "pydantic", "torch", "numpy", "Pillow", "mediapipe", "protobuf")


def problem_tab(error: Exception) -> Any:
    """Blocks that say why the real ones could not be built, and what to do."""
    import gradio as gr

    text = str(error) if isinstance(error, SadTalkerError) else f"{type(error).__name__}: {error}"
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.HTML(
            f"<h3>SadTalker could not build its tab</h3><p class='sadtalker-error'>{html.escape(text)}</p>",
            elem_id="sadtalker_problem",
        )
        box = gr.Textbox(report(error), label="SadTalker report", lines=15, elem_id="sadtalker_report")
        box.do_not_save_to_config = True
    return blocks


def report(error: BaseException | None = None) -> str:
    """Versions of everything that matters, and where `error` came from, to be copied into a bug report."""
    lines = [f"SadTalker extension {__version__}", f"Python {sys.version}", platform.platform()]
    lines += [f"{name} {_version(name)}" for name in REPORTED]
    if error is not None:
        lines += ["", "".join(traceback.format_exception(error))]
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
