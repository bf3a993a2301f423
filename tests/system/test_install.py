"""The installer that the WebUI runs at every start; pip is never really called here."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sadtalker_ext.system import requirements

ROOT = Path(__file__).resolve().parents[2]
BEFORE = {"numpy": "1.26.2", "torch": "2.1.2+cu121", "opencv-python": "4.9.0.80"}
MISSING = ("soxr", "mediapipe", "pocketsphinx")


class Machine:
    """An environment in which the installer runs: what is missing, what pip does, and what was said."""

    def __init__(self, install, patch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
        self.install, self.capsys, self.note = install, capsys, tmp_path / "note.json"
        self.held = dict(BEFORE)
        self.missing = list(MISSING)
        self.unobtainable: dict[str, str] = {}
        self.side_effects: dict[str, str | None] = {}
        self.calls: list[list[str]] = []
        self.constraints: list[str] = []
        patch.setattr(install, "FAILED", self.note)
        patch.setattr(install, "call", self.call)
        patch.setattr(requirements, "missing", self.find)
        patch.setattr(requirements, "problems", self.find)
        patch.setattr(requirements, "installed", lambda: dict(self.held))
        patch.setattr(sys, "argv", ["install.py"])
        patch.setenv("COMMANDLINE_ARGS", "")

    def find(self):
        table = {requirement.name: requirement for requirement in requirements.REQUIREMENTS}
        return tuple(
            requirements.Finding(table[name], "missing", None, "", f"{name}>=0") for name in self.missing
        )

    def call(self, command: list[str]) -> str:
        self.calls.append(command)
        self.constraints.append(Path(command[command.index("--constraint") + 1]).read_text())
        wanted = [word.removesuffix(">=0") for word in command if word.endswith(">=0")]
        for name in wanted:
            if name in self.unobtainable:
                return self.unobtainable[name]
        for name in wanted:
            self.missing.remove(name)
            self.held[name] = "1.0"
        for name, version in self.side_effects.items():
            self.held.pop(name, None)
            if version is not None:
                self.held[name] = version
        return ""

    def run(self, *arguments: str) -> str:
        sys.argv[1:] = arguments
        self.calls.clear()
        self.install.main()
        return self.capsys.readouterr().out


@pytest.fixture
def install():
    spec = importlib.util.spec_from_file_location("install_of_extension", ROOT / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before = list(sys.path)
    yield module
    sys.path[:] = before


@pytest.fixture
def machine(install, monkeypatch, tmp_path, capsys):
    return Machine(install, monkeypatch, tmp_path, capsys)


def test_missing_packages_are_added_under_constraints(machine):
    said = machine.run()
    resolved, alone = machine.calls
    assert resolved[:4] == [sys.executable, "-m", "pip", "install"]
    assert [word for word in resolved if ">=" in word] == ["soxr>=0", "pocketsphinx>=0"]
    assert [word for word in alone if ">=" in word] == ["mediapipe>=0"]
    assert "--no-deps" in alone
    assert "--no-deps" not in resolved
    for command in machine.calls:
        assert {"--no-input", "--only-binary", ":all:", "--disable-pip-version-check"} <= set(command)
        assert not {"--upgrade", "-U", "--force-reinstall"} & set(command)
    held = "numpy==1.26.2\nopencv-python==4.9.0.80\ntorch==2.1.2+cu121\n"
    assert machine.constraints == [held, held]
    assert said == "SadTalker: adding soxr, mediapipe, pocketsphinx ...\n"
    assert not machine.note.exists()


def test_nothing_is_called_or_said_when_all_is_there(machine):
    machine.missing = []
    machine.note.write_text("{}")
    assert machine.run() == ""
    assert machine.calls == []
    assert not machine.note.exists()


@pytest.mark.parametrize("flags", ["--skip-install", "--api --skip-install --medvram"])
def test_skip_install_is_obeyed(machine, monkeypatch, flags):
    monkeypatch.setenv("COMMANDLINE_ARGS", flags)
    machine.run()
    assert machine.calls == []


def test_skip_install_of_the_launcher_is_obeyed(machine, monkeypatch, tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "launch_utils.py").write_text("")
    text = "import sys\nprint('noise')\nargs = type('A', (), {'skip_install': True})\nseen = list(sys.argv)\n"
    (tmp_path / "launch.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert machine.run("--again") == ""
        assert sys.modules["launch"].seen == ["install.py"]
        assert sys.argv == ["install.py", "--again"]
    finally:
        sys.modules.pop("launch", None)
    assert machine.calls == []


def test_launchers_of_other_kinds_are_not_run(machine, monkeypatch, tmp_path):
    (tmp_path / "launch.py").write_text("raise SystemExit('started the WebUI')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    machine.run()
    assert len(machine.calls) == 2
    assert "launch" not in sys.modules


def test_one_that_cannot_be_had_does_not_keep_the_others_away(machine):
    output = "Collecting soxr\nERROR: No matching distribution found for pocketsphinx\n"
    machine.unobtainable["pocketsphinx"] = output
    said = machine.run()
    assert machine.missing == ["pocketsphinx"]
    assert "pocketsphinx is missing; without it lips follow the built-in network" in said
    assert "the reason was: ERROR: No matching distribution found for pocketsphinx" in said
    assert "Traceback" not in said


def test_offline_start_is_quick_the_second_time(machine):
    reason = "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\nERROR: No matching\n"
    machine.unobtainable = dict.fromkeys(MISSING, reason)
    said = machine.run()
    assert len(machine.calls) == 1
    assert "the package index cannot be reached" in said
    for name in MISSING:
        assert f"{name} is missing; without it" in said
    said = machine.run()
    assert machine.calls == []
    assert "--again" in said
    machine.unobtainable = {}
    machine.run("--again")
    assert machine.missing == []
    assert not machine.note.exists()


@pytest.mark.parametrize("change", [{"time": 0}, {"python": "another"}, {"specs": ["other"]}, None])
def test_failed_attempt_is_repeated_after_a_day_or_a_change(machine, change):
    machine.unobtainable = dict.fromkeys(MISSING, "ERROR: x")
    machine.run()
    note = json.loads(machine.note.read_text())
    assert note["time"] == pytest.approx(time.time(), abs=3600)
    machine.note.write_text(json.dumps({**note, **change}) if change else "not json")
    machine.run()
    assert machine.calls


def test_folder_that_cannot_be_written_is_no_problem(machine, install, monkeypatch, tmp_path):
    monkeypatch.setattr(install, "FAILED", tmp_path / "missing folder" / "note")
    machine.unobtainable = dict.fromkeys(MISSING, "ERROR: x")
    assert "soxr is missing" in machine.run()


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ({"numpy": "2.4.0"}, "WARNING: numpy was 1.26.2 and is now 2.4.0, against our orders"),
        ({"torch": None}, "WARNING: torch was 2.1.2+cu121 and is gone, against our orders"),
        ({"opencv-contrib-python": "5"}, "WARNING: opencv-contrib-python came in beside the OpenCV"),
    ],
)
def test_any_change_of_what_was_there_is_said_loudly(machine, effect, words):
    machine.side_effects = effect
    assert words in machine.run()


def test_without_pip_and_uv_it_says_so(machine, install, monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    assert "neither pip nor uv" in machine.run()
    assert machine.calls == []
    assert not machine.note.exists()


def test_with_uv_only_uv_is_used(machine, install, monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(install.shutil, "which", lambda name: f"/bin/{name}")
    machine.run()
    assert machine.missing == []
    assert machine.calls[0][:5] == ["/bin/uv", "pip", "install", "--python", sys.executable]


def test_unforeseen_error_is_one_line(machine, monkeypatch):
    monkeypatch.setattr(requirements, "missing", lambda: 1 / 0)
    said = machine.run()
    assert said.count("\n") == 1
    assert "ZeroDivisionError" in said


def test_old_python_is_named_and_nothing_is_added(machine, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    assert "needs Python 3.10 or newer" in machine.run()
    assert machine.calls == []


def test_failing_commands_become_text(install):
    python = [sys.executable, "-c"]
    assert install.call([*python, "print('fine')"]) == ""
    assert install.call([*python, "print('why'); raise SystemExit(1)"]) == "why"
    assert "3" in install.call([*python, "raise SystemExit(3)"])
    assert "ERROR" in install.call(["/no/such/program"])


def test_damaged_extension_does_not_stop_the_webui(tmp_path):
    shutil.copy(ROOT / "install.py", tmp_path)
    (tmp_path / "sadtalker_ext").mkdir()
    (tmp_path / "sadtalker_ext" / "__init__.py").write_text("def broken(:\n")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "install.py")], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    assert "SyntaxError" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
