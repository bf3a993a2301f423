"""The models panel says what is there and what to do, and fetches nothing by itself."""

from __future__ import annotations

import dataclasses
import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio")

from sadtalker_ext import checkpoints as weights  # noqa: E402
from sadtalker_ext.errors import Cancelled, WeightsError  # noqa: E402
from sadtalker_ext.page import models_panel  # noqa: E402
from sadtalker_ext.shell import Settings  # noqa: E402

HEADER = json.dumps({"net.weight": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}}).encode()
WHOLE = struct.pack("<Q", len(HEADER)) + HEADER + b"\1" * 48
THING = weights.Checkpoint(
    id="thing",
    file="thing.safetensors",
    engine="instant",
    use="tests <b>",
    page="https://example.org/page",
    licence="free",
    size=len(WHOLE),
    urls=("https://example.org/thing.safetensors",),
    signature={"net.weight": (4, 3)},
)


class Host:
    name = "test"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def models_dir(self) -> Path:
        return self.folder


class FakeShell:
    def __init__(self, folder: Path, downloads: bool = True) -> None:
        self.host = Host(folder)
        self.downloads = downloads

    def settings(self) -> Settings:
        return Settings(output_dir=self.host.folder, downloads=self.downloads)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("SADTALKER_CHECKPOINTS", raising=False)
    monkeypatch.setattr("sadtalker_ext.checkpoints.places.ROOT", tmp_path / "root" / "ours")
    monkeypatch.setattr(models_panel, "CATALOG", (THING,))
    monkeypatch.setattr(models_panel, "DOWNLOADS", weights.Downloads())
    return FakeShell(tmp_path)


def test_a_missing_file_names_itself_its_folder_and_its_address(shell: Any):
    row = models_panel.view(shell, THING, models_panel.DOWNLOADS)
    assert "missing" in row.html
    for told in (THING.file, str(shell.host.folder), THING.urls[0], "free"):
        assert told in row.html
    assert "tests &lt;b&gt;" in row.html
    assert row.download is not None
    assert not row.cancel


def test_without_downloads_there_is_no_button_but_a_sentence(shell: Any):
    shell.downloads = False
    row = models_panel.view(shell, THING, models_panel.DOWNLOADS)
    assert row.download is None
    assert "<details open" in row.html
    assert "Downloads are switched off here" in models_panel.introduction(shell)


def test_a_present_file_has_no_button(shell: Any):
    (shell.host.folder / THING.file).write_bytes(WHOLE)
    row = models_panel.view(shell, THING, models_panel.DOWNLOADS)
    assert "present" in row.html
    assert str(shell.host.folder / THING.file) in row.html
    assert row.download is None


@pytest.mark.parametrize(
    ("data", "word", "button"),
    [
        (WHOLE[:-9], "damaged", "Download again"),
        (b"<html></html>", "wrong kind", None),
    ],
)
def test_a_faulty_file_says_what_it_is(shell: Any, data: bytes, word: str, button: str | None):
    (shell.host.folder / THING.file).write_bytes(data)
    row = models_panel.view(shell, THING, models_panel.DOWNLOADS)
    assert word in row.html
    assert row.download == button


def test_an_interrupted_download_is_offered_to_be_resumed(shell: Any):
    (shell.host.folder / f"{THING.file}.part").write_bytes(WHOLE[: len(WHOLE) // 2])
    assert models_panel.view(shell, THING, models_panel.DOWNLOADS).download == "Resume at 50 %"


def test_a_running_download_shows_how_far_it_is(shell: Any):
    downloads = weights.Downloads()
    transfer = weights.Transfer("download", 2_000_000, 4_000_000, "example.org")
    downloads._jobs[THING.id] = weights.Job(running=True, transfer=transfer, speed=1e6)
    row = models_panel.view(shell, THING, downloads)
    assert "2 MB of 4 MB, 1 MB/s" in row.html
    assert models_panel.BUSY in row.html
    assert row.cancel
    assert row.download is None
    downloads._jobs[THING.id] = dataclasses.replace(downloads.job(THING), cancelled=True)
    row = models_panel.view(shell, THING, downloads)
    assert "Stopping" in row.html
    assert not row.cancel


def test_an_engine_that_is_not_there_is_not_promised():
    assert "no engine elsewhere yet" in models_panel.heading("elsewhere", ())


def listeners(page: Any) -> list[Any]:
    found = page.fns
    return list(found.values()) if isinstance(found, dict) else list(found)


def built(shell: Any) -> Any:
    with gr.Blocks() as page:
        models_panel.build(shell)
    return page


def test_every_component_has_its_own_id_and_label(shell: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(models_panel, "CATALOG", weights.CATALOG)
    blocks = list(built(shell).blocks.values())
    shown = [b for b in blocks if not isinstance(b, (gr.Row, gr.Column, gr.Blocks))]
    ids = [b.elem_id for b in shown]
    assert all(i.startswith("sadtalker_models") for i in ids)
    assert len(set(ids)) == len(ids)
    assert all(b.do_not_save_to_config for b in shown)
    labels = [b.label for b in shown if isinstance(b, gr.HTML)]
    assert len(set(labels)) == len(labels)


def test_building_and_looking_fetch_nothing_and_a_click_does(shell: Any, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def fetch(checkpoint: Any, *arguments: Any, allowed: bool) -> None:
        asked.append(checkpoint.id)
        raise WeightsError("No server here; try again.") if allowed else Cancelled

    monkeypatch.setattr("sadtalker_ext.checkpoints.downloads.download", fetch)
    functions = {f.fn.__name__: f.fn for f in listeners(built(shell)) if f.fn is not None}
    functions["refresh"]()
    assert asked == []
    functions["start"]()
    end = time.monotonic() + 10
    while models_panel.DOWNLOADS.running:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert asked == ["thing"]
    assert any("No server here" in str(update) for update in functions["refresh"]())


def test_the_catalogue_as_it_is_can_be_shown(shell: Any):
    for checkpoint in weights.CATALOG:
        row = models_panel.view(
            shell, dataclasses.replace(checkpoint, folder="models"), models_panel.DOWNLOADS
        )
        assert checkpoint.file in row.html


def test_of_the_files_in_pairs_one_pair_is_enough(shell: Any):
    told = models_panel.heading("codetalker", weights.by_engine(weights.CATALOG, ())["codetalker"])
    assert "needs both stages of one face model: vocaset or biwi" in told
    stage1 = weights.by_name("vocaset-stage1")
    row = models_panel.view(shell, stage1, models_panel.DOWNLOADS)
    assert row.download is None  # its authors give no address that a program could use
    assert f'href="{stage1.page}"' in row.html
    assert "non-commercial" in row.html
