"""The WebUI's device, folders, settings and file manager as our shell gives them."""

from __future__ import annotations

import datetime

import fake_webui
import pytest

from sadtalker_ext.a1111 import webui_shell
from sadtalker_ext.a1111.webui_shell import WebUIShell
from sadtalker_ext.errors import OutputError
from sadtalker_ext.shell import folders


@pytest.fixture(params=fake_webui.HOSTS)
def webui(request, tmp_path, monkeypatch):
    return fake_webui.FakeWebUI(request.param, tmp_path, monkeypatch)


@pytest.fixture
def a1111(tmp_path, monkeypatch):
    return fake_webui.FakeWebUI("a1111", tmp_path, monkeypatch)


def test_device(webui, monkeypatch):
    host = WebUIShell().host
    assert host.device() == "cpu"
    monkeypatch.setattr(webui_shell, "is_usable", lambda device: device in ("cpu", "cuda", "cuda:1"))
    webui.devices.get_optimal_device = lambda: "cuda"
    assert host.device() == "cuda"
    webui.shared.cmd_opts.use_cpu = ["all"]
    assert host.device() == "cpu"
    webui.shared.opts.data["sadtalker_device"] = "cuda:1"
    assert host.device() == "cuda:1"
    webui.shared.opts.data["sadtalker_device"] = "cuda:7"  # a card that was taken out
    assert host.device() == "cpu"
    webui.shared.cmd_opts.use_cpu = []
    webui.devices.get_optimal_device = lambda: "privateuseone:0"  # DirectML, which engines do not know
    assert host.device() == "cpu"


def test_usable_devices():
    assert webui_shell.is_usable("cpu")
    for name in ("", "privateuseone:0", "cuda:99", "cuda:x", "abacus"):
        assert not webui_shell.is_usable(name), name


def test_folders(webui, tmp_path):
    host = WebUIShell().host
    assert host.models_dir() == tmp_path / "models" / "SadTalker"
    assert host.output_dir() == tmp_path / "outputs" / "sadtalker"
    webui.shared.opts.data["sadtalker_output_dir"] = "videos"
    assert host.output_dir() == tmp_path / "videos"
    webui.shared.opts.data["sadtalker_output_dir"] = str(tmp_path / "elsewhere")
    assert host.output_dir() == tmp_path / "elsewhere"
    webui.shared.cmd_opts.sadtalker_models_path = str(tmp_path / "weights")
    assert host.models_dir() == tmp_path / "weights"


def test_settings(a1111):
    shell = WebUIShell()
    settings = shell.settings()
    assert (settings.engine, settings.device, settings.downloads) == ("auto", "auto", True)
    a1111.shared.opts.data.update(sadtalker_engine="instant", sadtalker_keep_models=False)
    a1111.shared.cmd_opts.sadtalker_no_download = True
    settings = shell.settings()
    assert (settings.engine, settings.keep_models, settings.downloads) == ("instant", False, False)
    a1111.shared.opts.data["sadtalker_engine"] = "an engine of a later version"
    assert shell.settings().engine == "auto"


def test_output_names_count_on(a1111, tmp_path):
    shell = WebUIShell()
    first = shell.output_file("portrait")
    day = tmp_path / "outputs" / "sadtalker" / datetime.date.today().isoformat()
    assert first == day / "00000-portrait.mp4"
    first.touch()
    (day / "00041-other.png").touch()
    (day / "123456789012-no number of ours.mp4").touch()
    assert shell.output_file("portrait", ".webm") == day / "00042-portrait.webm"
    a1111.shared.opts.data["sadtalker_by_date"] = False
    assert shell.output_file("x").parent == tmp_path / "outputs" / "sadtalker"


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("../../etc/passwd", "00000-_.._etc_passwd.mp4"),
        ('a<b>:"c"|?*', "00000-a_b_c_.mp4"),
        ("...", "00000-talking.mp4"),
        ("Größe 写真", "00000-Größe 写真.mp4"),
        ("x" * 500, f"00000-{'x' * folders.STEM_CHARACTERS}.mp4"),
    ],
)
def test_output_names_are_harmless(tmp_path, stem, expected):
    assert folders.numbered(tmp_path, stem, ".mp4") == tmp_path / expected


def test_output_folder_that_cannot_be(a1111, tmp_path):
    (tmp_path / "file").touch()
    a1111.shared.opts.data["sadtalker_output_dir"] = "file"
    with pytest.raises(OutputError, match="Settings"):
        WebUIShell().output_file("x")


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [
        ({}, True),
        ({"hide_ui_dir_config": True}, False),
        ({"listen": True}, False),
        ({"share": True}, False),
        ({"ngrok": "token"}, False),
        ({"server_name": "127.0.0.1"}, True),
        ({"server_name": "localhost"}, True),
        ({"server_name": "0.0.0.0"}, False),
        ({"server_name": "my.house"}, False),
    ],
)
def test_who_may_open_folders(a1111, tmp_path, monkeypatch, flags, allowed):
    vars(a1111.shared.cmd_opts).update(flags)
    opened = []
    monkeypatch.setattr(webui_shell, "show_folder", opened.append)
    shell = WebUIShell()
    assert shell.can_open_folders is allowed
    if allowed:
        shell.open_folder(tmp_path / "video.mp4")
        assert opened == [tmp_path]
    else:
        with pytest.raises(OutputError):
            shell.open_folder(tmp_path)
        assert not opened


def test_file_manager_gets_an_argument_list(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(folders.platform, "system", lambda: "Linux")
    monkeypatch.setattr(folders.subprocess, "Popen", lambda command, **_: started.append(command))
    folder = tmp_path / "a; rm -rf b"
    folders.show_folder(folder)
    assert started == [["xdg-open", str(folder)]]

    def missing(command, **_):
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(folders.subprocess, "Popen", missing)
    with pytest.raises(OutputError, match="file manager"):
        folders.show_folder(folder)


def test_host_names(webui):
    assert WebUIShell().name == ("SD.Next" if webui.host == "sdnext" else "AUTOMATIC1111")
