"""Cancel tokens stop work; the standalone host finds its folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from sadtalker_ext.errors import Cancelled
from sadtalker_ext.host import MODELS_VARIABLE, CancelToken, StandaloneHost
from sadtalker_ext.user_folders import cache_folder


def test_a_token_raises_only_after_cancel():
    token = CancelToken()
    token.check()
    token.cancel()
    assert token.cancelled
    with pytest.raises(Cancelled):
        token.check()


def test_models_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SADTALKER_MODELS", str(tmp_path))
    assert StandaloneHost().models_dir() == tmp_path
    monkeypatch.delenv("SADTALKER_MODELS")
    assert StandaloneHost().models_dir().name == "SadTalker"


def test_results_go_to_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert StandaloneHost().output_dir() == Path(tmp_path)


def test_device_is_one_torch_knows():
    import torch

    torch.zeros(1, device=StandaloneHost().device())


@pytest.mark.parametrize("named", ["XDG_CACHE_HOME", "LOCALAPPDATA", ""])
def test_one_folder_of_the_user_holds_weights_and_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    for name in (MODELS_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if named:
        monkeypatch.setenv(named, str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    folder = tmp_path if named else tmp_path / "home" / ".cache"
    assert cache_folder() == folder
    assert StandaloneHost().models_dir().parents[2] == folder
