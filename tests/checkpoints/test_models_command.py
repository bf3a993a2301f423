"""`sadtalker models` lists, downloads and verifies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sadtalker_ext.checkpoints import MISSING, PRESENT


def test_the_command_lists_and_downloads(
    files: Any, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from sadtalker_ext.cli import main, weight_files

    catalog = (
        files.offer(),
        files.offer(id="other", file="other.safetensors", engine="unheard", signature={}),
    )
    monkeypatch.setattr(weight_files, "CATALOG", catalog)
    monkeypatch.setattr(weight_files, "by_name", lambda name: {c.id: c for c in catalog}[name])
    folder = ["--models-dir", str(here)]
    assert main(["models", *folder]) == 0
    told = capsys.readouterr().out
    assert "missing" in told
    assert "no such engine yet" in told
    assert str(here) in told.replace("\n    ", "")
    assert main(["models", "download", "thing", *folder]) == 0
    assert main(["models", "--json", *folder]) == 0
    rows = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert [(row["id"], row["state"]) for row in rows] == [("thing", PRESENT), ("other", MISSING)]
    assert main(["models", "download", "--all", "-q", *folder]) == 0
    assert main(["models", "verify", *folder]) == 0
    (here / "thing.safetensors").write_bytes(files.whole[:-1] + b"\2")
    assert main(["models", "verify", *folder]) == 2
    assert "sha256" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["download"], ["download", "thing", "--all"], ["download", "nothing"]])
def test_the_command_asks_for_known_names(words: list[str], here: Path, capsys: pytest.CaptureFixture[str]):
    from sadtalker_ext.cli import main

    assert main(["models", *words, "--models-dir", str(here)]) == 2
    told = capsys.readouterr().err
    assert "known models: sadtalker-256" in told or "either names or --all" in told
