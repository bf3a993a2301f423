"""The networks of SadTalker, loaded when they are needed, on their device, and kept for the next portrait."""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path

import torch

from ...errors import OptionsError
from ...system.caches import kept, on_release
from .networks.expnet import ExpNet
from .networks.face_render import Generator
from .networks.face_render.compiled import compile_parts, forget_compiled
from .networks.face_render.fast import faster, reduced
from .networks.keypoints import KeyPointDetector
from .networks.mapping import MappingNet
from .networks.posevae import PoseVAE
from .networks.recon import ReconNet
from .weights import Sources, loaded

PRECISIONS = ("float32", "bfloat16", "float16")
KEPT = 2  # sets of networks in memory
BATCH_ON_CPU, BATCH_ON_GPU = 1, 8  # frames drawn at once; on a CPU more are slower, and take more memory
# Of so many frames, on average, `turbo` draws one: fewer where each takes longer.
TURBO_STEP, TURBO_STEP_FLOAT32 = 2.0, 5.0


class FaceNetworks:
    """All networks for one size. Each is read from its file on first use, and once.

    kind: the face render's numbers; the other networks keep float32, for half precision would still the head.
    """

    def __init__(
        self, sources: Sources, device: torch.device, kind: torch.dtype, compiled: bool = False
    ) -> None:
        self.sources, self.device, self.kind = sources, device, kind
        self._compiled = compiled
        self._mapping: dict[bool, MappingNet] = {}
        self.notices: tuple[str, ...] = ()  # sentences worth showing

    @property
    def turbo_step(self) -> float:
        """Of so many frames, on average, `turbo` draws one."""
        slow = self.kind == torch.float32 and self.device.type == "cpu"
        return TURBO_STEP_FLOAT32 if slow else TURBO_STEP

    @property
    def usual_batch(self) -> int:
        """Frames to draw at once where nobody says."""
        return BATCH_ON_CPU if self.device.type == "cpu" else BATCH_ON_GPU

    @property
    def one_size(self) -> bool:
        """Whether a batch of another size than the last one's costs more than to fill it up."""
        return self._compiled or self.device.type != "cpu"

    def _notice(self, sentence: str) -> None:
        if sentence not in self.notices:
            self.notices += (sentence,)

    @cached_property
    def recon(self) -> ReconNet:
        return loaded(ReconNet.shaped_like, self.sources.state("recon")).to(self.device)

    @cached_property
    def expnet(self) -> ExpNet:
        return loaded(ExpNet.shaped_like, self.sources.state("expnet")).to(self.device)

    @cached_property
    def posevae(self) -> PoseVAE:
        return loaded(PoseVAE.shaped_like, self.sources.state("posevae")).to(self.device)

    def mapping(self, whole_picture: bool) -> MappingNet:
        """The one for the crops full and extfull, or the one for the others."""
        if whole_picture not in self._mapping:
            state = self.sources.mapping(whole_picture)
            self._mapping[whole_picture] = loaded(MappingNet.shaped_like, state).to(self.device)
        return self._mapping[whole_picture]

    @cached_property
    def keypoints(self) -> KeyPointDetector:
        return loaded(KeyPointDetector.shaped_like, self.sources.state("keypoints")).to(self.device)

    @cached_property
    def generator(self) -> Generator:
        """The face render, rearranged, in `kind`."""
        made = faster(loaded(Generator.shaped_like, self.sources.state("generator")))
        made = reduced(made.to(self.device), self.kind)
        if self.device.type == "mps":  # where channels side by side were never tried
            made.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        if self._compiled:
            compile_parts(made, self._notice)
        return made


def load_networks(
    models_dir: Path, size: int, device: str, precision: str, *, turbo: bool = False, compiled: bool = False
) -> FaceNetworks:
    """The networks for these options; raises `WeightsError` where their files are missing.

    turbo: takes bfloat16 on a CPU that has it, where `precision` leaves the choice.
    """
    return _kept(models_dir, size, device, dtype_for(precision, device, turbo), compiled)


@kept(KEPT)
def _kept(models_dir: Path, size: int, device: str, kind: torch.dtype, compiled: bool) -> FaceNetworks:
    return FaceNetworks(Sources.find(models_dir, size), torch.device(device), kind, compiled)


@on_release
def _release_compiled() -> None:
    if "torch._dynamo" in sys.modules:
        forget_compiled()


def dtype_for(precision: str, device: str, turbo: bool = False) -> torch.dtype:
    """The face render's kind of number. `auto`: float16 on an accelerator, float32 on a CPU.

    Raises `OptionsError` for what the device cannot do.
    """
    on_cpu = device == "cpu"
    if precision == "auto":
        quick = torch.bfloat16 if has_bfloat16() else torch.float32
        return (quick if turbo else torch.float32) if on_cpu else torch.float16
    if on_cpu and precision == "float16":
        raise OptionsError(
            "On a CPU float16 is no quicker; use {precision} bfloat16 or float32.", "precision"
        )
    if on_cpu and precision == "bfloat16" and not has_bfloat16():
        raise OptionsError("This CPU has no bfloat16 arithmetic; use {precision} float32.", "precision")
    kinds = {kind: getattr(torch, kind) for kind in PRECISIONS}
    return kinds[precision]


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself; elsewhere it would be slower than float32."""
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, test, bool)() for test in tests)
