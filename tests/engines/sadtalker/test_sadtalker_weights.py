"""SadTalker's networks out of the files in which they are published: new, old, renamed, damaged, hostile."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_sadtalker import lively, tiny_generator, tiny_states

from sadtalker_ext.checkpoints import catalog, state
from sadtalker_ext.checkpoints.tensors import read_tensors
from sadtalker_ext.engines import choose_engine
from sadtalker_ext.engines.sadtalker.networks.expnet import ExpNet
from sadtalker_ext.engines.sadtalker.networks.face_render import Generator
from sadtalker_ext.engines.sadtalker.networks.mapping import MappingNet
from sadtalker_ext.engines.sadtalker.networks.posevae import PoseVAE
from sadtalker_ext.engines.sadtalker.weights import COMPONENTS, Sources, complete, loaded
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.options import Options

PACKAGE = "SadTalker_V0.0.2_256.safetensors"


def package() -> dict[str, torch.Tensor]:
    """The tensors of a package, with what is in it for training only."""
    tensors = {
        prefix + name: tensor.clone()
        for component, (prefix, _, _) in COMPONENTS.items()
        for name, tensor in tiny_states()[component].items()
    }
    tensors["audio2pose.netG.encoder.MLP.L0.weight"] = torch.ones(2, 2)
    tensors["audio2pose.netD_motion.seq.weight"] = torch.ones(2, 2)
    return tensors


def mapping(inputs: int) -> dict[str, Any]:
    """What a mapping file holds: more than the network."""
    return {"mapping": dict(tiny_states()[f"mapping-{inputs}"]), "epoch": 109, "optimizer": {"state": {}}}


@pytest.fixture(autouse=True)
def _tiny_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue, with the shapes of the tiny networks."""
    shapes = {name: tuple(tensor.shape) for name, tensor in package().items()}
    shapes |= {
        old_prefix + name: tuple(tensor.shape)
        for component, (_, _, old_prefix) in COMPONENTS.items()
        for name, tensor in tiny_states()[component].items()
        if old_prefix not in ("model.",)
    }
    old = {"sadtalker-old-audio2exp": "expnet", "sadtalker-old-audio2pose": "posevae"}

    def tiny(checkpoint: catalog.Checkpoint) -> catalog.Checkpoint:
        signature = {name: shapes.get(name, shape) for name, shape in checkpoint.signature.items()}
        if checkpoint.id in old:
            own = tiny_states()[old[checkpoint.id]]
            signature = {name: tuple(own[name[6:]].shape) for name in signature}
        if checkpoint.id.startswith("mapping"):
            signature = {name: (16, shape[1], 7) for name, shape in signature.items()}
        return dataclasses.replace(checkpoint, signature=signature, size=None)

    made = tuple(tiny(checkpoint) for checkpoint in catalog.CATALOG)
    monkeypatch.setattr(catalog, "CATALOG", made)
    monkeypatch.setattr(state, "CATALOG", made)


@pytest.fixture
def folder(here: Path) -> Path:
    """A models folder with the new files."""
    here.mkdir(parents=True)
    save_file(package(), here / PACKAGE)
    torch.save(mapping(73), here / "mapping_00109-model.pth.tar")
    torch.save(mapping(70), here / "mapping_00229-model.pth.tar")
    return here


@pytest.fixture
def old_folder(here: Path) -> Path:
    """A models folder with the separate files of before."""
    here.mkdir(parents=True)
    files: dict[str, dict[str, Any]] = {}
    for component, (_, old, old_prefix) in COMPONENTS.items():
        parts = files.setdefault(catalog.by_name(old).file, {"epoch": 3})
        parts[old_prefix.rstrip(".")] = dict(tiny_states()[component])
    for number, (name, content) in enumerate(files.items()):
        torch.save(content, here / name, _use_new_zipfile_serialization=number % 2 == 0)
    return here


def same(got: dict[str, torch.Tensor], component: str) -> None:
    kept = {name: tensor for name, tensor in got.items() if not name.startswith(PoseVAE.TRAINING_ONLY)}
    want = tiny_states()[component]
    assert set(kept) == set(want)
    assert all(torch.equal(kept[name], want[name]) for name in want)


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_package(folder: Path, component: str) -> None:
    same(Sources.find(folder, 256).state(component), component)


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_older_files(old_folder: Path, component: str) -> None:
    assert complete(old_folder, 256)
    sources = Sources.find(old_folder, 256)
    assert sources.package is None
    same(sources.state(component), component)


def test_older_files_have_no_large_faces(old_folder: Path) -> None:
    assert not complete(old_folder, 512)
    with pytest.raises(WeightsError, match=r"SadTalker_V0\.0\.2_512\.safetensors"):
        Sources.find(old_folder, 512)


def test_the_older_files_make_the_engine_ready(old_folder: Path) -> None:
    assert choose_engine(Options(), old_folder).name == "instant"  # both mapping files are missing yet
    torch.save(mapping(73), old_folder / "mapping_00109-model.pth.tar")
    torch.save(mapping(70), old_folder / "mapping_00229-model.pth.tar")
    for name in ("auto", "sadtalker"):
        assert choose_engine(Options(engine=name), old_folder).name == "sadtalker"


def test_one_size_is_enough_and_is_offered_in_the_place_of_the_other(folder: Path) -> None:
    assert choose_engine(Options(), folder).name == "sadtalker"
    with pytest.raises(WeightsError, match="choose --size 256"):
        Sources.find(folder, 512)


def test_both_mapping_networks(folder: Path) -> None:
    sources = Sources.find(folder, 256)
    assert loaded(MappingNet.shaped_like, sources.mapping(True)).coefficients == 73
    assert loaded(MappingNet.shaped_like, sources.mapping(False)).coefficients == 70


