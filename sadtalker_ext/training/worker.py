"""One process of a training: its device, its precision and how it agrees with the others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import nn

from ..errors import DependencyError, TrainingError
from ..host import StandaloneHost
from .plan import Precision

INSTALL = "install it with: pip install accelerate"
SCALER = "scaler"


class Worker(Protocol):
    """What a training loop asks of the machine.

    rank: of this process, 0 is the one that writes. forgives: gradients may overflow now and then, as in
    fp16; such a step moves nothing.
    """

    rank: int
    world: int
    device: torch.device
    forgives: bool

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """The module on its device, to be called for losses, and the optimiser to step."""

    def alone_with_gradients(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Inside, backward passes add up here without being shared: for all clips of a step but the last."""

    def computing(self) -> AbstractContextManager[Any]:
        """Inside, a forward pass has the precision that was asked for."""

    def backward(self, loss: torch.Tensor) -> None: ...

    def clip(self, weights: Sequence[nn.Parameter], limit: float) -> float:
        """Cuts gradients to the length `limit`; returns their length before, which may not be finite."""

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all processes."""

    def same(self, values: torch.Tensor) -> torch.Tensor:
        """The first process's tensor."""

    def state(self) -> dict[str, Any]: ...

    def load(self, state: dict[str, Any]) -> None: ...


class Alone:
    """One process in full precision, with torch alone."""

    rank, world, forgives = 0, 1, False

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        return module.to(self.device), optimiser

    def alone_with_gradients(self, module: nn.Module) -> AbstractContextManager[Any]:
        return nullcontext()

    def computing(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def clip(self, weights: Sequence[nn.Parameter], limit: float) -> float:
        return float(nn.utils.clip_grad_norm_(weights, limit or float("inf")))

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return values

    def same(self, values: torch.Tensor) -> torch.Tensor:
        return values

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        return


class Accelerated:
    """One or many processes and any precision, by the package accelerate."""

    def __init__(self, device: str, precision: Precision, skipping: bool) -> None:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs

        unused = DistributedDataParallelKwargs(find_unused_parameters=skipping)
        self._own = Accelerator(cpu=device == "cpu", mixed_precision=precision, kwargs_handlers=[unused])
        self.rank, self.world = self._own.process_index, self._own.num_processes
        self.device = self._own.device
        self.forgives = self._own.scaler is not None
        self._optimiser: Any = None

    def wrap(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        wrapped, self._optimiser = self._own.prepare(module, optimiser)
        return wrapped, self._optimiser

    def alone_with_gradients(self, module: nn.Module) -> AbstractContextManager[Any]:
        return self._own.no_sync(module)

    def computing(self) -> AbstractContextManager[Any]:
        return self._own.autocast()

    def backward(self, loss: torch.Tensor) -> None:
        self._own.backward(loss)

    def clip(self, weights: Sequence[nn.Parameter], limit: float) -> float:
        self._own.unscale_gradients(self._optimiser)
        return float(nn.utils.clip_grad_norm_(weights, limit or float("inf")))

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return self._own.reduce(values.to(self.device), "sum") if self.world > 1 else values

    def same(self, values: torch.Tensor) -> torch.Tensor:
        if self.world == 1:
            return values
        from accelerate.utils import broadcast

        return broadcast(values.contiguous())

    def state(self) -> dict[str, Any]:
        return {} if self._own.scaler is None else {SCALER: self._own.scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        if SCALER in state and self._own.scaler is not None:
            self._own.scaler.load_state_dict(state[SCALER])


@contextmanager
def open_worker(
    device: str = "auto", precision: Precision = "no", *, skipping: bool = False
) -> Iterator[tuple[Worker, str]]:
    """This process as a `Worker`, and a sentence about what it has to do without ("" without any).

    device: "auto" for the best there is, or "cpu". Processes are started by `accelerate launch` or torchrun;
    accelerate is needed for many of them and for half precision. skipping: steps may leave out some weights.
    Raises `DependencyError` where many processes were started without it.
    """
    if device not in ("auto", "cpu"):
        raise TrainingError(
            f"--device must be auto or cpu, not {device}; choose a GPU by CUDA_VISIBLE_DEVICES."
        )
    many = int(os.environ.get("WORLD_SIZE", "1")) > 1
    try:
        from accelerate.state import AcceleratorState
    except ImportError as error:
        if many:
            raise DependencyError(
                f"Training in {os.environ['WORLD_SIZE']} processes needs the package accelerate; {INSTALL}"
            ) from error
        asked = "" if precision == "no" else f" {precision} is not used;"
        note = f"The package accelerate is missing, so one device trains in full precision;{asked} {INSTALL}"
        yield Alone(device if device != "auto" else StandaloneHost().device()), note
        return
    # The package keeps what the first training of a process asked for; another one may ask for another thing.
    AcceleratorState._reset_state(reset_partial_state=not many)
    try:
        worker = Accelerated(device, precision, skipping)
    except ValueError as error:
        raise TrainingError(
            f"This device cannot train in {precision} ({error}); choose --precision no or bf16."
        ) from error
    try:
        yield worker, ""
    finally:
        if many and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        AcceleratorState._reset_state(reset_partial_state=True)
