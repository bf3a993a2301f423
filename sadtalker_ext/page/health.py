"""What is missing or broken into a panel, or a tab of its own, that says so with the line that mends it."""

from __future__ import annotations

import html
import importlib
import platform
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..errors import SadTalkerError, tell
from ..system import installation, requirements
from ..system.paths import ROOT
from ..system.requirements import Finding
from ..version import __version__
from .words import PageWords

REPORTED = ("gradio", "fastapi", "pydantic")  # versions in the report besides those of the requirements
RESTART = "Restart the WebUI afterwards."
UPDATED = (
    "SadTalker was updated while the WebUI was running. Reload the UI (Settings), or restart the WebUI, "
    "so that all of it is of one version."
)
UPDATE = (
    "Update the extension (Extensions → Installed → Check for updates) and restart the WebUI. "
    "If it stays so, report it with the text below."
)
MARKS = {"present": "✓", "missing": "✗", "unsuitable": "!", "extra": "○"}
_BLOCK = "margin: 0 0 0.6em 0; overflow-wrap: anywhere;"
_CODE = "display: block; margin-top: 0.2em; padding: 0.3em 0.5em; user-select: all; white-space: pre-wrap;"


def build(shell: Any) -> None:
    """A folded panel inside the tab: each requirement, whether it is there, and how to get it."""
    import gradio as gr

    from . import compat

    found = requirements.findings()
    stuck = any(each.trouble and each.requirement.essential for each in found)
    with compat.component(gr.Accordion, heading(found), open=stuck, elem_id="sadtalker_health") as panel:
        state = compat.component(gr.HTML, page(found), elem_id="sadtalker_health_state", label="State")
        with gr.Row():
            again = compat.button("Try everything out", elem_id="sadtalker_health_try")
        text = compat.component(
            gr.Textbox,
            report(host=shell.name),
            label="Versions, for reports of problems",
            lines=4,
            max_lines=12,
            interactive=False,
            show_copy_button=True,
            elem_id="sadtalker_health_report",
        )

    def shown(now: tuple[Finding, ...], **outcome: Any) -> list[Any]:
        label = heading(now, outcome.get("broken"))
        return [compat.update(label=label), page(now, **outcome), report(host=shell.name)]

    def look() -> list[Any]:
        return shown(requirements.findings())

    def try_out() -> list[Any]:
        importlib.invalidate_caches()  # something may have been installed meanwhile
        now = requirements.findings()
        return shown(now, broken=trial(now), tried=True)

    compat.click(again, try_out, [], [panel, state, text], queue=False)
    blocks = compat.page()
    if blocks is not None:  # some parts of the extension come after the tab
        compat.on_load(blocks, look, [], [panel, state, text])


def problem_tab(error: Exception, host: str = "") -> Any:
    """Blocks in the place of the tab that could not be built: why, what to do, and a report to copy.

    host: the host's name, where it is known.
    """
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as blocks:
        shown = gr.HTML(problem(error), elem_id="sadtalker_problem")
        box = gr.Textbox(
            report(error, host),
            label="SadTalker report",
            lines=12,
            max_lines=30,
            show_copy_button=True,
            elem_id="sadtalker_report",
        )
        for component in (shown, box):
            component.do_not_save_to_config = True
    return blocks


def problem(error: Exception) -> str:
    """HTML that says why there is no tab, and the line that mends it."""
    lines = [f"<h3>SadTalker could not build its tab</h3>{_paragraph(_sentence(error), 'sadtalker-error')}"]
    remedy = _remedy(error)
    if remedy:
        lines += [f"<div style='{_BLOCK}'>This line mends it: {_code(remedy)}</div>", _paragraph(RESTART)]
    elif not isinstance(error, SadTalkerError):
        lines.append(_paragraph(UPDATE))
    troubles = [finding for finding in requirements.problems() if finding.requirement.essential]
    lines += [_item(finding, "") for finding in troubles if finding.remedy() != remedy]
    return "\n".join([*lines, *_notes(but=error)])


def heading(found: tuple[Finding, ...], broken: Mapping[str, str] | None = None) -> str:
    """The folded panel's title, with the number of troubles inside."""
    bad = sum(finding.trouble or finding.name in (broken or {}) for finding in found)
    count = bad + len(_notes())
    return f"Requirements: {count} to look at" if count else "Requirements"


def page(found: tuple[Finding, ...], broken: Mapping[str, str] | None = None, *, tried: bool = False) -> str:
    """HTML of the panel: troubles first. broken: by name, what went wrong when it was tried out."""
    broken = broken or {}
    bad = [finding for finding in found if finding.trouble or finding.name in broken]
    good = [finding for finding in found if finding not in bad]
    if bad:
        head = f"{len(bad)} of {len(found)} requirements need attention."
    else:
        head = "Everything works." if tried else "Everything that SadTalker needs is there."
    items = [_item(finding, broken.get(finding.name, "")) for finding in (*bad, *good)]
    return "\n".join([_paragraph(head), *_notes(), *items])


