"""Send-to buttons beside the host's galleries, and our page among its settings."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import pytest

gr = pytest.importorskip("gradio")

import fake_webui  # noqa: E402

from sadtalker_ext.a1111 import send_to, settings_page  # noqa: E402


@pytest.fixture(params=fake_webui.HOSTS)
def webui(request, tmp_path, monkeypatch):
    send_to.forget()
    yield fake_webui.FakeWebUI(request.param, tmp_path, monkeypatch)
    send_to.forget()


def made(component, elem_id):
    send_to.remember(component, elem_id=elem_id, label="whatever")
    return component


def classic_page() -> dict[str, object]:
    """The parts of a page as A1111, Forge and reForge make them; gives the sources of pictures."""
    sources = {}
    for tab in ("txt2img", "img2img", "extras"):
        sources[tab] = made(gr.Gallery(elem_id=f"{tab}_gallery"), f"{tab}_gallery")
        with gr.Row(elem_id=f"image_buttons_{tab}"):
            for other in ("img2img", "inpaint", "extras"):
                made(gr.Button("x", elem_id=f"{tab}_send_to_{other}"), f"{tab}_send_to_{other}")
    sources["pnginfo"] = made(gr.Image(elem_id="pnginfo_image"), "pnginfo_image")
    with gr.Row():
        for other in ("txt2img", "img2img", "inpaint", "extras"):
            made(gr.Button("x", elem_id=f"{other}_tab"), f"{other}_tab")
    send_to.remember(gr.HTML("no id"))
    return sources


def next_page() -> dict[str, object]:
    """The same as SD.Next makes it: buttons with words, under the same ids in every tab."""
    sources = {}
    for tab in ("txt2img", "img2img", "control"):
        sources[tab] = made(gr.Gallery(elem_id=f"{tab}_gallery"), f"{tab}_gallery")
        with gr.Row(elem_id=f"image_buttons_{tab}"):
            for other in ("txt2img", "extras", "caption"):
                made(gr.Button("x"), f"{other}_tab")
    return sources


def our_tab(**content):
    with gr.Blocks() as blocks:
        blocks.sadtalker_image = gr.Image(elem_id="sadtalker_image")
    for name, value in content.items():
        setattr(blocks, name, value)
    return blocks


def buttons_in(blocks) -> dict[str, object]:
    return {
        block.elem_id: block
        for block in blocks.blocks.values()
        if str(block.elem_id).startswith("sadtalker_send_")
    }


@pytest.mark.parametrize("page", [classic_page, next_page])
def test_every_source_gets_one_button(webui, page):
    with gr.Blocks() as host:
        sources = page()
    send_to.connect(our_tab())
    buttons = buttons_in(host)
    assert list(buttons) == [f"sadtalker_send_{name}" for name in sources]
    bound = {binding.paste_button.elem_id: binding for binding in webui.bindings}
    assert list(bound) == list(buttons)
    for name, source in sources.items():
        binding = bound[f"sadtalker_send_{name}"]
        assert binding.source_image_component is source
        assert binding.paste_button is buttons[f"sadtalker_send_{name}"]
        assert binding.tabname == "sadtalker"
    assert webui.paste_fields["sadtalker"].elem_id == "sadtalker_image"


def test_buttons_stand_in_the_galleries_rows(webui):
    with gr.Blocks() as host:
        classic_page()
    send_to.connect(our_tab())
    for elem_id, button in buttons_in(host).items():
        others = [child.elem_id for child in button.parent.children]
        tab = elem_id.removeprefix("sadtalker_send_")
        assert (f"{tab}_send_to_extras" if tab != "pnginfo" else "extras_tab") in others
        assert button.do_not_save_to_config


def shown(blocks) -> dict[str, bool]:
    """Visibility as the page is told."""
    config = blocks.get_config_file()
    return {
        part["props"]["elem_id"]: part["props"]["visible"]
        for part in config["components"]
        if str(part["props"].get("elem_id")).startswith("sadtalker_send_")
    }


def test_buttons_show_only_when_there_is_somewhere_to_send(webui):
    with gr.Blocks() as host:
        classic_page()
    assert not any(shown(host).values())
    send_to.connect(our_tab())
    assert all(shown(host).values())
    assert len(shown(host)) == 4


def test_without_our_tab_nothing_is_registered(webui):
    with gr.Blocks() as host:
        classic_page()
    with gr.Blocks() as problem_tab:
        gr.Markdown("something is missing")
    send_to.connect(problem_tab)
    assert webui.bindings == []
    assert webui.paste_fields == {}
    assert not any(shown(host).values())


def test_without_galleries_nothing_is_registered(webui):
    send_to.connect(our_tab())
    assert webui.bindings == []
    assert webui.paste_fields == {}


def test_reload_ui_starts_afresh(webui):
    with gr.Blocks():
        classic_page()  # this page failed before our tab was built
    with gr.Blocks() as second:
        sources = classic_page()
    send_to.connect(our_tab())
    assert len(webui.bindings) == 4
    assert {binding.source_image_component for binding in webui.bindings} == set(sources.values())
    assert len(buttons_in(second)) == 4
    webui.bindings.clear()
    with gr.Blocks() as third:
        classic_page()
    send_to.connect(our_tab())
    assert len(webui.bindings) == len(buttons_in(third)) == 4


@pytest.fixture
def no_stubs(monkeypatch):
    """Gradio 4 writes a .pyi file beside every class that is made from its components."""
    if importlib.util.find_spec("gradio.component_meta"):
        monkeypatch.setattr("gradio.component_meta.create_or_modify_pyi", lambda *_: None)


def test_hosts_small_buttons_are_used(webui, monkeypatch, no_stubs):
    class ToolButton(gr.Button):
        def get_block_name(self):
            return "button"

    monkeypatch.setitem(
        sys.modules, "modules.ui_components", SimpleNamespace(ToolButton=ToolButton, InputAccordion=None)
    )
    with gr.Blocks() as host:
        classic_page()
    button = buttons_in(host)["sadtalker_send_txt2img"]
    assert isinstance(button, ToolButton)
    assert button.value == send_to.GLYPH
    assert "SadTalker" in button.webui_tooltip
    assert buttons_in(host)["sadtalker_send_pnginfo"].value == send_to.WORDS


def test_settings_page(webui):
    settings_page.add_settings()
    options = webui.shared.opts.data_labels
    assert set(options) == {
        f"sadtalker_{name}"
        for name in ("output_dir", "by_date", "engine", "keep_models", "unload_checkpoint", "device")
    }
    for key, info in options.items():
        assert info.section == ("sadtalker", "SadTalker"), key
        assert info.label
    # The tab begins with a portrait: engines for meshes are no choice here.
    assert options["sadtalker_engine"].component_args["choices"] == ["auto", "sadtalker", "instant"]
    assert options["sadtalker_device"].component_args["choices"][:2] == ["auto", "cpu"]
    if webui.host != "sdnext":
        assert options["sadtalker_output_dir"].restrict_api
        assert not options["sadtalker_engine"].restrict_api
    if webui.host in ("a1111", "forge", "reforge"):
        assert options["sadtalker_engine"].category_id == "postprocessing"
    assert all(info.comment_after for info in options.values())


def test_folder_setting_hides_where_the_host_hides_folders(webui):
    hidden = {"visible": False}
    if webui.host == "sdnext":
        webui.shared.cmd_opts.hide_ui_dir_config = True
    else:
        webui.shared.hide_dirs = hidden
    settings_page.add_settings()
    assert webui.shared.opts.data_labels["sadtalker_output_dir"].component_args == hidden


def test_defaults_are_what_the_shell_assumes(webui):
    from sadtalker_ext.a1111.webui_shell import WebUIShell

    before = WebUIShell().settings()
    settings_page.add_settings()
    assert WebUIShell().settings() == before
