"""Our script beside a WebUI's: it uses the host's progress bar and ids, and finds its tab anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")
pytest.importorskip("playwright.sync_api")

# What the script of a host offers, as far as ours uses it.
HOST = """
    window.asked = [];
    window.randomId = () => "task(of-the-host)";
    window.requestProgress = (id, place, gallery, atEnd) => {
        const bar = document.createElement("div");
        bar.className = "progressDiv";
        bar.textContent = "Waiting...";
        place.parentNode.insertBefore(bar, place);
        const preview = gallery.appendChild(document.createElement("div"));
        preview.className = "livePreview";
        window.asked.push({id, inTab: Boolean(place.closest("#sadtalker_progress"))});
        window.end = () => { bar.parentNode.removeChild(bar); gallery.removeChild(preview); atEnd(); };
    };
"""
TABS = """labels => {
    const tabs = document.createElement("div");
    const buttons = labels.map((label, n) => `<button onclick="window.opened = ${n}">${label}</button>`);
    const pages = labels.map((_, n) => `<div id="tab_${n === 1 ? "sadtalker" : "other" + n}"></div>`);
    tabs.innerHTML = `<div class="tab-nav">${buttons.join("")}</div>${pages.join("")}`;
    document.querySelector("#tab_sadtalker").id = "page_of_ours";
    document.body.append(tabs);
}"""


@pytest.fixture
def hosted(tab: Any) -> Iterator[Any]:
    """The tab in a page with a host's functions; `state` is what the host's server says of every task."""
    tab.state = {"active": False, "queued": False, "completed": False}
    tab.page.route(
        "**/internal/progress",
        lambda route: route.fulfill(body=json.dumps(tab.state), content_type="application/json"),
    )
    tab.page.add_init_script(HOST)
    tab.open()
    yield tab
    tab.page.unroute_all(behavior="wait")


def test_the_hosts_own_bar_is_used(hosted: Any, portrait: Path) -> None:
    hosted.give_picture(portrait, "1 face")
    hosted.choose_idle(1)
    hosted.state["active"] = True
    hosted.generate()
    hosted.page.wait_for_selector("#sadtalker_progress .progressDiv")
    assert hosted.page.evaluate("window.asked") == [{"id": "task(of-the-host)", "inTab": True}]
    assert hosted.page.query_selector(".sadtalker-bar") is None
    hosted.page.wait_for_selector("#sadtalker_video video", state="visible")
    hosted.page.wait_for_selector("#sadtalker_interrupt", state="visible")  # until the host says it is over
    hosted.page.evaluate("window.end()")
    hosted.page.wait_for_selector("#sadtalker_generate", state="visible")
    assert hosted.page.query_selector(".progressDiv, .livePreview") is None


def test_a_run_that_never_began_ends_before_the_host_gives_up(hosted: Any) -> None:
    hosted.page.click("#sadtalker_generate")
    assert "portrait" in hosted.wait_for_text("sadtalker_message", r"\S")
    hosted.page.wait_for_selector("#sadtalker_generate", state="visible")
    assert hosted.page.query_selector(".progressDiv") is None
    hosted.page.evaluate("window.end()")  # much later, the host gives up: nothing happens any more


def test_after_a_reload_the_hosts_bar_comes_back(hosted: Any) -> None:
    hosted.page.evaluate("localStorage.setItem('sadtalker_task_id', 'task(earlier)')")
    hosted.state["active"] = True
    hosted.open()
    hosted.page.wait_for_selector("#sadtalker_progress .progressDiv")
    assert hosted.page.evaluate("window.asked[0].id") == "task(earlier)"
    hosted.page.evaluate("window.end()")
    hosted.page.wait_for_selector("#sadtalker_generate", state="visible")
    assert hosted.page.evaluate("localStorage.getItem('sadtalker_task_id')") is None


def test_a_task_the_host_has_forgotten_is_forgotten(hosted: Any) -> None:
    hosted.page.evaluate("localStorage.setItem('sadtalker_task_id', 'task(old)')")
    hosted.open()
    hosted.page.wait_for_function("() => localStorage.getItem('sadtalker_task_id') === null")
    assert hosted.page.evaluate("window.asked") == []


@pytest.mark.parametrize("label", ["SadTalker", "話す肖像"])
def test_the_tab_opens_by_name_or_by_place(tab: Any, label: str) -> None:
    tab.page.evaluate(TABS, ["txt2img", label, "Settings"])
    assert tab.page.evaluate("switch_to_sadtalker('picture', 2)") == ["picture", 2]
    assert tab.page.evaluate("window.opened") == 1