def trial(found: tuple[Finding, ...]) -> dict[str, str]:
    """Uses everything that is there once; by name, what went wrong. Takes seconds the first time."""
    there = (finding for finding in found if finding.state == "present")
    outcomes = {finding.name: _outcome(finding) for finding in there}
    return {name: problem for name, problem in outcomes.items() if problem}


def report(error: BaseException | None = None, host: str = "") -> str:
    """Versions of everything that matters, and where `error` came from, to be copied into a bug report."""
    lines = [
        f"SadTalker extension {__version__} in {host or 'an unknown place'}",
        f"Python {sys.version.split()[0]} on {platform.platform()}: {sys.executable}",
        *(f"{name} {requirements.here().version(name) or 'not installed'}" for name in REPORTED),
    ]
    for finding in requirements.findings():
        state = finding.version or ("" if finding.state == "present" else "not installed")
        lines.append(f"{finding.name} {state}{f' ({finding.note})' if finding.note else ''}".rstrip())
    lines += [f"{failure.part}: {failure.error!r}" for failure in installation.failures()]
    if error is not None:
        lines += ["", "".join(traceback.format_exception(type(error), error, error.__traceback__))]
    return "\n".join(lines)


def _sentence(error: Exception) -> str:
    return tell(error, PageWords("{type}: {error}")).sentence


def _remedy(error: BaseException | None) -> str:
    """The line that adds the package whose absence is behind an error; "" where it is not that."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            top = error.name.partition(".")[0]
            for finding in requirements.findings():
                if finding.requirement.module.partition(".")[0] == top:
                    return finding.remedy()
        error = error.__cause__ or error.__context__
    return ""


def _notes(but: Exception | None = None) -> list[str]:
    """Troubles of the extension itself rather than of packages. but: an error that is shown already."""
    told = []
    with suppress(OSError):  # the extension may be on its way out
        if installation.changed_on_disk():
            told.append(UPDATED)
    other = "There is another copy of this extension in"
    told += [f"{other} {copy}; it is not used. Remove it, or {ROOT}." for copy in installation.other_copies()]
    others = (failure for failure in installation.failures() if failure.error is not but)
    told += [f"{failure.part} could not be added: {_sentence(failure.error)}" for failure in others]
    return [_paragraph(sentence, "sadtalker-error") for sentence in told]


def _item(finding: Finding, broken: str) -> str:
    """One requirement as HTML. broken: what went wrong when it was tried out."""
    requirement = finding.requirement
    well = finding.state == "present" and not broken
    mark = MARKS["present" if well else "missing" if finding.state == "missing" else "unsuitable"]
    name = f"<b>{html.escape(finding.name)}</b> {html.escape(finding.version or '')}"
    text = f"{mark} {name} {html.escape(requirement.purpose)}"
    if finding.state == "missing" and not finding.trouble:
        remedy = finding.remedy()
        text = f"{MARKS['extra']} {name} {html.escape(requirement.purpose)}: not installed, and not needed; "
        text += f"without it {html.escape(requirement.without)}."
        text += f" To add it:{_code(remedy)}" if remedy else ""
        return f"<div style='{_BLOCK} opacity: 0.75;'>{text}</div>"
    if well:
        note = f" ({html.escape(finding.note)})" if finding.note else ""
        return f"<div style='{_BLOCK} opacity: 0.75;'>{text}{note}.</div>"
    state = broken or finding.note or "it is missing"
    text += f": <b>{html.escape(state)}</b>. Without it: {html.escape(requirement.without)}."
    remedy = finding.remedy()
    if remedy and finding.state == "unsuitable":
        text += f" If no other extension needs it as it is, this replaces it:{_code(remedy)}"
    elif remedy:
        text += f" To add it:{_code(remedy)}"
    return f"<div style='{_BLOCK}'>{text}</div>"


def _paragraph(text: str, css_class: str = "") -> str:
    named = f" class='{css_class}'" if css_class else ""
    return f"<p{named} style='{_BLOCK}'>{html.escape(text)}</p>"


def _code(line: str) -> str:
    return f"<code style='{_CODE}'>{html.escape(line)}</code>"


def _outcome(finding: Finding) -> str:
    """What went wrong when it was tried out; "" where it works."""
    try:
        if finding.name in TRIALS:
            TRIALS[finding.name]()
        else:
            importlib.import_module(finding.requirement.module)
    except Exception as error:  # packages fail in every way when they are damaged
        return f"it does not work ({type(error).__name__}: {error})"
    return ""


def _find_no_face() -> None:
    import numpy as np

    from ..face.mediapipe_mesh import mediapipe_detector

    mediapipe_detector().detect(np.full((64, 64, 3), 128, np.uint8))


def _run_ffmpeg() -> None:
    from ..system import ffmpeg

    status, _, messages = ffmpeg.run(["-version"])
    if status:
        raise OSError(ffmpeg.complaint(messages) or f"exit status {status}")


TRIALS: Mapping[str, Callable[[], object]] = {"mediapipe": _find_no_face, "imageio-ffmpeg": _run_ffmpeg}
