"""CodeTalker's files: found under any name, told apart, paired, and refused in one sentence."""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from codetalker_oracle import ORACLE, needs_oracle
from safetensors.torch import save_file

from sadtalker_ext import checkpoints as weights
from sadtalker_ext.api.words import REQUEST
from sadtalker_ext.cli import weight_files
from sadtalker_ext.engines.codetalker.weights import available, load_pair, problems, recognise, stages
from sadtalker_ext.errors import WeightsError, worded

FLAME, SCANS = 5023, 23370


def zeros(*shape: int) -> torch.Tensor:
    """A tensor of any size that takes four bytes in a file."""
    return torch.zeros(1).expand(shape)


def table(period: int, width: int = 8) -> torch.Tensor:
    """Positions that repeat, as in a stage 2."""
    angles = torch.arange(period)[:, None] / (1.0 + torch.arange(width))
    return torch.sin(angles + 0.1).repeat(600 // period + 1, 1)[None]


def stage1(vertices: int = 20, slots: int = 4, code: int = 8, hidden: int = 1024) -> dict[str, torch.Tensor]:
    return {
        "encoder.vertice_mapping.0.weight": zeros(hidden, 3 * vertices),
        "encoder.encoder_linear_embedding.net.weight": zeros(hidden, hidden),
        "encoder.encoder_linear_embedding_post.net.weight": zeros(slots * code, hidden),
        "encoder.encoder_pos_embedding.pe": zeros(5000, 1, hidden),
        "decoder.decoder_pos_embedding.pe": zeros(5000, 1, hidden),
        "decoder.vertice_map_reverse.weight": zeros(3 * vertices, hidden),
        "quantize.embedding.weight": zeros(256, code),
    }


def stage2(
    vertices: int = 20, width: int = 32, styles: int = 3, period: int = 30, hidden: int = 1024
) -> dict[str, torch.Tensor]:
    return {
        "vertice_map.weight": zeros(hidden, 3 * vertices),
        "feat_map.weight": zeros(width, hidden),
        "learnable_style_emb.weight": zeros(styles, hidden),
        "audio_feature_map.weight": zeros(hidden, 768),
        "audio_encoder.encoder.pos_conv_embed.conv.weight_g": zeros(1, 1, 128),
        "PPE.pe": table(period),
    }


OFFICIAL: dict[str, dict[str, torch.Tensor]] = {
    "vocaset_stage1.pth.tar": stage1(FLAME, 16, 64),
    "vocaset_stage2.pth.tar": stage2(FLAME, 1024, 8),
    "biwi_stage1.pth.tar": stage1(SCANS, 8, 128),
    "biwi_stage2.pth.tar": stage2(SCANS, 1024, 6, period=25),
}
OWN = {"mine_stage1.pth": stage1(), "mine_stage2.pth": stage2()}


def put(folder: Path, files: dict[str, dict[str, torch.Tensor]], wrapped: bool = True) -> Path:
    """Files as torch.save writes them, by their paths in the folder."""
    for name, tensors in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        state: Any = OrderedDict(tensors)
        torch.save({"state_dict": state} if wrapped else state, path)
    return folder


def refusal(folder: Path, name: str) -> str:
    with pytest.raises(WeightsError) as caught:
        load_pair(folder, name)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


# --- Found and read --------------------------------------------------------------------------------------


def test_the_published_files_make_two_face_models(tmp_path: Path):
    put(tmp_path, OFFICIAL)
    assert available(tmp_path) == ("vocaset", "biwi")
    assert problems(tmp_path) == ()
    flame, scans = load_pair(tmp_path, "vocaset"), load_pair(tmp_path, "BIWI")
    assert (flame.name, flame.fps, flame.vertices, flame.slots, flame.styles) == ("vocaset", 30, FLAME, 16, 8)
    assert (scans.name, scans.fps, scans.vertices, scans.slots, scans.styles) == ("biwi", 25, SCANS, 8, 6)
    assert flame.files == (tmp_path / "vocaset_stage1.pth.tar", tmp_path / "vocaset_stage2.pth.tar")
    assert flame.stage2["vertice_map.weight"].shape == (1024, 3 * FLAME)
    assert {c.id: weights.status(c, tmp_path).state for c in weights.CATALOG if c.pair} == {
        "vocaset-stage1": "present",
        "vocaset-stage2": "present",
        "biwi-stage1": "present",
        "biwi-stage2": "present",
    }


@needs_oracle
def test_the_manifest_of_the_published_files_is_recognised(tmp_path: Path):
    assert ORACLE is not None
    manifest = json.loads((ORACLE / "codetalker_manifest.json").read_text())
    for name in ("vocaset_stage1", "vocaset_stage2", "biwi_stage1", "biwi_stage2"):
        tensors = {key: zeros(*shape) for key, shape in manifest[name]["keys"].items()}
        if "PPE.pe" in tensors:
            tensors["PPE.pe"] = table(25 if name.startswith("biwi") else 30)
        put(tmp_path, {manifest[name]["file"]: tensors})
    assert available(tmp_path) == ("vocaset", "biwi")
    pair = load_pair(tmp_path, "biwi")
    tables = {name for name in manifest["biwi_stage1"]["keys"] if name.endswith(".pe")}
    assert set(pair.stage1) == set(manifest["biwi_stage1"]["keys"]) - tables
    assert set(pair.stage2) == set(manifest["biwi_stage2"]["keys"])
    for name in ("vocaset_stage1", "vocaset_stage2", "biwi_stage1", "biwi_stage2"):
        assert weights.status(weights.by_name(name.replace("_", "-")), tmp_path).usable


@pytest.mark.parametrize("wrapped", [True, False])
def test_with_or_without_a_wrapper(tmp_path: Path, wrapped: bool):
    put(tmp_path, OFFICIAL, wrapped=wrapped)
    assert available(tmp_path) == ("vocaset", "biwi")
    assert "quantize.embedding.weight" in load_pair(tmp_path, "vocaset").stage1
    assert weights.status(weights.by_name("biwi-stage2"), tmp_path).usable


def test_safetensors_and_names_of_data_parallel_training(tmp_path: Path):
    inner = {"module." + name: tensor.clone() for name, tensor in stage1(hidden=16).items()}
    save_file(inner, tmp_path / "mine_stage1.safetensors")
    put(tmp_path, {"mine_stage2.pth": stage2(hidden=16)})
    pair = load_pair(tmp_path, "mine")
    assert pair.stage1["quantize.embedding.weight"].shape == (256, 8)


def test_a_stage_2_with_the_first_inside_is_read_without_it(tmp_path: Path):
    both = {**stage2(), **{"autoencoder." + name: tensor for name, tensor in stage1().items()}}
    put(tmp_path, {"mine_stage1.pth": stage1(), "mine_stage2.pth": both})
    assert set(load_pair(tmp_path, "mine").stage2) == set(stage2())


@pytest.mark.parametrize(
    "names",
    [
        ("VOCASET/vocaset_stage1.pth.tar", "VOCASET/vocaset_stage2.pth.tar"),
        ("vocaset/a.pth", "vocaset/b.pth"),
        ("codetalker/vocaset_stage1.pth.tar", "codetalker/vocaset_stage2.pth.tar"),
        ("checkpoints/vocaset_stage1.pth.tar", "vocaset_stage2.pth.tar"),
        ("first.pt", "second.ckpt"),
        ("one_stage1.pth", "two_stage2.pth"),
        ("vocaset_stage2.pth.tar", "vocaset_stage1.pth.tar"),
    ],
)
def test_any_place_and_any_name(tmp_path: Path, names: tuple[str, str]):
    put(tmp_path, {names[0]: stage1(FLAME, 16, 64), names[1]: stage2(FLAME, 1024, 8)})
    assert available(tmp_path) == ("vocaset",)
    assert load_pair(tmp_path, "vocaset").files == (tmp_path / names[0], tmp_path / names[1])


def test_another_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path / "elsewhere", OFFICIAL)
    assert available(tmp_path / "models") == ()
    monkeypatch.setenv("SADTALKER_CHECKPOINTS", str(tmp_path / "elsewhere"))
    assert available(tmp_path / "models") == ("vocaset", "biwi")


