"""The script the WebUI runs at start: a tab always appears, whatever is broken or reloaded."""

from __future__ import annotations

import argparse
import configparser
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


def is_ours(name: str) -> bool:
    return name.partition(".")[0] in ("sadtalker_ext", "modules")


class Host:
    """As much of a WebUI as the script sees: callbacks, Script, active extensions, command line."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.callbacks: dict[str, list] = {}
        self.callers: set[str] = set()  # files of the functions that registered callbacks
        self.active: list[Path] = []
        self.cmd_opts = SimpleNamespace(api=False, api_auth=None)
        modules = {
            name: ModuleType(name) for name in ("modules", "modules.script_callbacks", "modules.scripts")
        }
        modules["modules.extensions"] = ModuleType("modules.extensions")
        modules["modules.shared"] = ModuleType("modules.shared")
        callbacks = modules["modules.script_callbacks"]
        for event in ("on_ui_settings", "on_before_ui", "on_after_component", "on_ui_tabs", "on_app_started"):
            setattr(callbacks, event, lambda fn, event=event: self.add(event, fn))
        modules["modules.scripts"].Script = type("Script", (), {})
        modules["modules.extensions"].active = lambda: [SimpleNamespace(path=str(p)) for p in self.active]
        modules["modules.shared"].cmd_opts = self.cmd_opts
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
            if "." in name:
                setattr(modules["modules"], name.partition(".")[2], module)

    def add(self, event: str, fn) -> None:
        self.callbacks.setdefault(event, []).append(fn)
        frame = sys._getframe()
        while frame is not None:
            self.callers.add(frame.f_code.co_filename)
            frame = frame.f_back

    def load(self, *roots: Path) -> list[ModuleType]:
        """Runs the scripts of these extensions as hosts do at start and on Reload UI."""
        self.callbacks.clear()
        self.active = list(roots)
        loaded = []
        for root in roots:
            before, sys.path = sys.path, [str(root), *sys.path]
            try:
                path = root / "scripts" / "sadtalker.py"
                spec = importlib.util.spec_from_file_location("sadtalker.py", path)
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                loaded.append(module)
            finally:
                sys.path = before
        return loaded

    def fire(self, event: str, *args, **kwargs) -> list:
        return [fn(*args, **kwargs) for fn in self.callbacks.get(event, [])]

    def tabs(self) -> list:
        return [tab for tabs in self.fire("on_ui_tabs") for tab in tabs]


@pytest.fixture
def host(monkeypatch):
    before = {name: module for name, module in sys.modules.items() if is_ours(name)}
    for name in before:
        del sys.modules[name]
    yield Host(monkeypatch)
    for name in [name for name in sys.modules if is_ours(name)]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def copy(tmp_path):
    """Makes a copy of the extension in a folder of any name, without the large files."""

    def make(name: str) -> Path:
        root = tmp_path / name
        ignored = shutil.ignore_patterns("__pycache__", "assets")
        shutil.copytree(ROOT / "sadtalker_ext", root / "sadtalker_ext", ignore=ignored)
        shutil.copytree(ROOT / "scripts", root / "scripts", ignore=ignored)
        return root

    return make


def write(path: Path, text: str) -> None:
    """Writes a source file so that Python sees that it changed, however soon after the last time."""
    later = path.stat().st_mtime + 5 if path.exists() else None
    path.write_text(text, encoding="utf-8")
    if later is not None:
        os.utime(path, (later, later))


def tab_builder(text: str) -> str:
    return (
        "import gradio as gr\n\n\ndef build_tab(shell):\n"
        f"    with gr.Blocks(analytics_enabled=False) as blocks:\n        gr.Markdown({text!r})\n"
        "    return blocks\n"
    )


PARTS = {
    "webui_shell.py": "from ..shell import Settings\n\n\nclass WebUIShell:\n    name = 'test'\n\n\n"
    "shell = WebUIShell()\nthe_shell = lambda: shell\n",
    "settings_page.py": "added = []\nadd_settings = lambda: added.append(1)\n",
    "send_to.py": "seen, connected = [], []\nconnect = connected.append\n"
    "remember = lambda component, **kwargs: seen.append(component)\n",
    "after_generation.py": "from modules.scripts import Script\n\n\nclass Mine(Script):\n    pass\n",
}


def with_parts(root: Path, tab: str) -> Path:
    """The copy with stand-ins for the rooms that need a real host."""
    for name, text in PARTS.items():
        write(root / "sadtalker_ext" / "a1111" / name, text)
    write(root / "sadtalker_ext" / "page" / "tab.py", tab_builder(tab))
    return root


def shown(tabs: list) -> str:
    assert [tab[1:] for tab in tabs] == [("SadTalker", "sadtalker")]
    return "\n".join(str(getattr(block, "value", "")) for block in tabs[0][0].blocks.values())


def test_everything_is_handed_to_the_host(host, copy):
    pytest.importorskip("gradio")
    root = with_parts(copy("any name"), "the real tab")
    (module,) = host.load(root)
    assert [value.__name__ for value in vars(module).values() if isinstance(value, type)] == ["Path", "Mine"]
    host.fire("on_ui_settings")
    host.fire("on_after_component", "a button", elem_id="txt2img_send_to_extras")
    tabs = host.tabs()
    assert shown(tabs) == "the real tab"
    assert sys.modules["sadtalker_ext.a1111.settings_page"].added == [1]
    assert sys.modules["sadtalker_ext.a1111.send_to"].seen == ["a button"]
    assert sys.modules["sadtalker_ext.a1111.send_to"].connected == [tabs[0][0]]
    assert sys.modules["sadtalker_ext.system.installation"].failures() == ()
    assert str(root) not in sys.path


def test_callbacks_are_registered_from_where_hosts_find_the_source_at_once(host, copy):
    root = with_parts(copy("quick"), "the real tab")
    host.load(root)
    assert str(root / "sadtalker_ext" / "a1111" / "__init__.py") in host.callers
    assert not [name for name in host.callers if name.startswith("<frozen importlib")]
    assert str(root / "scripts" / "sadtalker.py") not in host.callers


def test_starting_loads_nothing_heavy(host, copy):
    root = copy("light")
    heavy = {"torch", "gradio", "numpy", "PIL", "cv2", "librosa", "mediapipe", "fastapi"}
    before = {name: sys.modules.pop(name) for name in heavy & set(sys.modules)}
    try:
        host.load(root)
        assert not heavy & set(sys.modules)
    finally:
        sys.modules.update(before)


@pytest.mark.parametrize("broken", ["__init__.py", "a1111/__init__.py"])
def test_broken_package_shows_a_tab(host, copy, broken):
    pytest.importorskip("gradio")
    root = with_parts(copy("broken"), "the real tab")
    good = (root / "sadtalker_ext" / broken).read_text(encoding="utf-8")
    write(root / "sadtalker_ext" / broken, "def broken(:\n")
    host.load(root)
    text = shown(host.tabs())
    assert "could not be loaded" in text
    assert "SyntaxError" in text
    write(root / "sadtalker_ext" / broken, good + "\n\n")
    host.load(root)
    assert shown(host.tabs()) == "the real tab"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("page/tab.py", "def build_tab(:\n", "SyntaxError"),
        ("page/tab.py", "import numpy_that_is_missing\n", "numpy_that_is_missing"),
        ("a1111/webui_shell.py", "raise OSError('no shell')\n", "no shell"),
        ("page/tab.py", "import gradio as gr\ndef build_tab(shell):\n    with gr.Blocks():\n"
         "        with gr.Row():\n            raise KeyError('half-way')\n", "half-way"),
    ],
)  # fmt: skip
def test_broken_page_shows_what_is_wrong(host, copy, file, text, expected):
    pytest.importorskip("gradio")
    from gradio.context import Context

    root = with_parts(copy("broken"), "the real tab")
    write(root / "sadtalker_ext" / file, text)
    host.load(root)
    assert expected in shown(host.tabs())
    assert Context.block is None
    assert Context.root_block is None


def test_broken_health_page_still_gives_a_tab(host, copy):
    pytest.importorskip("gradio")
    root = with_parts(copy("broken"), "the real tab")
    write(root / "sadtalker_ext/page/tab.py", "raise ValueError('first')\n")
    write(root / "sadtalker_ext/page/health.py", "raise ValueError('second')\n")
    host.load(root)
    text = shown(host.tabs())
    assert "first" in text
    assert "second" in text


def test_failing_parts_never_reach_the_host(host, copy):
    pytest.importorskip("gradio")
    root = with_parts(copy("failing"), "the real tab")
    for part in ("settings_page", "send_to", "after_generation"):
        write(root / "sadtalker_ext" / "a1111" / f"{part}.py", f"raise RuntimeError('{part}')\n")
    host.cmd_opts.api = True
    shutil.rmtree(root / "sadtalker_ext/api", ignore_errors=True)
    write(root / "sadtalker_ext/api.py", "raise RuntimeError('api')\n")
    (module,) = host.load(root)
    assert module.AnimateAfterGeneration is None
    host.fire("on_ui_settings")
    host.fire("on_after_component", "a button")
    assert shown(host.tabs()) == "the real tab"
    host.fire("on_app_started", None, object())
    said = [str(failure.error) for failure in sys.modules["sadtalker_ext.system.installation"].failures()]
    assert said == ["after_generation", "settings_page", "send_to", "api"]


def test_reload_keeps_the_package(host, copy):
    pytest.importorskip("gradio")
    root = with_parts(copy("same"), "the real tab")
    host.load(root)
    first = sys.modules["sadtalker_ext.a1111"]
    host.load(root)
    assert sys.modules["sadtalker_ext.a1111"] is first
    assert shown(host.tabs()) == "the real tab"


def test_updated_extension_is_loaded_anew(host, copy):
    pytest.importorskip("gradio")
    root = with_parts(copy("updated"), "before")
    host.load(root)
    assert shown(host.tabs()) == "before"
    released = []
    sys.modules["sadtalker_ext.system.caches"].on_release(lambda: released.append(1))
    write(root / "sadtalker_ext/page/tab.py", tab_builder("after"))
    host.load(root)
    assert shown(host.tabs()) == "after"
    assert released == [1]


def test_of_two_copies_one_is_used(host, copy):
    pytest.importorskip("gradio")
    first, second = with_parts(copy("a"), "first"), with_parts(copy("b"), "second")
    for _ in range(2):
        modules = host.load(first, second)
        assert shown(host.tabs()) == "first"
        assert modules[1].AnimateAfterGeneration is None
        assert sys.modules["sadtalker_ext.system.installation"].other_copies() == (str(second),)
    host.load(second)
    assert shown(host.tabs()) == "second"
    assert sys.modules["sadtalker_ext.system.installation"].other_copies() == ()
    host.load(first, second)  # the one that is in use stays so
    assert shown(host.tabs()) == "second"
    assert sys.modules["sadtalker_ext.system.installation"].other_copies() == (str(first),)


def test_broken_copy_makes_way(host, copy):
    pytest.importorskip("gradio")
    first, second = with_parts(copy("a"), "first"), with_parts(copy("b"), "second")
    write(first / "sadtalker_ext/a1111/__init__.py", "def broken(:\n")
    host.load(first, second)
    assert shown(host.tabs()) == "second"


def test_api_asks_for_the_hosts_passwords(host, copy, tmp_path):
    pytest.importorskip("gradio")
    root = with_parts(copy("api"), "the real tab")
    shutil.rmtree(root / "sadtalker_ext/api", ignore_errors=True)
    write(root / "sadtalker_ext/api.py",
          "mounted = []\ncredentials = lambda text: text\n"
          "mount = lambda app, shell, credentials: mounted.append((app, credentials))\n")  # fmt: skip
    host.load(root)
    host.fire("on_app_started", None, "closed")
    host.cmd_opts.api = True
    host.fire("on_app_started", None, "open")
    host.cmd_opts.api_auth = "a:b,c:d"
    host.fire("on_app_started", None, "guarded")
    host.cmd_opts.api_auth = None
    secrets = tmp_path / "secrets"
    secrets.write_text("e:f\ng:h\n", encoding="utf-8")
    host.cmd_opts.auth_file = str(secrets)
    host.fire("on_app_started", None, "file")
    host.cmd_opts.auth_file = str(tmp_path / "missing")
    host.fire("on_app_started", None, "unreadable")
    assert sys.modules["sadtalker_ext.api"].mounted == [
        ("open", None), ("guarded", "a:b,c:d"), ("file", "e:f,g:h"),
    ]  # fmt: skip


def load_preload() -> ModuleType:
    spec = importlib.util.spec_from_file_location("preload.py", ROOT / "preload.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_flags_reach_the_command_line():
    parser = argparse.ArgumentParser()
    load_preload().preload(parser)
    flags = parser.parse_args(["--sadtalker-models-path", "D:\\models", "--sadtalker-no-download"])
    assert (flags.sadtalker_models_path, flags.sadtalker_no_download) == ("D:\\models", True)
    flags = parser.parse_args([])
    assert (flags.sadtalker_models_path, flags.sadtalker_no_download) == (None, False)


def test_flags_of_another_extension_or_copy_are_no_problem():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sadtalker-models-path", type=str)
    load_preload().preload(parser)
    load_preload().preload(parser)
    flags = parser.parse_args(["--sadtalker-models-path", "x", "--sadtalker-no-download"])
    assert (flags.sadtalker_models_path, flags.sadtalker_no_download) == ("x", True)


def test_metadata_names_the_extension():
    config = configparser.ConfigParser()
    config.read(ROOT / "metadata.ini", encoding="utf-8")
    assert config.get("Extension", "Name") == "sadtalker-ext"
