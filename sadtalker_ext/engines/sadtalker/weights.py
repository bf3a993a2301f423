"""Where each network of SadTalker lies: in a package of all, or in the older separate files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from ...checkpoints.catalog import Checkpoint, by_name
from ...checkpoints.state import find, require
from ...checkpoints.tensors import read_tensors
from ...errors import Foreign, WeightsError

if TYPE_CHECKING:
    import torch
    from torch import nn

N = TypeVar("N", bound="nn.Module")

SIZES = (256, 512)
# Of each component: its prefix in a package, then the older file that holds it and its prefix there.
COMPONENTS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "recon": ("face_3drecon.", "sadtalker-old-recon", "net_recon."),
        "expnet": ("audio2exp.", "sadtalker-old-audio2exp", "model."),
        "posevae": ("audio2pose.", "sadtalker-old-audio2pose", "model."),
        "keypoints": ("kp_extractor.", "sadtalker-old-render", "kp_detector."),
        "generator": ("generator.", "sadtalker-old-render", "generator."),
    }
)


@dataclass(frozen=True)
class Sources:
    """The files that one size of SadTalker is read from. package: None where the older files are used."""

    size: int
    package: Path | None
    folder: Path

    @classmethod
    def find(cls, models_dir: Path, size: int) -> Sources:
        """Raises `WeightsError` that names the file to fetch where neither kind is complete."""
        package = find(by_name(f"sadtalker-{size}"), models_dir)
        if not complete(models_dir, size):
            try:
                require(by_name(f"sadtalker-{size}"), models_dir)
            except WeightsError as error:
                other = next((other for other in SIZES if complete(models_dir, other)), None)
                if other is None:
                    raise
                raise WeightsError("{error}; or choose {size} {other}.", "size", error, other=other) from None
        return cls(size, package, models_dir)

    def state(self, component: str) -> dict[str, torch.Tensor]:
        """The state dict of one of `COMPONENTS`."""
        prefix, old, old_prefix = COMPONENTS[component]
        if self.package is not None:
            return read_tensors(self.package, prefix)
        return read_tensors(require(by_name(old), self.folder), old_prefix)

    def mapping(self, whole_picture: bool) -> dict[str, torch.Tensor]:
        """MappingNet's state dict, of the file for whole pictures or of the one for crops."""
        return read_tensors(require(mapping_file(whole_picture), self.folder), "mapping.")


def complete(models_dir: Path, size: int) -> bool:
    """Whether the networks of that size are there, in either kind of file."""
    if find(by_name(f"sadtalker-{size}"), models_dir) is not None:
        return True
    return size == 256 and _old_files_complete(models_dir)


def mapping_file(whole_picture: bool) -> Checkpoint:
    return by_name("mapping-109" if whole_picture else "mapping-229")


def _old_files_complete(models_dir: Path) -> bool:
    return all(find(by_name(old), models_dir) is not None for _, old, _ in COMPONENTS.values())


def loaded(shaped_like: Callable[[Mapping[str, torch.Tensor]], N], state: dict[str, torch.Tensor]) -> N:
    """A network with these weights, for inference; `WeightsError` where they are those of another one."""
    unused = getattr(shaped_like, "__self__", None)
    skipped = getattr(unused, "TRAINING_ONLY", ())
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(tuple(skipped))}
    try:
        network = shaped_like(kept)
        if "assign" in signature(network.load_state_dict).parameters:
            network.load_state_dict(kept, assign=True)
        else:  # torch before 2.1 copies
            network.load_state_dict(kept)
    except WeightsError:
        raise
    except Exception as error:  # shapes of strangers make layers raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
        raise WeightsError(
            "The weights do not fit the network they are named after ({reason}); fetch the file anew.",
            Foreign(reason),
        ) from error
    return network.eval().requires_grad_(False)
