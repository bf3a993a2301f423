"""A server of ours, a headless Chromium, and small inputs that all browser tests share."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120  # for imports on a busy machine
STOP_SECONDS = 30
PATIENCE = 90_000  # milliseconds for anything on the page
SETTLE = 700  # milliseconds: gradio attaches its listeners a moment after it shows the page, and tells nobody
FLAGS = [
    "--no-sandbox",  # refused to root otherwise
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Server:
    """A running `sadtalker serve`. output: the folder for its results."""

    address: str
    output: Path

    def results(self) -> set[str]:
        """Everything in the folder for results, hidden files too."""
        return set(os.listdir(self.output)) if self.output.is_dir() else set()


def chromium() -> str:
    """The browser's path; skips where there is none."""
    named = os.environ.get("PLAYWRIGHT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if not found:
        pytest.skip("no Chromium: install Debian's chromium, or set PLAYWRIGHT_CHROMIUM to its path")
    return found


def _start(output: Path, models: Path, *flags: str) -> tuple[Any, str]:
    """A server process and the address it prints."""
    command = [sys.executable, "-m", "sadtalker_ext", "serve", "--port", "0", "--no-download"]
    command += ["--output-dir", str(output), "--models-dir", str(models), *flags]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        command,
        cwd=output.parent,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    lines = []
    for line in process.stdout:
        lines.append(line)
        found = re.search(r"SadTalker is at (http://\S+)", line)
        if found:
            watchdog.cancel()
            return process, found.group(1)
    watchdog.cancel()
    raise AssertionError("The server did not start:\n" + "".join(lines))


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers with flags of their own; in the end each must stop cleanly and have said nothing odd."""
    pytest.importorskip("gradio")
    pytest.importorskip("playwright.sync_api")
    chromium()
    running: list[tuple[Any, list[str], threading.Thread]] = []

    def start(*flags: str) -> Server:
        folder = tmp_path_factory.mktemp("server")
        process, address = _start(folder / "results", folder / "models", *flags)
        # What it prints is read all the time, or a full pipe would stop it.
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
        reader.start()
        running.append((process, said, reader))
        return Server(address, folder / "results")

    yield start
    for process, _, _ in running:
        process.send_signal(signal.SIGINT)
    for process, said, reader in running:
        code = process.wait(STOP_SECONDS)
        reader.join(STOP_SECONDS)
        text = "".join(said)
        assert code == 0, text
        assert "Traceback" not in text, text


@pytest.fixture(scope="session")
def server(serve: Callable[..., Server]) -> Server:
    return serve()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For a module only: while Playwright is there, tests beside cannot use asyncio in this thread."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield opened
        opened.close()


class Tab:
    """The page as a person uses it. trouble: errors in its console, and requests that leave this computer."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.trouble: list[str] = []
        page.on("pageerror", lambda error: self.trouble.append(f"page error: {error}"))
        page.on("console", self._heard)
        page.on("request", lambda request: self._asked(request.url))
        self.open()

    def _heard(self, line: Any) -> None:
        # Gradio 4.44 says so of streams that it ends itself.
        if line.type == "error" and "AbortError: signal is aborted" not in line.text:
            self.trouble.append(f"console: {line.text} {line.location}")

    def _asked(self, url: str) -> None:
        if re.match(r"(https?|wss?)://(?!127\.0\.0\.1[:/])", url):
            self.trouble.append(f"request to elsewhere: {url}")

    def open(self) -> None:
        """Open or reload the page and wait until it listens to clicks."""
        self.page.goto(self.address)
        self.page.wait_for_selector("#sadtalker_generate:visible, #sadtalker_interrupt:visible")
        self.page.wait_for_function("typeof sadtalkerSubmit === 'function'")
        self.page.wait_for_timeout(SETTLE)

    def give(self, elem_id: str, path: Path) -> None:
        """Upload a file."""
        self.page.set_input_files(f"#{elem_id} input[type=file]", str(path))

    def give_picture(self, path: Path, expected: str) -> None:
        """Upload the portrait and wait for what is said about its faces."""
        self.give("sadtalker_image", path)
        self.wait_for_text("sadtalker_face_message", expected)

    def give_speech(self, path: Path) -> None:
        self.give("sadtalker_speech", path)
        self.wait_for_text("sadtalker_speech_preview", path.name)

    def choose_idle(self, seconds: float) -> None:
        """Seconds of quiet presence instead of speech."""
        self.page.click("#sadtalker_speech_source label:has-text('Idle')")
        self.page.fill("#sadtalker_idle input", str(seconds))
        self.page.press("#sadtalker_idle input", "Tab")

    def generate(self) -> None:
        self.page.click("#sadtalker_generate")
        self.page.wait_for_selector("#sadtalker_interrupt", state="visible")

    def text(self, elem_id: str) -> str:
        return self.page.inner_text(f"#{elem_id}")

    def wait_for_text(self, elem_id: str, pattern: str) -> str:
        """The sentences in the element once they match the regular expression."""
        # Not its whole text: gradio keeps an invisible clock in there.
        read = """id => Array.from(
            document.querySelectorAll(`#${id} :is(.sadtalker-error, .sadtalker-note, .sadtalker-done)`),
            sentence => sentence.innerText).join('\\n')"""
        self.page.wait_for_function(
            f"([id, pattern]) => new RegExp(pattern).test(({read})(id))", arg=[elem_id, pattern]
        )
        return self.page.evaluate(read, elem_id)

    def finish(self) -> dict[str, float]:
        """Wait for the video and play it; its duration in seconds and its size in pixels."""
        message = self.wait_for_text("sadtalker_message", r"\S")
        assert "made in" in message, message
        self.page.wait_for_selector("#sadtalker_generate", state="visible")
        self.page.wait_for_selector("#sadtalker_video video", state="visible")
        self.page.wait_for_function("() => document.querySelector('#sadtalker_video video')?.readyState >= 2")
        return self.page.eval_on_selector(
            "#sadtalker_video video",
            """async video => {
                video.muted = true;
                await video.play();
                const told = {duration: video.duration, width: video.videoWidth, height: video.videoHeight};
                await new Promise(resolve => {
                    video.ontimeupdate = () => (video.currentTime > 0.2 || video.ended) && resolve();
                });
                video.pause();
                return told;
            }""",
        )


@pytest.fixture
def open_tab(server: Server, browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens the page in a browser of its own; errors in its console fail the test in the end."""
    contexts, tabs = [], []

    def open_one(
        *,
        width: int = 1280,
        dark: bool = False,
        address: str | None = None,
        user: tuple[str, str] | None = None,
    ) -> Tab:
        context = browser.new_context(
            viewport={"width": width, "height": 1000},
            color_scheme="dark" if dark else "light",
            http_credentials=None if user is None else {"username": user[0], "password": user[1]},
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        tabs.append(Tab(context.new_page(), address or server.address))
        return tabs[-1]

    yield open_one
    for context in contexts:
        context.close()
    trouble = [line for tab in tabs for line in tab.trouble]
    assert not trouble, "\n".join(trouble)


@pytest.fixture
def start_server() -> Iterator[Callable[..., tuple[Any, Server, Tab]]]:
    """A server of one's own, to be ended by the test, with its page open; console errors do not matter."""
    processes = []

    def start(folder: Path, browser: Browser) -> tuple[Any, Server, Tab]:
        process, address = _start(folder / "results", folder / "models")
        processes.append(process)
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        return process, Server(address, folder / "results"), Tab(context.new_page(), address)

    yield start
    for process in processes:
        process.kill()


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    return open_tab()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the page are kept: the folder SADTALKER_SCREENSHOTS, else a temporary one."""
    named = os.environ.get("SADTALKER_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def portrait(demo_portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that fills a picture of 256 × 256."""
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures") / "face.png"
    with Image.open(demo_portrait) as picture:
        picture.convert("RGB").crop((130, 0, 330, 200)).resize((256, 256)).save(path)
    return path


@pytest.fixture(scope="session")
def group(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces side by side, the left one larger: 448 × 256."""
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures") / "group.png"
    together = Image.new("RGB", (448, 256), "grey")
    with Image.open(portrait) as face:
        together.paste(face, (0, 0))
        together.paste(face.resize((192, 192)), (256, 64))
    together.save(path)
    return path


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture without a face: 256 × 256."""
    from PIL import Image, ImageDraw

    path = tmp_path_factory.mktemp("pictures") / "blank.png"
    picture = Image.new("RGB", (256, 256), "#7a9a6a")
    ImageDraw.Draw(picture).ellipse((60, 40, 196, 220), fill="#c8b090")
    picture.save(path)
    return path


@pytest.fixture(scope="session")
def words(demo_speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 1.6 seconds of the demo's speech."""
    path = tmp_path_factory.mktemp("speech") / "words.wav"
    with wave.open(str(demo_speech)) as whole, wave.open(str(path), "wb") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(int(1.6 * whole.getframerate())))
    return path
