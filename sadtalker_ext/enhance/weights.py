"""The user's folders into the enhancers that lie there, recognised by their tensors; no code in them runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..checkpoints import Fault, read_contents
from ..checkpoints.places import ROOT, VARIABLE
from ..checkpoints.tensors import read_tensors
from ..errors import DependencyError, Foreign, WeightsError
from ..system.caches import kept

SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt")
LOOKED_AT = 200  # files of a folder
# Beside our own folder in a WebUI's `models`.
NEIGHBOURS = (
    "GFPGAN", "Codeformer", "CodeFormer", "RestoreFormer", "RealESRGAN", "ESRGAN", "BSRGAN", "SwinIR",
)  # fmt: skip
WRAPPERS = ("", "params_ema.", "params.", "state_dict.", "model.", "generator.")
FACES: Mapping[str, str] = {"GFPGAN": "gfpgan", "CodeFormer": "codeformer", "RestoreFormer": "restoreformer"}
UPSCALER = "upscaler"
# spandrel's own package leaves CodeFormer out because of its licence; so it is recognised here.
_CODEFORMER = ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight")
INSTALL = "pip install spandrel"
INSTALL_EXTRA = "pip install spandrel-extra-arches"


@dataclass(frozen=True)
class Weights:
    """A weight file.

    kind: gfpgan, codeformer, restoreformer or upscaler. wrapper: what the names of its tensors begin with.
    """

    path: Path
    kind: str
    architecture: str
    wrapper: str


def folders(models_dir: Path) -> list[Path]:
    """Where enhancers are looked for, best place first; nothing is ever written there."""
    places = [models_dir, *(models_dir.absolute().parent / name for name in NEIGHBOURS)]
    named = os.environ.get(VARIABLE)
    if named:
        places.append(Path(named))
    places += [ROOT / "gfpgan" / "weights", ROOT.parent / "SadTalker" / "gfpgan" / "weights"]
    unique: dict[str, Path] = {}
    for place in places:
        unique.setdefault(os.path.normcase(os.path.abspath(place)), place)
    return list(unique.values())


def available(models_dir: Path) -> list[Weights]:
    """Every enhancer's weights that were found; headers are read, no numbers."""
    found = []
    for folder in folders(models_dir):
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        except OSError:
            continue
        for path in files[:LOOKED_AT]:
            try:
                status = path.stat()
                weights = _recognised(path, status.st_mtime_ns, status.st_size)
            except (OSError, MemoryError):  # not remembered: the next look may succeed
                continue
            if weights is not None:
                found.append(weights)
    return found


def load(weights: Weights, device: str) -> Any:
    """spandrel's description of the network with these weights, on a device, for inference.

    Raises `DependencyError` where a package is missing, `WeightsError` where the file cannot be used.
    """
    registry = _registry(weights.architecture)
    state = read_tensors(weights.path, weights.wrapper)
    try:
        import spandrel

        model = spandrel.ModelLoader(device=device, registry=registry).load_from_state_dict(dict(state))
    except Exception as error:  # spandrel raises whatever its architectures do
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise WeightsError(
            "{name} cannot be used ({reason}); fetch the file anew from its author.",
            Foreign(reason[0]),
            name=weights.path.name,
        ) from error
    model.model.eval().requires_grad_(False)
    return model


def require_packages(architecture: str) -> None:
    """Raises `DependencyError` where a package that runs such a network is missing."""
    if find_spec("spandrel") is None:
        raise DependencyError(f"Enhancers need the package spandrel; install it with: {INSTALL}.")
    # Older releases of spandrel itself have CodeFormer.
    if architecture != "CodeFormer" or find_spec("spandrel_extra_arches") is not None:
        return
    import spandrel

    if spandrel.MAIN_REGISTRY.get("CodeFormer") is None:
        raise DependencyError(
            "CodeFormer needs the package spandrel-extra-arches, whose licences allow non-commercial use "
            f"only; install it with: {INSTALL_EXTRA}."
        )


def _registry(architecture: str) -> Any:
    require_packages(architecture)
    import spandrel

    registry = spandrel.MAIN_REGISTRY.copy()
    if architecture == "CodeFormer" and registry.get("CodeFormer") is None:
        import spandrel_extra_arches

        registry.add(*spandrel_extra_arches.EXTRA_REGISTRY, ignore_duplicates=True)
    return registry


@kept(512)
def _recognised(path: Path, changed: int, size: int) -> Weights | None:
    try:
        return _by_tensors(path, read_contents(path).tensors)
    except Fault:
        return None


def _by_tensors(path: Path, tensors: Mapping[str, tuple[int, ...]]) -> Weights | None:
    for wrapper in WRAPPERS:
        names = {name[len(wrapper) :]: shape for name, shape in tensors.items() if name.startswith(wrapper)}
        architecture = _architecture(names) if names else None
        if architecture is not None:
            return Weights(path, FACES.get(architecture, UPSCALER), architecture, wrapper)
    return None


# Networks that enlarge photographs. spandrel knows more; these are the ones people use for it.
_UPSCALERS = (
    "ESRGAN", "Compact", "SPAN", "SwinIR", "Swin2SR", "HAT", "DAT", "OmniSR", "RealCUGAN", "PLKSR", "SAFMN",
)  # fmt: skip


def _architecture(names: Mapping[str, tuple[int, ...]]) -> str | None:
    if all(name in names for name in _CODEFORMER):
        return "CodeFormer"
    if find_spec("spandrel") is None:
        return _by_known_names(names)
    import spandrel
    import torch

    try:
        state = {name: torch.empty(shape, device="meta") for name, shape in names.items()}
    except RuntimeError:  # shapes that no tensor can have
        return None
    for support in spandrel.MAIN_REGISTRY.architectures("detection"):
        try:
            matches = support.detect(state)
        except Exception:  # a rule that looks at numbers, which are not read here  # noqa: S112
            continue
        if matches:
            id = str(support.architecture.id)
            return id if id in FACES or id in _UPSCALERS else None
    return None


def _by_known_names(names: Mapping[str, tuple[int, ...]]) -> str | None:
    """Enough to say what is missing where spandrel itself is."""
    if "stylegan_decoder.style_mlp.1.weight" in names and "toRGB.0.weight" in names:
        return "GFPGAN"
    if "quantize.embedding.weight" in names and "encoder.conv_in.weight" in names:
        return "RestoreFormer"
    if "conv_first.weight" in names and "conv_last.weight" in names:
        return "ESRGAN"
    return None
