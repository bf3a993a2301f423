"""The weight files on this machine into a list in the tab: what is there, what is missing, downloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import Any

import gradio as gr

from ..checkpoints.catalog import CATALOG, Checkpoint, by_engine, pairs
from ..checkpoints.contents import MISSING, PRESENT, UNREADABLE, UNSAFE, WRONG
from ..checkpoints.downloads import DOWNLOADS, Downloads, Job
from ..checkpoints.places import home
from ..checkpoints.state import Status, faulty, status
from ..checkpoints.transfer import CHECKING, OFF, megabytes
from ..engines import ENGINES
from ..errors import cleaned, worded
from ..shell import Shell
from . import compat
from .words import PAGE

BUSY = "sadtalker-downloading"  # a class that the page looks for: while it is there, it asks again
WATCH_MS = 1000  # between two questions

# Presses "Look again" every second while a download runs, and a few times more until its end is shown.
WATCH = f"""() => {{
    if (window.sadtalkerModelsTimer || typeof sadtalkerButton !== "function") return [];
    let calm = 0;
    window.sadtalkerModelsTimer = setInterval(() => {{
        calm = sadtalkerRoot().querySelector(".{BUSY}") ? 0 : calm + 1;
        const again = sadtalkerButton("sadtalker_models_refresh");
        if (calm > 2 || !again) {{
            clearInterval(window.sadtalkerModelsTimer);
            window.sadtalkerModelsTimer = null;
        }} else {{
            again.click();
        }}
    }}, {WATCH_MS});
    return [];
}}"""

STYLE = """<style>
.sadtalker-model { line-height: 1.45; overflow-wrap: anywhere; }
.sadtalker-model small, .sadtalker-model details { color: var(--body-text-color-subdued); font-size: 0.85em; }
.sadtalker-model summary { cursor: pointer; }
.sadtalker-model .fault { color: #d33; }
.sadtalker-model progress { width: 100%; height: 0.6em; accent-color: var(--primary-500, #e80); }
.sadtalker-badge { border-radius: 0.6em; padding: 0 0.5em; font-size: 0.85em; white-space: nowrap;
  background: #8883; color: var(--body-text-color); }
.sadtalker-badge.present { background: #2a94; } .sadtalker-badge.fault { background: #d334; }
</style>"""


@dataclass(frozen=True)
class Row:
    """How one weight file is shown. html: what is known of it. download: text of its button, or None for no
    button. cancel: whether there is something to cancel.
    """

    html: str
    download: str | None
    cancel: bool


def view(shell: Shell, checkpoint: Checkpoint, downloads: Downloads) -> Row:
    """How a weight file is shown now."""
    found = status(checkpoint, shell.host.models_dir())
    job = downloads.job(checkpoint)
    running = job is not None and job.running
    allowed = shell.settings().downloads and bool(checkpoint.urls)
    offered = allowed and not running and found.state not in (PRESENT, WRONG, UNSAFE, UNREADABLE)
    cancel = job is not None and job.running and not job.cancelled
    return Row(_html(shell, found, job), _button_text(found) if offered else None, cancel)


def introduction(shell: Shell) -> str:
    """What stands above the list."""
    told = [STYLE, "<p>The engine <b>instant</b>, which is built in, needs no download.</p>"]
    where = "below each missing file stands where to fetch it and where to put it."
    if not shell.settings().downloads:
        told.append(f"<p>{escape(OFF)}: {where}</p>")
    told += [
        f'<p class="fault">{escape(worded(sentence, PAGE))}</p>'
        for sentence in faulty(shell.host.models_dir())
    ]
    return "".join(told)


def heading(engine: str, files: Sequence[Checkpoint]) -> str:
    """What stands above the files of an engine."""
    if engine not in ENGINES:
        note = f"This version has no engine {engine} yet, so nothing reads these files today; "
        note += "those you have or fetch are found when it comes."
    elif models := pairs(files):
        note = f"The engine {engine} needs both stages of one face model: {' or '.join(models)}."
    elif all(checkpoint.optional for checkpoint in files):
        note = f"The engine {engine} runs without these; they are for what is said beside them."
    else:
        note = f"The engine {engine} needs these files."
    return f"<h4>Files of the engine {escape(engine)}</h4><p>{escape(note)}</p>"


def build(shell: Shell) -> None:
    """The list with its buttons, inside the current Blocks. Nothing is fetched before a click on Download."""
    checkpoints: list[Checkpoint] = []
    components: list[Any] = []
    buttons: list[tuple[Any, Any]] = []
    with gr.Column(elem_id="sadtalker_models"):
        about = _text(introduction(shell), "about", "About models")
        for engine, files in by_engine(CATALOG, ENGINES).items():
            _text(heading(engine, files), f"engine_{engine}", f"Models of {engine}")
            for checkpoint in files:
                row = _build_row(shell, checkpoint)
                checkpoints.append(checkpoint)
                components += row
                buttons.append((row[1], row[2]))
        again = compat.button("Look again", elem_id="sadtalker_models_refresh", size="sm")

    def refresh() -> list[Any]:
        rows = (_updates(view(shell, checkpoint, DOWNLOADS)) for checkpoint in checkpoints)
        return [compat.update(value=introduction(shell)), *chain.from_iterable(rows)]

    def listeners(checkpoint: Checkpoint) -> tuple[Callable[[], list[Any]], Callable[[], list[Any]]]:
        def start() -> list[Any]:
            DOWNLOADS.start(checkpoint, shell.host.models_dir(), allowed=shell.settings().downloads)
            return refresh()

        def stop() -> list[Any]:
            DOWNLOADS.cancel(checkpoint)
            return refresh()

        return start, stop

    outputs = [about, *components]
    for checkpoint, (fetch, cancel) in zip(checkpoints, buttons, strict=True):
        start, stop = listeners(checkpoint)
        started = compat.click(fetch, start, [], outputs, queue=False)
        compat.listen(started.then, None, js=WATCH, queue=False)
        compat.click(cancel, stop, [], outputs, queue=False)
    compat.click(again, refresh, [], outputs, queue=False)
    page = compat.page()
    if page is not None:
        # A page that is opened while a download runs shows it and follows it.
        loaded = compat.on_load(page, refresh, [], outputs)
        compat.listen(loaded.then, None, js=WATCH, queue=False)


def _build_row(shell: Shell, checkpoint: Checkpoint) -> list[Any]:
    row, name = view(shell, checkpoint, DOWNLOADS), checkpoint.id.replace("-", "_")
    with gr.Row(elem_id=f"sadtalker_models_row_{name}"):
        with gr.Column(scale=5, min_width=240):
            text = _text(row.html, name, checkpoint.file)
        with gr.Column(scale=1, min_width=140):
            fetch_id, cancel_id = f"sadtalker_models_download_{name}", f"sadtalker_models_cancel_{name}"
            offered = row.download is not None
            fetch = compat.button(row.download or "Download", elem_id=fetch_id, size="sm", visible=offered)
            cancel = compat.button("Cancel", elem_id=cancel_id, variant="stop", size="sm", visible=row.cancel)
    return [text, fetch, cancel]


def _text(html: str, name: str, label: str) -> Any:
    return compat.component(gr.HTML, html, elem_id=f"sadtalker_models_{name}", label=label)


def _updates(row: Row) -> list[Any]:
    return [
        compat.update(value=row.html),
        compat.update(value=row.download or "Download", visible=row.download is not None),
        compat.update(visible=row.cancel),
    ]


def _button_text(found: Status) -> str:
    if found.part:
        whole = found.checkpoint.size
        return f"Resume at {100 * found.part // whole} %" if whole else f"Resume at {megabytes(found.part)}"
    return "Download" if found.state == MISSING else "Download again"


def _html(shell: Shell, found: Status, job: Job | None) -> str:
    checkpoint = found.checkpoint
    size = found.size or checkpoint.bytes_to_expect
    kind = {PRESENT: "present", MISSING: "missing"}.get(found.state, "fault")
    lines = [
        f'<b>{escape(checkpoint.file)}</b> <span class="sadtalker-badge {kind}">{escape(found.state)}</span>'
        + (f" <small>{megabytes(size)}</small>" if size else ""),
        f"<small>{escape(checkpoint.use)}</small>",
    ]
    if job is not None and job.running:
        lines.append(_running(job))
    elif job is not None and job.error and found.state != PRESENT:
        lines.append(f'<span class="fault">{escape(worded(job.error, PAGE))}</span>')
    elif job is not None and job.cancelled and found.state != PRESENT:
        lines.append("<small>Cancelled; what has arrived is kept, the next download goes on there.</small>")
    if found.note:
        style = "" if found.usable else ' class="fault"'
        lines.append(f"<span{style}>{escape(worded(found.note, PAGE))}</span>")
    if found.usable:
        lines.append(f"<small>{escape(cleaned(str(found.path)))}</small>")
    lines.append(_details(shell, found))
    return '<div class="sadtalker-model">' + "<br>".join(lines) + "</div>"


def _running(job: Job) -> str:
    transfer = job.transfer
    if job.cancelled:
        return f'<span class="{BUSY}">Stopping …</span>'
    if transfer is None:
        return f'<span class="{BUSY}">Connecting …</span>'
    what = "Checking" if transfer.phase == CHECKING else f"Downloading from {escape(transfer.source)}"
    amount = f"{megabytes(transfer.done)}" + (f" of {megabytes(transfer.total)}" if transfer.total else "")
    speed = f", {megabytes(round(job.speed))}/s" if job.speed >= 1 and transfer.phase != CHECKING else ""
    bar = f'<progress max="{transfer.total}" value="{transfer.done}"></progress>' if transfer.total else ""
    return f'<span class="{BUSY}">{what}: {amount}{speed}</span>{bar}'


def _details(shell: Shell, found: Status) -> str:
    checkpoint = found.checkpoint
    folder = home(checkpoint, shell.host.models_dir())
    addresses = "<br>".join(_link(url) for url in checkpoint.urls) or _link(checkpoint.page)
    by_hand = (
        f"By hand: fetch it, on any computer, from<br>{addresses}<br>and put it as "
        f"<code>{escape(checkpoint.file)}</code> into <code>{escape(str(folder))}</code>; "
        "then press Look again.<br>"
    )
    needs_a_hand = not found.usable and not shell.settings().downloads and checkpoint.engine in ENGINES
    title = "Where from, where to, licence" if not found.usable else "Licence"
    return (
        f"<details{' open' if needs_a_hand else ''}><summary>{title}</summary>"
        f"{'' if found.usable else by_hand}Licence: {escape(checkpoint.licence)}.</details>"
    )


def _link(address: str) -> str:
    return f'<a href="{escape(address)}" target="_blank" rel="noreferrer">{escape(address)}</a>'
