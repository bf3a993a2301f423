"""Cancel tokens stop work; the standalone host finds its folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from sadtalker_ext.errors import Cancelled
from sadtalker_ext.host import CancelToken, StandaloneHost


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
