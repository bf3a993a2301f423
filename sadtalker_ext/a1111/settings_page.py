"""Our settings into a page of their own among the host's, kept in the host's config.json."""

from __future__ import annotations

import inspect
from typing import Any

import gradio as gr

from ..engines import ENGINES
from .webui_shell import DEFAULT_OUTPUT

SECTION = ("sadtalker", "SadTalker")
CATEGORY = "postprocessing"  # the host's heading above our page, where it has headings


def add_settings() -> None:
    """Add the page “SadTalker”; to be called from the host's on_ui_settings."""
    from modules import shared

    engines = picture_engines()
    hidden = getattr(shared, "hide_dirs", None)
    if hidden is None:
        hidden = {"visible": not getattr(shared.cmd_opts, "hide_ui_dir_config", False)}
    page = {
        "sadtalker_output_dir": _option(
            DEFAULT_OUTPUT,
            "Folder for videos",
            "a relative name is below the WebUI's data folder",
            component_args=dict(hidden),
            restrict_api=True,  # who may use the host's API may not choose where files are written
        ),
        "sadtalker_by_date": _option(True, "Put videos into a folder per day", "like 2025-01-31"),
        "sadtalker_engine": _option(
            "auto",
            "Engine chosen when the page opens",
            "auto takes the best one that is ready; needs Reload UI",
            component=gr.Dropdown,
            component_args={"choices": engines},
        ),
        "sadtalker_keep_models": _option(
            True,
            "Keep models and prepared portraits in memory between videos",
            "off: every video starts a little later, and the memory is free in between",
        ),
        "sadtalker_unload_checkpoint": _option(
            False,
            "Move the Stable Diffusion checkpoint out of video memory while a video is made",
            "for cards on which both do not fit; the next picture starts a little later",
        ),
        "sadtalker_device": _option(
            "auto",
            "Device that makes the videos",
            "auto is the one the WebUI uses",
            component=gr.Dropdown,
            component_args={"choices": devices()},
        ),
    }
    for key, made in page.items():
        shared.opts.add_option(key, made)


def picture_engines() -> list[str]:
    """The choices of engines where there is always a picture."""
    return ["auto", *(name for name, engine in ENGINES.items() if engine.animates == "pictures")]


def devices() -> list[str]:
    """Names of torch devices to choose from on this machine, “auto” first."""
    import torch

    found = ["auto", "cpu"]
    for kind in ("cuda", "xpu"):
        backend = getattr(torch, kind, None)
        if backend is not None and backend.is_available():
            found += [f"{kind}:{number}" for number in range(backend.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _option(default: Any, label: str, info: str, **wanted: Any) -> Any:
    """An OptionInfo with what this host's knows of `wanted`."""
    from modules.shared import OptionInfo

    wanted = {"section": SECTION, "category_id": CATEGORY, **wanted}
    known = inspect.signature(OptionInfo).parameters
    made = OptionInfo(default, label, **{name: value for name, value in wanted.items() if name in known})
    if hasattr(made, "info"):
        made.info(info)
    return made
