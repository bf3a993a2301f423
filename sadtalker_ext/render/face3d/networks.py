"""The networks of SadTalker, loaded when they are needed, on their device, and kept for the next portrait."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path

import torch

from ...checkpoints.sadtalker import Sources, loaded
from ...errors import OptionsError
from ...networks.expnet import ExpNet
from ...networks.face_render import Generator
from ...networks.face_render.fast import faster
from ...networks.keypoints import KeyPointDetector
from ...networks.mapping import MappingNet
from ...networks.posevae import PoseVAE
from ...networks.recon import ReconNet

PRECISIONS = ("float32", "bfloat16", "float16")
KEPT = 2  # sets of networks in memory


class FaceNetworks:
    """All networks for one size and kind of crop. Each is read from its file on first use, and once."""

    def __init__(
        self, sources: Sources, whole_picture: bool, device: torch.device, kind: torch.dtype
    ) -> None:
        self.sources, self.device, self.kind = sources, device, kind
        self._whole = whole_picture

    @cached_property
    def recon(self) -> ReconNet:
        return loaded(ReconNet.shaped_like, self.sources.state("recon")).to(self.device)

    @cached_property
    def expnet(self) -> ExpNet:
        return loaded(ExpNet.shaped_like, self.sources.state("expnet")).to(self.device)

    @cached_property
    def posevae(self) -> PoseVAE:
        return loaded(PoseVAE.shaped_like, self.sources.state("posevae")).to(self.device)

    @cached_property
    def mapping(self) -> MappingNet:
        return loaded(MappingNet.shaped_like, self.sources.mapping(self._whole)).to(self.device)

    @cached_property
    def keypoints(self) -> KeyPointDetector:
        return loaded(KeyPointDetector.shaped_like, self.sources.state("keypoints")).to(self.device)

    @cached_property
    def generator(self) -> Generator:
        """The face render, rearranged; it alone is in `kind`: elsewhere half precision stops the head."""
        made = faster(loaded(Generator.shaped_like, self.sources.state("generator")))
        return made.to(self.device, self.kind)


def load_networks(models_dir: Path, size: int, crop: str, device: str, precision: str) -> FaceNetworks:
    """The networks for these options; raises `WeightsError` where their files are missing."""
    return _kept(models_dir, size, crop in ("full", "extfull"), device, dtype_for(precision, device))


@lru_cache(maxsize=KEPT)
def _kept(models_dir: Path, size: int, whole: bool, device: str, kind: torch.dtype) -> FaceNetworks:
    return FaceNetworks(Sources.find(models_dir, size), whole, torch.device(device), kind)


def release() -> None:
    """Forget all networks, so that their memory is free."""
    _kept.cache_clear()


def dtype_for(precision: str, device: str) -> torch.dtype:
    """The face render's kind of number. `auto`: float16 on an accelerator, float32 on a CPU."""
    if precision == "auto":
        return torch.float32 if device == "cpu" else torch.float16
    if precision == "bfloat16" and device == "cpu" and not _has_bfloat16():
        raise OptionsError(
            "This CPU has no bfloat16 arithmetic, which would be slower; use --precision float32."
        )
    return getattr(torch, precision)


def _has_bfloat16() -> bool:
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None) or getattr(
        torch.cpu, "_is_amx_tile_supported", None
    )
    return bool(supported and supported())
