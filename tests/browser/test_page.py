"""The page of `sadtalker serve` in a headless Chromium, clicked through as a person would."""

from __future__ import annotations

import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")
pytest.importorskip("playwright.sync_api")

ONE_FACE, NO_FACE, FACES = "1 face", "[Nn]o face", "2 faces"
FIVE_POINTS = ((100, 105), (156, 105), (128, 138), (106, 168), (150, 168))  # in a picture of 256 × 256
FRAME = 1 / 25  # seconds

# The bar is drawn before the request is sent: only what the server says shows that it has come.
BEGUN = """() => /Preparing|Reading|Finding|Listening|Rendering/.test(
    document.querySelector('.sadtalker-bar-text')?.textContent ?? '')"""
RENDERING = "() => /Rendering/.test(document.querySelector('.sadtalker-bar-text')?.textContent ?? '')"

# Notes what the page shows while a video is made, however short that is.
OBSERVER = """() => {
    window.seen = {texts: [], previews: 0};
    new MutationObserver(() => {
        const text = document.querySelector('.sadtalker-bar-text')?.textContent;
        if (text) window.seen.texts.push(text);
        if (document.querySelector('#sadtalker_preview img')) window.seen.previews += 1;
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


def test_picture_and_speech_become_a_video_that_plays(
    tab: Any, server: Any, demo_portrait: Path, demo_speech: Path
) -> None:
    before = server.results()
    tab.page.evaluate(OBSERVER)
    tab.give_picture(demo_portrait, ONE_FACE)
    tab.give_speech(demo_speech)
    tab.generate()
    video = tab.finish()
    assert video["duration"] == pytest.approx(11.7, abs=0.1)
    assert (video["width"], video["height"]) == (512, 512)
    seen = tab.page.evaluate("window.seen")
    assert any("Rendering" in text and "%" in text for text in seen["texts"]), seen
    assert seen["previews"] > 0
    # Bar and preview have gone again; one file has come, whole, and can be downloaded.
    tab.page.wait_for_selector(".sadtalker-bar", state="detached")
    tab.page.wait_for_selector("#sadtalker_preview img", state="detached")
    (made,) = server.results() - before
    assert made.endswith(".mp4")
    assert made in tab.text("sadtalker_download").replace("\n", "")
    assert "Seed: 0" in tab.page.input_value("#sadtalker_metadata textarea")


def test_without_a_face_five_clicks_make_one(tab: Any, blank: Path) -> None:
    tab.give_picture(blank, NO_FACE)
    tab.choose_idle(1)
    tab.page.click("#sadtalker_generate")
    assert "points" in tab.wait_for_text("sadtalker_message", "points")
    tab.page.wait_for_selector("#sadtalker_generate", state="visible")
    assert tab.page.query_selector("#sadtalker_message .sadtalker-error")

    picture = tab.page.locator("#sadtalker_face_preview img")
    picture.wait_for(state="visible")
    for x, y in FIVE_POINTS:
        box = picture.bounding_box()
        told = tab.wait_for_text("sadtalker_face_message", r"\S")
        # The picture is shown whole, in the middle of its frame.
        scale = min(box["width"], box["height"]) / 256
        left, top = (box["width"] - 256 * scale) / 2, (box["height"] - 256 * scale) / 2
        picture.click(position={"x": left + x * scale, "y": top + y * scale})
        tab.wait_for_text("sadtalker_face_message", f"^(?!{re.escape(told)})")
    tab.generate()
    video = tab.finish()
    assert video["duration"] == pytest.approx(1.0, abs=FRAME)


def test_of_several_faces_one_is_chosen(tab: Any, group: Path) -> None:
    tab.give_picture(group, FACES)
    tab.choose_idle(1)
    tab.page.click("#sadtalker_face_number label:has-text('2')")
    tab.generate()
    video = tab.finish()
    assert (video["width"], video["height"]) == (448, 256)
    line = tab.page.input_value("#sadtalker_metadata textarea")
    # The second face is the right one: the left one's centre is at 128.
    x = float(line.split("Face at: ")[1].split(",")[0].split()[0])
    assert x > 256


def test_only_the_knobs_of_the_chosen_engine_are_shown(tab: Any) -> None:
    groups = {name: f"#sadtalker_group_{name}" for name in ("sadtalker", "codetalker")}
    for group in groups.values():  # auto: the engine instant, for no weights are there
        tab.page.wait_for_selector(group, state="hidden")
    for engine in ("sadtalker", "instant"):
        tab.page.click("#sadtalker_engine input")
        tab.page.fill("#sadtalker_engine input", engine)
        tab.page.press("#sadtalker_engine input", "Enter")
        for name, group in groups.items():
            tab.page.wait_for_selector(group, state="visible" if name == engine else "hidden")
    assert tab.page.is_visible("#sadtalker_group_motion")


def test_interrupt_leaves_nothing(tab: Any, server: Any, portrait: Path) -> None:
    before = server.results()
    tab.give_picture(portrait, ONE_FACE)
    tab.choose_idle(600)
    tab.generate()
    tab.page.wait_for_function(RENDERING)
    tab.page.click("#sadtalker_interrupt")
    message = tab.wait_for_text("sadtalker_message", r"\S")
    assert "nothing was written" in message
    tab.page.wait_for_selector("#sadtalker_generate", state="visible")
    tab.page.wait_for_selector("#sadtalker_interrupt", state="hidden")
    assert server.results() == before


def test_what_is_missing_is_said_and_the_page_goes_on(tab: Any, portrait: Path, words: Path) -> None:
    tab.page.click("#sadtalker_generate")
    assert "portrait" in tab.wait_for_text("sadtalker_message", r"\S")
    tab.page.wait_for_selector("#sadtalker_generate", state="visible")
    tab.page.wait_for_selector("#sadtalker_interrupt", state="hidden")
    # The same sentence once more is noticed too.
    tab.page.click("#sadtalker_generate")
    tab.page.wait_for_selector("#sadtalker_interrupt", state="hidden")
    tab.wait_for_text("sadtalker_message", "portrait")

    tab.give_picture(portrait, ONE_FACE)
    tab.give_speech(words)
    tab.generate()
    assert tab.finish()["duration"] == pytest.approx(1.6, abs=FRAME)


def test_a_finished_video_sets_the_knobs(tab: Any, portrait: Path, tmp_path: Path) -> None:
    from sadtalker_ext import Options, animate

    video = tmp_path / "made.mp4"
    animate(portrait, None, video, Options(idle=1, seed=4711, head_motion=1.4, crf=23))
    assert tab.page.input_value("#sadtalker_knob_seed input") != "4711"
    tab.page.click("#sadtalker_read_back_box .label-wrap")
    tab.give("sadtalker_read_back", video)
    tab.page.wait_for_function("() => document.querySelector('#sadtalker_knob_seed input').value === '4711'")
    assert tab.page.input_value("#sadtalker_knob_head_motion input[type=number]") == "1.4"
    assert tab.page.input_value("#sadtalker_knob_crf input[type=number]") == "23"


def test_the_models_panel_says_where_a_missing_file_belongs(tab: Any, server: Any) -> None:
    tab.page.click("#sadtalker_models_box > .label-wrap")
    panel = tab.page.locator("#sadtalker_models")
    panel.wait_for(state="visible")
    text = panel.inner_text()
    assert "missing" in text
    for details in tab.page.query_selector_all("#sadtalker_models details"):
        details.evaluate("one => { one.open = true; }")
    text = panel.inner_text()
    assert str(server.output.parent / "models") in text
    assert ".safetensors" in text or ".pth" in text


@pytest.mark.skipif(
    not (shutil.which("espeak-ng") or shutil.which("espeak")), reason="no espeak-ng speaks here"
)
def test_text_is_spoken(tab: Any, portrait: Path) -> None:
    tab.give_picture(portrait, ONE_FACE)
    tab.page.click("#sadtalker_speech_source label:has-text('Text')")
    tab.page.fill("#sadtalker_text textarea", "Good morning to all of you.")
    tab.page.press("#sadtalker_text textarea", "Tab")
    tab.generate()
    assert tab.finish()["duration"] > 0.8


def test_a_reloaded_page_finds_its_run_again(tab: Any, server: Any, portrait: Path) -> None:
    before = server.results()
    tab.give_picture(portrait, ONE_FACE)
    tab.choose_idle(600)
    tab.generate()
    tab.page.wait_for_function(RENDERING)
    tab.open()
    tab.page.wait_for_selector("#sadtalker_interrupt", state="visible")
    tab.page.wait_for_function(RENDERING)
    tab.page.click("#sadtalker_interrupt")
    tab.wait_for_text("sadtalker_message", "nothing was written")
    tab.page.wait_for_selector("#sadtalker_generate", state="visible")
    assert server.results() == before


def test_a_video_finished_while_the_page_was_away_is_shown(tab: Any, server: Any, portrait: Path) -> None:
    before = server.results()
    tab.give_picture(portrait, ONE_FACE)
    tab.choose_idle(20)
    tab.generate()
    tab.page.wait_for_function(BEGUN)
    tab.page.goto("about:blank")
    deadline = time.monotonic() + 60
    while not any(name.endswith(".mp4") and name[0] != "." for name in server.results() - before):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # A server that is busy at first is asked again.
    tab.page.route("**/internal/progress", lambda route: route.fulfill(body="later"), times=2)
    tab.open()
    assert tab.finish()["duration"] == pytest.approx(20, abs=FRAME)


def test_ctrl_enter_starts_and_stops(tab: Any, portrait: Path) -> None:
    tab.give_picture(portrait, ONE_FACE)
    tab.choose_idle(600)
    tab.page.keyboard.press("Control+Enter")
    tab.page.wait_for_selector("#sadtalker_interrupt", state="visible")
    tab.page.wait_for_function(RENDERING)
    tab.page.keyboard.press("Control+Enter")
    tab.wait_for_text("sadtalker_message", "nothing was written")
    tab.page.wait_for_selector("#sadtalker_generate", state="visible")


def test_two_pages_wait_for_each_other(open_tab: Any, portrait: Path) -> None:
    first, second = open_tab(), open_tab()
    for one, seconds in ((first, 600), (second, 1)):
        one.give_picture(portrait, ONE_FACE)
        one.choose_idle(seconds)
    first.generate()
    first.page.wait_for_function(RENDERING)
    second.generate()
    second.page.wait_for_function(
        "() => /In queue: 1.1/.test(document.querySelector('.sadtalker-bar-text')?.textContent ?? '')"
    )
    first.page.click("#sadtalker_interrupt")
    first.wait_for_text("sadtalker_message", "nothing was written")
    assert second.finish()["duration"] == pytest.approx(1, abs=FRAME)


def test_ctrl_c_ends_the_server_and_its_run(
    browser: Any, start_server: Any, tmp_path: Path, portrait: Path
) -> None:
    process, server, tab = start_server(tmp_path, browser)
    tab.give_picture(portrait, ONE_FACE)
    tab.choose_idle(600)
    tab.generate()
    tab.page.wait_for_function(RENDERING)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    tab.page.context.close()
    assert said == "Stopped.\n"
    assert process.returncode == 0
    assert server.results() == set()


def test_with_a_password_the_page_works_for_those_who_know_it(
    open_tab: Any, serve: Any, portrait: Path
) -> None:
    address = serve("--auth", "ann:secret phrase").address
    tab = open_tab(address=address, user=("ann", "secret phrase"))
    tab.give_picture(portrait, ONE_FACE)
    tab.choose_idle(1)
    tab.generate()
    assert tab.finish()["duration"] == pytest.approx(1, abs=FRAME)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits(open_tab: Any, screenshots: Path, portrait: Path, width: int, dark: bool) -> None:
    import gradio

    tab = open_tab(width=width, dark=dark)
    tab.give_picture(portrait, ONE_FACE)
    tab.choose_idle(1)
    tab.generate()
    tab.finish()
    shot = f"gradio{gradio.__version__[0]}-{width}-{'dark' if dark else 'light'}"
    tab.page.screenshot(path=str(screenshots / f"{shot}.png"), full_page=True)
    for name in ("basic", "motion", "face", "output"):
        tab.page.click(f"#sadtalker_group_{name} > .label-wrap")
    tab.page.wait_for_selector("#sadtalker_knob_crf", state="visible")
    tab.page.screenshot(path=str(screenshots / f"{shot}-knobs.png"), full_page=True)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    # Text can be told from what is behind it.
    contrast = tab.page.eval_on_selector(
        "#sadtalker_message .sadtalker-done",
        """element => {
            const light = colour => {
                const [red, green, blue] = colour.match(/[\\d.]+/g).map(Number);
                return (red + green + blue) / 3;
            };
            const style = getComputedStyle(element);
            return Math.abs(light(style.color) - light(style.backgroundColor));
        }""",
    )
    assert contrast > 100