def test_models_of_ones_own_have_their_folders_names(tmp_path: Path):
    put(
        tmp_path,
        {
            "codetalker/Zoe/stage1.pth": stage1(FLAME, 16, 64),
            "codetalker/Zoe/stage2.pth": stage2(FLAME, 1024, 2, period=25),
            **OFFICIAL,
            **OWN,
        },
    )
    assert available(tmp_path) == ("vocaset", "biwi", "mine", "zoe")
    own = load_pair(tmp_path, "Zoe")
    assert (own.fps, own.styles, own.files[0].parent.name) == (25, 2, "Zoe")
    assert load_pair(tmp_path, "vocaset").files[0].parent == tmp_path
    first, second = stages(tmp_path)["mine"]
    assert (first.vertices, first.width // first.code, second.styles) == (20, 4, 3)


def test_other_files_are_passed_over(tmp_path: Path):
    put(tmp_path, {"sd.ckpt": {"model.weight": zeros(3, 3)}, **OWN})
    (tmp_path / "notes.pth").write_bytes(b"hello")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    assert recognise(tmp_path / "sd.ckpt") is None
    assert available(tmp_path) == ("mine",)
    assert problems(tmp_path) == ()


# --- Refused ---------------------------------------------------------------------------------------------


def test_nothing_there(tmp_path: Path):
    assert available(tmp_path / "absent") == ()
    assert "vocaset_stage1.pth.tar" in refusal(tmp_path / "absent", "vocaset")
    put(tmp_path, OWN)
    assert "there is: mine" in refusal(tmp_path, "biwi")


@pytest.mark.parametrize("number", [1, 2])
def test_one_of_two_is_missing(tmp_path: Path, number: int):
    put(tmp_path, OFFICIAL)
    (tmp_path / f"vocaset_stage{number}.pth.tar").unlink()
    assert available(tmp_path) == ("biwi",)
    sentence = refusal(tmp_path, "vocaset")
    assert f"lacks its stage {number}" in sentence
    assert f"fetch vocaset_stage{number}.pth.tar from https://" in sentence
    assert str(tmp_path) in sentence
    (told,) = problems(tmp_path)
    assert f"lacks its stage {number}" in told
    assert tmp_path.name not in worded(told, REQUEST)


def test_stages_of_different_topologies(tmp_path: Path):
    put(
        tmp_path,
        {"vocaset_stage1.pth.tar": stage1(FLAME, 16, 64), "vocaset_stage2.pth.tar": stage2(SCANS, 1024)},
    )
    sentence = refusal(tmp_path, "vocaset")
    assert "vocaset_stage1.pth.tar" in sentence
    assert "vocaset_stage2.pth.tar" in sentence
    assert "5,023" in sentence
    assert "23,370" in sentence
    assert available(tmp_path) == ()
    assert tmp_path.name not in worded(problems(tmp_path)[0], REQUEST)


def test_stages_with_different_codes(tmp_path: Path):
    put(tmp_path, {"mine_stage1.pth": stage1(), "mine_stage2.pth": stage2(width=24)})
    assert "4 codes of 8 numbers" in refusal(tmp_path, "mine")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("decoder.vertice_map_reverse.weight", (63, 1024)),
        ("encoder.encoder_linear_embedding_post.net.weight", (30, 1024)),
        ("quantize.embedding.weight", (256, 0)),
        ("decoder.vertice_map_reverse.weight", (61, 1024)),
    ],
)
def test_a_first_stage_that_cannot_work(tmp_path: Path, name: str, shape: tuple[int, int]):
    put(
        tmp_path,
        {"vocaset_stage1.pth": {**stage1(), name: torch.zeros(shape)}, "vocaset_stage2.pth": stage2()},
    )
    assert "do not fit each other" in refusal(tmp_path, "vocaset")


