"""Weight files are found in their places and recognised by what is in them."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path

import pytest
from small_checkpoint import PLAIN, SHAPE, WHOLE, safetensors

from sadtalker_ext import checkpoints as weights
from sadtalker_ext.checkpoints import DAMAGED, PRESENT, UNSAFE, WRONG
from sadtalker_ext.errors import WeightsError

# --- Recognising -----------------------------------------------------------------------------------------


def judged(here: Path, data: bytes, checkpoint: weights.Checkpoint = PLAIN) -> weights.Status:
    here.mkdir(parents=True, exist_ok=True)
    (here / checkpoint.file).write_bytes(data)
    return weights.status(checkpoint, here)


@pytest.mark.parametrize(
    ("data", "state", "word"),
    [
        (WHOLE, PRESENT, ""),
        (b"", DAMAGED, "empty"),
        (WHOLE[:5], DAMAGED, "cut off"),
        (WHOLE[:60], DAMAGED, "cut off"),
        (WHOLE[:-1], DAMAGED, "cut off"),
        (WHOLE + b"x", DAMAGED, "longer"),
        (struct.pack("<Q", 40) + b"{" + b"x" * 60, DAMAGED, "header"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", WRONG, "Git LFS"),
        (b"\n<!DOCTYPE html><html>", WRONG, "web page"),
        (safetensors({"other": SHAPE}), WRONG, "has no net.weight"),
        (safetensors({"net.weight": (9, 9)}), WRONG, r"shape \(9, 9\)"),
    ],
)
def test_a_file_is_judged_by_what_is_in_it(here: Path, data: bytes, state: str, word: str):
    found = judged(here, data)
    assert found.state == state
    assert re.search(word, found.note)
    if state == PRESENT:
        assert weights.require(PLAIN, here) == found.path
    else:
        with pytest.raises(WeightsError, match=r"fetch .*thing\.safetensors"):
            weights.require(PLAIN, here)


def test_missing_files_name_the_command_and_the_folder(here: Path):
    with pytest.raises(WeightsError, match="sadtalker models download thing") as caught:
        weights.require(PLAIN, here)
    assert str(here) in str(caught.value)


def test_another_size_than_published_is_said_but_usable(here: Path):
    found = judged(here, safetensors({"net.weight": SHAPE}))
    assert found.usable
    assert "not the published file" in found.note


def test_any_bytes_are_judged_and_never_crash(here: Path):
    import random

    draw = random.Random(0)
    heads = [b"", b"PK\x03\x04", weights.contents._LEGACY_MAGIC, struct.pack("<Q", 30) + b"{"]
    for name in ("thing.safetensors", "thing.pth"):
        checkpoint = dataclasses.replace(PLAIN, file=name)
        for _ in range(60):
            data = draw.choice(heads) + draw.randbytes(draw.randrange(200))
            assert judged(here, data, checkpoint).state in (DAMAGED, WRONG, UNSAFE)


TORCH_FILE = dataclasses.replace(
    PLAIN, file="thing.pth.tar", size=None, sha256="", signature={"mapping.net.weight": SHAPE}
)


def torch_bytes(value: object, *, legacy: bool = False) -> bytes:
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_files_are_read_without_torch(here: Path, legacy: bool):
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear(3, 4)
    optimizer = torch.optim.Adam(linear.parameters())
    linear(torch.zeros(1, 3)).sum().backward()
    optimizer.step()
    state = {"net.weight": linear.weight, "half": torch.zeros(5, dtype=torch.half)}
    whole = torch_bytes({"mapping": state, "epoch": 3, "optimizer": optimizer.state_dict()}, legacy=legacy)
    assert judged(here, whole, TORCH_FILE).state == PRESENT
    for length in (len(whole) - 1, len(whole) // 2, 40):
        assert judged(here, whole[:length], TORCH_FILE).state == DAMAGED
    swapped = torch_bytes({"mapping": {"net.weight": torch.zeros(9, 9)}}, legacy=legacy)
    assert judged(here, swapped, TORCH_FILE).state == WRONG


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_with_code_is_refused_and_the_code_is_not_run(here: Path, tmp_path: Path, legacy: bool):
    trace = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(trace),)

    found = judged(here, torch_bytes({"mapping": Trap()}, legacy=legacy), TORCH_FILE)
    assert found.state == UNSAFE
    assert "mkdir" in found.note
    assert not trace.exists()


def test_a_zip_that_is_no_torch_file_is_wrong(here: Path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert judged(here, file.getvalue(), TORCH_FILE).state == WRONG


def test_missing_numbers_in_a_torch_file_are_noticed(here: Path):
    torch = pytest.importorskip("torch")
    whole = io.BytesIO(torch_bytes({"mapping": {"net.weight": torch.zeros(SHAPE)}}))
    poor = io.BytesIO()
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(poor, "w") as target:
        for entry in source.infolist():
            if "/data/" not in entry.filename:
                target.writestr(entry.filename, source.read(entry))
    assert judged(here, poor.getvalue(), TORCH_FILE).state == DAMAGED


def test_a_pickle_that_refers_to_itself_is_read(here: Path):
    loop: dict[str, object] = {}
    loop["mapping"] = loop
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(loop))
    assert judged(here, file.getvalue(), TORCH_FILE).state == WRONG


def test_verify_reads_every_byte(here: Path):
    found = judged(here, WHOLE)
    weights.verify(PLAIN, found.path)
    found = judged(here, WHOLE[:-1] + b"\2")
    assert found.usable  # the headers cannot tell
    with pytest.raises(WeightsError, match="sha256 differs"):
        weights.verify(PLAIN, found.path)


# --- Places ----------------------------------------------------------------------------------------------


def test_files_are_found_where_the_reference_extension_keeps_them(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    named, sibling = tmp_path / "named", tmp_path / "root" / "extensions" / "SadTalker" / "checkpoints"
    webui = tmp_path / "extensions" / "sd-webui-sadtalker" / "checkpoints"
    monkeypatch.setenv("SADTALKER_CHECKPOINTS", str(named))
    for folder in (webui, sibling, named):
        folder.mkdir(parents=True)
        (folder / PLAIN.file).write_bytes(WHOLE)
        found = weights.status(PLAIN, here)
        assert found.usable
        assert found.elsewhere
        assert found.path == folder / PLAIN.file  # each is preferred to the ones before
    for folder in (named, sibling, webui):
        assert [p.name for p in folder.iterdir()] == [PLAIN.file]
    assert not here.exists()


def test_a_whole_file_elsewhere_counts_more_than_a_damaged_one_at_home(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    judged(here, WHOLE[:99])
    monkeypatch.setenv("SADTALKER_CHECKPOINTS", str(tmp_path))
    (tmp_path / PLAIN.file).write_bytes(WHOLE)
    assert weights.find(PLAIN, here) == tmp_path / PLAIN.file


def test_renamed_files_are_recognised_by_their_tensors(here: Path):
    here.mkdir(parents=True)
    (here / "thing (1).safetensors").write_bytes(WHOLE)
    (here / "unrelated.safetensors").write_bytes(safetensors({"other": (1,)}))
    found = weights.status(PLAIN, here)
    assert found.usable
    assert found.path.name == "thing (1).safetensors"
    twin = dataclasses.replace(PLAIN, twin_tag="512")
    assert not weights.status(twin, here).usable


def test_swapped_mapping_files_are_told_apart(here: Path):
    torch = pytest.importorskip("torch")
    swapped = torch_bytes({"mapping": {"first.0.weight": torch.zeros(1024, 70, 7)}, "epoch": 1})
    found = judged(here, swapped, weights.by_name("mapping-109"))
    assert found.state == WRONG
    assert "mapping_00229-model.pth.tar" in found.note


# --- The catalogue ---------------------------------------------------------------------------------------


def test_the_catalogue_is_complete_and_unambiguous():
    for checkpoint in weights.CATALOG:
        assert checkpoint.licence
        assert checkpoint.page.startswith("https://")
        assert all(url.startswith("https://") for url in checkpoint.urls)
        if checkpoint.urls:  # the older files are used, but not offered
            assert re.fullmatch(r"[0-9a-f]{8,64}", checkpoint.sha256)
        assert re.fullmatch(r"[a-z0-9-]+", checkpoint.id)
        assert weights.by_name(checkpoint.id) is weights.by_name(checkpoint.file) is checkpoint
    assert len({c.id for c in weights.CATALOG}) == len(weights.CATALOG)
    with pytest.raises(WeightsError, match="known models"):
        weights.by_name("nothing")


def test_packages_in_the_official_format_are_recognised(here: Path):
    manifest = Path(__file__).resolve().parents[3] / "shared" / "oracle" / "sadtalker" / "manifest.json"
    if not manifest.is_file():
        pytest.skip("the list of the official files' tensors is not on this machine")
    described = json.loads(manifest.read_text())
    shapes = {}
    for component in described["package"]["component_order"]:
        entry = described["components"][component]
        shapes.update({entry["package_prefix"] + name: t["shape"] for name, t in entry["tensors"].items()})
    for size in (256, 512):
        assert all(
            tuple(shapes[name]) == shape
            for name, shape in weights.by_name(f"sadtalker-{size}").signature.items()
        )
    for number, name in (("109", "mapping_00109"), ("229", "mapping_00229")):
        tensors = described["components"][name]["tensors"]
        (shape,) = weights.by_name(f"mapping-{number}").signature.values()
        assert tuple(tensors["first.0.weight"]["shape"]) == shape
