"""What the panel and the tab about problems say."""

from __future__ import annotations

import html
import sys
from types import SimpleNamespace

import pytest

from sadtalker_ext.errors import DependencyError
from sadtalker_ext.page import health
from sadtalker_ext.system import installation, requirements
from sadtalker_ext.system.requirements import Finding, Requirement

SOXR = Requirement("soxr", "soxr", "reads speech", "only idle videos can be made", essential=True)
FACES = Requirement("mediapipe", "mediapipe", "finds faces", "five points are clicked", alone=True)
LIPS = Requirement("pocketsphinx", "pocketsphinx", "hears sounds", "the network does it")
THERE = Finding(LIPS, "present", "5.0.4")
MISSING = Finding(SOXR, "missing", None, "", "soxr>=0.3")
WRONG = Finding(FACES, "unsuitable", "0.10.33", "it carries <no> models", "mediapipe==0.10.9", ("--no-deps",))


@pytest.fixture
def found(monkeypatch):
    """Sets what the environment is found to hold."""

    def set_findings(*findings: Finding) -> None:
        monkeypatch.setattr(requirements, "findings", lambda environment=None: findings)

    return set_findings


def test_panel_names_troubles_first_with_the_line_that_mends_them():
    text = health.page((THERE, MISSING, WRONG))
    assert "2 of 3 requirements need attention" in text
    assert text.index("soxr") < text.index("pocketsphinx")
    assert "Without it: only idle videos can be made" in text
    for finding in (MISSING, WRONG):
        assert html.escape(finding.remedy()) in text
        assert html.escape(sys.executable) in text
    assert "it carries &lt;no&gt; models" in text


def test_panel_without_troubles_offers_no_lines():
    text = health.page((THERE,))
    assert "Everything that SadTalker needs is there" in text
    assert health.heading((THERE,)) == "Requirements"
    assert health.heading((THERE, MISSING, WRONG)) == "Requirements: 2 to look at"
    assert "pip install" not in text


def test_what_only_some_want_is_offered_and_is_no_trouble():
    some = Requirement("spandrel", "spandrel", "restores faces", "they stay as they are", extra=True)
    text = health.page((THERE, Finding(some, "missing", None, "", "spandrel")))
    assert "Everything that SadTalker needs is there" in text
    assert "not needed; without it they stay as they are" in text
    assert "pip install spandrel" in text
    assert health.heading((THERE, Finding(some, "missing", None, "", "spandrel"))) == "Requirements"


def test_what_does_not_work_when_tried_is_shown():
    text = health.page((THERE,), {"pocketsphinx": "it does not work (OSError: no library)"}, tried=True)
    assert "OSError: no library" in text
    assert "Without it: the network does it" in text
    assert "Everything works." in health.page((THERE,), tried=True)


def test_trial_uses_what_is_there_and_survives_what_is_broken(tmp_path, monkeypatch):
    (tmp_path / "works_well.py").write_text("")
    (tmp_path / "is_damaged.py").write_text("raise OSError('libGL.so.1: cannot open')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    good = Finding(Requirement("good", "works_well", "a", "b"), "present", "1")
    bad = Finding(Requirement("bad", "is_damaged", "a", "b"), "present", "1")
    assert health.trial((good, bad, MISSING)) == {
        "bad": "it does not work (OSError: libGL.so.1: cannot open)"
    }


def test_real_requirements_work_here():
    assert health.trial(tuple(each for each in requirements.findings() if each.name in health.TRIALS)) == {}


@pytest.mark.parametrize("wrap", [False, True])
def test_missing_package_behind_an_error_is_named_with_its_line(found, wrap):
    found(MISSING, THERE)
    error: Exception = ModuleNotFoundError("No module named 'soxr.core'", name="soxr.core")
    if wrap:
        outer = RuntimeError("half-way")
        outer.__cause__ = error
        error = outer
    text = health.problem(error)
    assert html.escape(MISSING.remedy()) in text
    assert text.count(html.escape(MISSING.remedy())) == 1
    assert "Restart the WebUI" in text


def test_other_errors_ask_for_an_update_and_a_report(found):
    found(THERE)
    text = health.problem(ValueError("<broken>"))
    assert "ValueError: &lt;broken&gt;" in text
    assert "Check for updates" in text


def test_our_own_sentences_stand_for_themselves(found):
    found(THERE)
    text = health.problem(DependencyError("Do this; then that works."))
    assert "Do this; then that works." in text
    assert "DependencyError" not in text
    assert "Check for updates" not in text


def test_report_holds_versions_and_the_traceback(found):
    found(THERE, MISSING, WRONG)
    try:
        raise KeyError("half-way")
    except KeyError as error:
        text = health.report(error, host="Some host")
    lines = text.splitlines()
    assert "Some host" in lines[0]
    assert sys.version.split()[0] in lines[1]
    assert "pocketsphinx 5.0.4" in lines
    assert "soxr not installed" in lines
    assert "mediapipe 0.10.33 (it carries <no> models)" in lines
    assert lines[-1] == "KeyError: 'half-way'"
    assert "test_report_holds_versions_and_the_traceback" in text


def test_panel_tells_what_else_is_wrong(monkeypatch):
    monkeypatch.setattr(installation, "changed_on_disk", lambda: True)
    monkeypatch.setattr(installation, "other_copies", lambda: ("/another/copy",))
    failure = installation.Failure("The REST API", KeyError("route"))
    monkeypatch.setattr(installation, "failures", lambda: (failure,))
    text = health.page((THERE,))
    assert "updated while the WebUI was running" in text
    assert "/another/copy" in text
    assert "The REST API could not be added" in text
    assert health.heading((THERE,)) == "Requirements: 3 to look at"
    assert "The REST API could not" not in health.problem(installation.failures()[0].error)
    assert "The REST API: KeyError('route')" in health.report()


@pytest.mark.parametrize(("finding", "opened"), [(THERE, False), (WRONG, False), (MISSING, True)])
def test_panel_is_open_only_when_nothing_can_be_made(found, finding, opened):
    gr = pytest.importorskip("gradio")
    found(finding)
    with gr.Blocks() as blocks:
        health.build(SimpleNamespace(name="Some host"))
    made = {block.elem_id: block for block in blocks.blocks.values() if getattr(block, "elem_id", None)}
    assert made["sadtalker_health"].open is opened
    assert all(name.startswith("sadtalker_health") for name in made)
    assert all(block.do_not_save_to_config for block in made.values())
    assert "Some host" in made["sadtalker_health_report"].value


def test_problem_tab_can_be_built_by_itself(found):
    pytest.importorskip("gradio")
    found(THERE)
    blocks = health.problem_tab(ValueError("why"))
    values = {
        block.elem_id: block.value for block in blocks.blocks.values() if getattr(block, "elem_id", None)
    }
    assert "why" in values["sadtalker_problem"]
    assert "ValueError: why" in values["sadtalker_report"]