def test_a_second_stage_that_cannot_work(tmp_path: Path):
    put(tmp_path, {**OWN, "vocaset_stage2.pth": {**stage2(), "feat_map.weight": zeros(32, 7)}})
    assert "do not fit each other" in refusal(tmp_path, "vocaset")


@pytest.mark.parametrize("kept", [0, 100, 0.5, -1])
def test_a_file_that_is_cut_off(tmp_path: Path, kept: float):
    put(tmp_path, OFFICIAL)
    path = tmp_path / "biwi_stage2.pth.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept) if isinstance(kept, float) else int(kept)])
    assert available(tmp_path) == ("vocaset",)
    assert "biwi_stage2.pth.tar" in refusal(tmp_path, "biwi")
    (told,) = problems(tmp_path)
    assert told.startswith(f"{path} ")
    assert worded(told, REQUEST).startswith("biwi_stage2.pth.tar ")


class Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_with_code_is_never_run(tmp_path: Path, plain: bool):
    put(tmp_path, OFFICIAL)
    path = tmp_path / "vocaset_stage2.pth.tar"
    if plain:
        path.write_bytes(pickle.dumps(Hostile()))
    else:
        torch.save({"state_dict": {**stage2(), "bad": Hostile()}}, path)
    assert available(tmp_path) == ("biwi",)
    assert "vocaset_stage2.pth.tar" in refusal(tmp_path, "vocaset")


def test_a_page_saved_under_the_name(tmp_path: Path):
    (tmp_path / "vocaset_stage1.pth.tar").write_text("<!DOCTYPE html><title>Google Drive</title>")
    put(tmp_path, {"vocaset_stage2.pth.tar": OFFICIAL["vocaset_stage2.pth.tar"]})
    assert "is a web page" in refusal(tmp_path, "vocaset")


def test_other_weights_under_the_name(tmp_path: Path):
    put(tmp_path, {"vocaset_stage1.pth.tar": {"model.weight": zeros(3, 3)}})
    assert "holds other weights" in refusal(tmp_path, "vocaset")


# --- In the lists ----------------------------------------------------------------------------------------


def test_all_asks_for_none_of_them():
    assert not [c.id for c in weight_files.chosen("download", (), True) if c.engine == "codetalker"]


def test_they_are_fetched_by_hand(tmp_path: Path):
    with pytest.raises(
        WeightsError, match=r"fetch vocaset_stage1\.pth\.tar from https://github\.com/Doubiiu"
    ):
        weights.download(weights.by_name("vocaset-stage1"), tmp_path)


def test_the_list_says_that_one_pair_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weight_files, "ENGINES", {"codetalker": None})
    files = weights.by_engine(weights.CATALOG, ())["codetalker"]
    assert (
        weight_files.engine_note("codetalker", files)
        == "needs both stages of one face model, vocaset or biwi"
    )
    part = next(p for p in weight_files.table(tmp_path).split("\n\n") if p.startswith("codetalker"))
    assert "by hand into" in part
    assert "sadtalker models download" not in part
    assert "non-commercial" in " ".join(part.split())
