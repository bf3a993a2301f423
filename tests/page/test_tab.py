"""The tab as a whole: what it consists of, and how its parts are named."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

pytest.importorskip("gradio")

import gradio as gr

from sadtalker_ext.page import models_panel, tab

# Ids that hosts, scripts of the page and people's own scripts rely on.
STABLE_IDS = (
    *("image", "speech", "microphone", "text", "voice", "idle", "engine", "manner"),
    *("generate", "interrupt", "progress", "preview", "video", "download", "open_folder"),
    *("last_frame", "last_frame_image", "track", "rerender", "metadata", "read_back", "message"),
    *("task", "show_latest"),
)


@pytest.fixture(scope="module")
def page(module_shell: Any) -> gr.Blocks:
    return tab.build_tab(module_shell)


def components(page: gr.Blocks) -> list[Any]:
    """Everything with a value that a host would look at for its ui-config."""
    return [block for block in page.blocks.values() if hasattr(block, "value") and block is not page]


def test_the_ids_that_others_rely_on(page: gr.Blocks) -> None:
    ids = {block.elem_id for block in page.blocks.values()}
    assert {f"sadtalker_{name}" for name in STABLE_IDS} <= ids


def test_ids_are_ours_and_unique(page: gr.Blocks) -> None:
    ids = [block.elem_id for block in page.blocks.values() if block.elem_id]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert [name for name in ids if not name.startswith("sadtalker_")] == []
    unnamed = [block for block in components(page) if not block.elem_id and not isinstance(block, gr.State)]
    assert unnamed == []


def test_labels_are_unique(page: gr.Blocks) -> None:
    labels = [
        block.label or getattr(block, "value", None)
        for block in components(page)
        if getattr(block, "label", None) and not isinstance(block, (gr.State, gr.HTML))
    ]
    assert [label for label, count in Counter(map(str, labels)).items() if count > 1] == []


def test_nothing_becomes_a_saved_default(page: gr.Blocks) -> None:
    kept = [
        block.elem_id
        for block in components(page)
        if not isinstance(block, gr.State) and not getattr(block, "do_not_save_to_config", False)
    ]
    assert kept == []


def test_hosts_find_what_they_connect(page: gr.Blocks) -> None:
    assert page.sadtalker_image.elem_id == "sadtalker_image"
    assert page.sadtalker_last_frame_button.elem_id == "sadtalker_last_frame"
    assert page.sadtalker_last_frame_image.elem_id == "sadtalker_last_frame_image"


def test_the_page_can_be_built_again(shell: Any) -> None:
    tab.build_tab(shell)
    with gr.Blocks() as outer, gr.Tabs(), gr.TabItem("SadTalker", elem_id="tab_sadtalker"):
        tab.build_tab(shell).render()
    assert any(block.elem_id == "sadtalker_generate" for block in outer.blocks.values())


def test_a_broken_panel_leaves_the_rest(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        with gr.Row():
            raise RuntimeError("nothing <works>")

    monkeypatch.setattr(models_panel, "build", broken)
    page = tab.build_tab(shell)
    said = found(page, "sadtalker_broken_models_panel")
    assert "nothing &lt;works&gt;" in said.value
    assert found(page, "sadtalker_show_latest")


def found(page: gr.Blocks, elem_id: str) -> Any:
    return next(block for block in page.blocks.values() if block.elem_id == elem_id)


def test_the_set_engine_is_chosen(shell: Any) -> None:
    shell.engine = "instant"
    assert found(tab.build_tab(shell), "sadtalker_engine").value == "instant"
    shell.engine = "of another version"
    assert found(tab.build_tab(shell), "sadtalker_engine").value == "auto"


def test_engines_say_what_they_miss(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from sadtalker_ext.engines import ENGINES, Need

    assert tab.engine_states(shell).startswith(
        "auto takes instant · sadtalker still needs SadTalker_V0.0.2_256"
    )
    instant = ENGINES["instant"]
    other = replace(instant, name="other", needs=lambda folder: (Need("weights", False, "get them"),))
    third = replace(instant, name="third")
    monkeypatch.setattr(tab, "ENGINES", {"instant": instant, "other": other, "third": third})
    assert tab.engine_states(shell) == "auto takes instant · other still needs weights · third is ready"


def test_no_folder_button_where_folders_cannot_be_opened(shell: Any) -> None:
    shell.can_open_folders = False
    assert not found(tab.build_tab(shell), "sadtalker_open_folder").visible


def test_the_last_frame_goes_where_it_can(shell: Any) -> None:
    assert found(tab.build_tab(shell), "sadtalker_last_frame").value == "Use last frame in img2img"
    shell.has_img2img = False
    assert found(tab.build_tab(shell), "sadtalker_last_frame").value == "Last frame as picture"


def test_listeners_fit_their_inputs_and_outputs(page: gr.Blocks) -> None:
    """Generate's script hands over exactly the inputs."""
    scripts = [
        dependency["js"] for dependency in page.get_config_file()["dependencies"] if dependency.get("js")
    ]
    submits = [script for script in scripts if "sadtalkerSubmit" in str(script)]
    assert len(submits) == 2
    assert all(re.search(r"slice\(0, \d+\)", script) for script in submits)
