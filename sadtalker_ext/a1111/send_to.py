"""The host's galleries into “Send to SadTalker” buttons, which put the selected picture into our tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..page import compat

IMG2IMG = "img2img"  # the host's tab for a picture to start from
TAB = "sadtalker"  # the page's JavaScript has a switch_to_<TAB>
GLYPH = "\U0001f5e3\ufe0f"  # 🗣️
WORDS = "Send to SadTalker"
TOOLTIP = "Send the selected picture to the SadTalker tab, to make it talk."

# Components with pictures to send, by elem_id: the name that their button gets.
SOURCES: dict[str, str] = {
    "txt2img_gallery": "txt2img",
    "img2img_gallery": "img2img",
    "extras_gallery": "extras",
    "control_gallery": "control",  # SD.Next
    "pnginfo_image": "pnginfo",
}
# A button made right after one of these stands in the same row. Galleries have a row of small symbols;
# PNG Info, and all pages of SD.Next, have buttons with words, for the newest source above them.
SYMBOL_ANCHORS: dict[str, str] = {f"{name}_send_to_extras": name for name in ("txt2img", "img2img", "extras")}
WORDS_ANCHOR = "extras_tab"


@dataclass
class _Page:
    """What was seen of the page that the host is building."""

    sources: dict[str, Any]
    buttons: dict[str, Any]
    newest: str = ""


_page = _Page({}, {})


def remember(component: Any, **kwargs: Any) -> None:
    """To be called after each component the host makes: notes galleries, and adds our buttons to their rows.

    The buttons stay invisible until `connect`: when our tab cannot be built there is nowhere to send to.
    """
    elem_id = kwargs.get("elem_id") or ""
    source = SOURCES.get(elem_id)
    if source is not None:
        _page.sources[source] = component
        _page.buttons.pop(source, None)  # of a page built earlier in this process
        _page.newest = source
    elif elem_id in SYMBOL_ANCHORS:
        _add_button(SYMBOL_ANCHORS[elem_id], symbol=True)
    elif elem_id == WORDS_ANCHOR:
        _add_button(_page.newest, symbol=False)


def connect(blocks: Any) -> None:
    """Let the buttons send to `blocks.sadtalker_image`; to be called when our tab is complete.

    The host wires what is registered here after it has built all tabs. Does nothing without that image: of a
    button whose target is unknown A1111 makes an error that keeps the whole page from starting.
    """
    _connect_last_frame(blocks)
    target = getattr(blocks, "sadtalker_image", None)
    sources, buttons = dict(_page.sources), dict(_page.buttons)
    forget()
    if target is None or not buttons:
        return
    _infotext().add_paste_fields(TAB, target, None)
    for name, button in buttons.items():
        _bind(button, TAB, sources[name])
        button.visible = True


def _connect_last_frame(blocks: Any) -> None:
    """Let the button under a finished video send its last frame to the host's img2img, if there is one."""
    button = getattr(blocks, "sadtalker_last_frame_button", None)
    image = getattr(blocks, "sadtalker_last_frame_image", None)
    if button is None or image is None:
        return
    if IMG2IMG in getattr(_infotext(), "paste_fields", {}):
        _bind(button, IMG2IMG, image)


def _bind(button: Any, tab: str, image: Any) -> None:
    infotext = _infotext()
    binding = infotext.ParamBinding(paste_button=button, tabname=tab, source_image_component=image)
    infotext.register_paste_params_button(binding)


def forget() -> None:
    """Forget the page seen so far; the host builds another one on Reload UI."""
    _page.sources.clear()
    _page.buttons.clear()
    _page.newest = ""


def _add_button(source: str, *, symbol: bool) -> None:
    if source not in _page.sources or source in _page.buttons:
        return
    elem_id = f"sadtalker_send_{source}"
    if symbol:
        _page.buttons[source] = compat.component(_tool_button(), GLYPH, elem_id=elem_id, visible=False)
        _page.buttons[source].webui_tooltip = TOOLTIP
    else:
        _page.buttons[source] = compat.button(WORDS, elem_id=elem_id, visible=False)


def _tool_button() -> Any:
    try:
        from modules.ui_components import ToolButton
    except ImportError:
        return gr.Button
    return ToolButton


def _infotext() -> Any:
    try:
        from modules import infotext_utils
    except ImportError:  # its name in SD.Next and in older A1111
        from modules import generation_parameters_copypaste as infotext_utils
    return infotext_utils