def test_mapping_files_under_each_others_names(folder: Path) -> None:
    names = [folder / f"mapping_{number}-model.pth.tar" for number in ("00109", "00229")]
    names[0].rename(folder / "spare")
    names[1].rename(names[0])
    (folder / "spare").rename(names[1])
    for whole, inputs in ((True, 73), (False, 70)):
        found = loaded(MappingNet.shaped_like, Sources.find(folder, 256).mapping(whole))
        assert found.coefficients == inputs


def test_one_mapping_file_under_the_others_name(folder: Path) -> None:
    names = [folder / f"mapping_{number}-model.pth.tar" for number in ("00109", "00229")]
    names[1].replace(names[0])
    with pytest.raises(WeightsError, match="holds what belongs into mapping_00229"):
        Sources.find(folder, 256).mapping(True)


@pytest.mark.parametrize("name", ["SadTalker_256.safetensors", "sadtalker 256 ü.ckpt"])
def test_a_renamed_package(folder: Path, name: str) -> None:
    (folder / PACKAGE).rename(folder / name)
    same(Sources.find(folder, 256).state("expnet"), "expnet")


def test_nothing_there_names_the_file_and_how_to_get_it(here: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        Sources.find(here, 256)
    assert PACKAGE in str(caught.value)
    assert "sadtalker models download sadtalker-256" in str(caught.value)
    assert str(here) in str(caught.value)


def test_a_missing_mapping_file_is_named(folder: Path) -> None:
    (folder / "mapping_00109-model.pth.tar").unlink()
    with pytest.raises(WeightsError, match="mapping_00109"):
        Sources.find(folder, 256).mapping(True)


def test_a_package_that_is_cut_off(folder: Path) -> None:
    path = folder / PACKAGE
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(WeightsError, match="cut off"):
        Sources.find(folder, 256)
    with pytest.raises(WeightsError, match="damaged"):
        read_tensors(path)


def test_a_torch_file_that_is_cut_off(folder: Path) -> None:
    path = folder / "mapping_00109-model.pth.tar"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(WeightsError, match=r"damaged|cut off"):
        Sources.find(folder, 256).mapping(True)
    with pytest.raises(WeightsError, match="damaged"):
        read_tensors(path)


class Hostile:
    """Would make a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("new", [True, False])
def test_code_in_a_file_is_never_run(folder: Path, tmp_path: Path, new: bool) -> None:
    path, made = folder / "mapping_00109-model.pth.tar", tmp_path / "made"
    torch.save({**mapping(73), "extra": Hostile(made)}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(WeightsError, match=r"code|mkdir"):
        Sources.find(folder, 256).mapping(True)
    with pytest.raises(WeightsError, match="could run code"):
        read_tensors(path)
    assert not made.exists()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_tensors(tmp_path / "nothing.safetensors")


def test_another_kind_of_file(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds no tensors named model\."):
        read_tensors(folder / PACKAGE, "model.")


def test_only_what_is_asked_for_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors

    read: list[str] = []

    class Watched:
        def __init__(self, *given: Any, **named: Any) -> None:
            self.file = opened(*given, **named)

        def __enter__(self) -> Any:
            self.inside = self.file.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.file.__exit__(*error)

        def keys(self) -> Any:
            return self.inside.keys()

        def get_tensor(self, name: str) -> torch.Tensor:
            read.append(name)
            return self.inside.get_tensor(name)

    opened = safetensors.safe_open
    monkeypatch.setattr(safetensors, "safe_open", Watched)
    Sources.find(folder, 256).state("expnet")
    assert read
    assert all(name.startswith("audio2exp.") for name in read)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at the maps of a Linux process")
@pytest.mark.parametrize("name", [PACKAGE, "mapping_00109-model.pth.tar"])
def test_files_are_mapped_not_copied(folder: Path, name: str) -> None:
    tensors = read_tensors(folder / name)
    maps = Path("/proc/self/maps").read_text()
    assert name in maps
    del tensors


def test_what_is_loaded_computes_what_was_saved(folder: Path) -> None:
    """The decoder's weights are kept in spectral form; what is loaded must divide by their norm."""
    original = lively(tiny_generator())
    again = loaded(Generator.shaped_like, Sources.find(folder, 256).state("generator"))
    assert not any(parameter.requires_grad for parameter in again.parameters())
    torch.manual_seed(0)
    picture, points = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 3) - 0.5
    with torch.no_grad():
        frames = [net(net.encode(picture), points + 0.1, points) for net in (original, again)]
    assert (frames[0] - frames[1]).abs().mean() < 1e-4
    block = again.decoder.get_submodule("up_0.conv_0")
    flat = block.weight_orig.flatten(1)
    norm = block.weight_u @ flat @ block.weight_v
    assert abs(float(norm) - 1) > 0.05  # so that forgetting it would show above


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    sources = Sources.find(folder, 256)
    with pytest.raises(WeightsError, match="do not fit"):
        loaded(ExpNet.shaped_like, sources.state("recon"))
    cut = sources.state("expnet")
    del cut["mapping1.bias"]
    with pytest.raises(WeightsError, match=r"mapping1\.bias"):
        loaded(ExpNet.shaped_like, cut)


def test_what_is_for_training_is_left_out(folder: Path) -> None:
    state = Sources.find(folder, 256).state("posevae")
    assert any(name.startswith(PoseVAE.TRAINING_ONLY) for name in state)
    network = loaded(PoseVAE.shaped_like, state)
    assert not any(name.startswith(PoseVAE.TRAINING_ONLY) for name in network.state_dict())
