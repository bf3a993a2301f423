"""Take the pictures of the page in docs/images: `PYTHONPATH=. python docs/make_screenshots.py`.

Needs gradio, playwright and a Chromium (its path in PLAYWRIGHT_CHROMIUM where it is not found). With the
address of a running WebUI that has the extension, `--webui http://127.0.0.1:7860`, the pictures of what it
adds to the WebUI's own pages are taken instead. SADTALKER_SHOTS names another folder for the pictures.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = Path(os.environ.get("SADTALKER_SHOTS", ROOT / "docs" / "images"))
DEMO = ROOT / "sadtalker_ext" / "assets" / "demo"
QUALITIES = (85, 75, 65, 55)  # of a JPEG, until it is small enough
MOST_BYTES = 200_000
WIDTH, PHONE_WIDTH = 1280, 390  # CSS pixels
PATIENCE_MS = 120_000
EDGE = 8  # CSS pixels around what is cut out
MOMENT_S = 4.76  # of the demo at which its mouth is open


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The page of `sadtalker serve`; gives its address."""
    command = [sys.executable, "-m", "sadtalker_ext", "serve", "--port", "0"]
    command += ["--output-dir", str(folder / "videos"), "--models-dir", str(folder / "models")]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(folder)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            found = re.search(r"SadTalker is at (http://\S+)", line)
            if found:
                yield found.group(1)
                return
        raise SystemExit("The server did not start:\n" + "".join(said))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def open_page(browser: Browser, address: str, *, width: int = WIDTH, dark: bool = False) -> Page:
    """The tab, once it listens to clicks."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(address + ("?__theme=dark" if dark else ""))
    page.wait_for_selector("#sadtalker_generate")
    page.wait_for_timeout(1500)
    return page


def give(page: Page, name: str, path: Path) -> None:
    """Upload a file into the component of that id."""
    page.set_input_files(f"#{name} input[type=file]", str(path))


def wait_for_text(page: Page, name: str, pattern: str) -> None:
    """Until the component of that id says it."""
    page.wait_for_function(
        "([id, pattern]) => new RegExp(pattern).test(document.getElementById(id)?.innerText ?? '')",
        arg=[name, pattern],
    )


def make_video(page: Page) -> None:
    """The demo, from its files to a video that is stopped in the middle of a word."""
    give(page, "sadtalker_image", DEMO / "portrait.png")
    wait_for_text(page, "sadtalker_face_message", "[Ff]ace")
    give(page, "sadtalker_speech", DEMO / "speech.wav")
    wait_for_text(page, "sadtalker_speech_preview", "speech")
    page.click("#sadtalker_generate")
    page.wait_for_selector("#sadtalker_video video", state="visible")
    wait_for_text(page, "sadtalker_message", r"made in")
    page.eval_on_selector(
        "#sadtalker_video video",
        f"""video => new Promise(resolve => {{
            video.onseeked = resolve; video.pause(); video.currentTime = {MOMENT_S};
        }})""",
    )
    page.mouse.move(1, 1)
    page.wait_for_timeout(800)


def save(png: bytes, name: str) -> None:
    """A screenshot as a JPEG of at most 200 kB."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
        if file.tell() <= MOST_BYTES:
            break
    (IMAGES / name).write_bytes(file.getvalue())
    sys.stdout.write(f"{name}: {picture.width} x {picture.height}, {file.tell() / 1000:.0f} kB\n")


def shot_between(page: Page, first: str, last: str) -> bytes:
    """The part of the page from the top of one element to the end of another."""
    top, bottom = page.locator(first).bounding_box(), page.locator(last).bounding_box()
    assert top is not None
    assert bottom is not None
    x, y = max(0.0, top["x"] - EDGE), max(0.0, top["y"] - EDGE)
    width = top["width"] + 2 * EDGE
    height = bottom["y"] + bottom["height"] + EDGE - y
    y += page.evaluate("window.scrollY")
    return page.screenshot(full_page=True, clip={"x": x, "y": y, "width": width, "height": height})


def two_faces(folder: Path) -> Path:
    """A picture with the demo's face twice, once smaller."""
    path = folder / "two.png"
    with Image.open(DEMO / "portrait.png") as portrait:
        face = portrait.convert("RGB").crop((110, 0, 350, 240))
    together = Image.new("RGB", (440, 240), "lightgrey")
    together.paste(face, (0, 0))
    together.paste(face.resize((190, 190)), (245, 50))
    together.save(path)
    return path


def take_all(browser: Browser, address: str, folder: Path) -> None:
    page = open_page(browser, address)
    make_video(page)
    page.evaluate("window.scrollTo(0, 0)")
    save(page.screenshot(full_page=True), "webui-tab.jpg")

    page.click("#sadtalker_models_box button.label-wrap")
    page.wait_for_timeout(800)
    save(page.locator("#sadtalker_models_box").screenshot(), "webui-models.jpg")
    page.context.close()

    page = open_page(browser, address)
    give(page, "sadtalker_image", two_faces(folder))
    wait_for_text(page, "sadtalker_face_message", r"\d faces")
    page.wait_for_timeout(2500)
    save(shot_between(page, "#sadtalker_image", "#sadtalker_points_by_hand"), "webui-faces.jpg")
    page.context.close()

    page = open_page(browser, address, width=PHONE_WIDTH, dark=True)
    make_video(page)
    save(shot_between(page, "#sadtalker_generate", "#sadtalker_metadata"), "webui-phone.jpg")
    page.context.close()


def take_webui(browser: Browser, address: str) -> None:
    """Our parts of a WebUI's own pages: the send-to button, and what stands below the settings of txt2img."""
    page = browser.new_context(viewport={"width": WIDTH, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_selector("#txt2img_generate")
    page.wait_for_timeout(4000)
    accordion = page.locator("#sadtalker_after_txt2img")
    accordion.locator(".label-wrap").click()
    page.wait_for_timeout(1500)
    save(accordion.screenshot(), "webui-after.jpg")

    page.locator("#tabs > .tab-nav > button", has_text="Extras").click()
    give(page, "extras_image", DEMO / "portrait.png")
    page.wait_for_timeout(1500)
    page.click("#extras_generate")
    page.wait_for_selector("#extras_gallery img", state="visible")
    page.wait_for_timeout(2500)
    save(shot_between(page, "#extras_gallery_container", "#sadtalker_send_extras"), "webui-send.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--webui", metavar="URL", help="also take pictures of this running WebUI")
    given = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    chromium = os.environ.get("PLAYWRIGHT_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if given.webui:
            take_webui(browser, given.webui)
        else:
            with serve(Path(name)) as address:
                take_all(browser, address, Path(name))
        browser.close()


if __name__ == "__main__":
    main()
