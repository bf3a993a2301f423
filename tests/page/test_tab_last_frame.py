"""The last frame of a finished video goes to the host's img2img."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio")

import gradio as gr

from sadtalker_ext.a1111 import send_to
from sadtalker_ext.page import tab


@pytest.fixture
def infotext(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The host's module about sending pictures between tabs, with a tab img2img."""
    module: Any = ModuleType("modules.infotext_utils")
    module.bindings = []
    module.paste_fields = {"img2img": {"init_img": None, "fields": None}}
    module.add_paste_fields = lambda name, image, fields: module.paste_fields.update({name: image})
    module.register_paste_params_button = module.bindings.append
    module.ParamBinding = lambda **values: SimpleNamespace(**values)
    package: Any = ModuleType("modules")
    package.infotext_utils = module
    monkeypatch.setitem(sys.modules, "modules", package)
    monkeypatch.setitem(sys.modules, "modules.infotext_utils", module)
    return module


def test_the_last_frame_is_bound_to_img2img(shell: Any, infotext: Any) -> None:
    page = tab.build_tab(shell)
    send_to.connect(page)
    (binding,) = infotext.bindings
    assert binding.tabname == "img2img"
    assert binding.paste_button is page.sadtalker_last_frame_button
    assert binding.source_image_component is page.sadtalker_last_frame_image


def test_a_host_without_img2img_starts(shell: Any, infotext: Any) -> None:
    del infotext.paste_fields["img2img"]
    send_to.connect(tab.build_tab(shell))
    assert infotext.bindings == []


def test_the_tab_about_problems_binds_nothing(infotext: Any) -> None:
    with gr.Blocks() as page:
        gr.Markdown("something is missing")
    send_to.connect(page)
    assert infotext.bindings == []
