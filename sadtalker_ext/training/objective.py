"""What the training loop knows of a network: what it reads, what it minimises, and what it is judged by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from .clips import ClipRecord
from .worker import Worker

Share = tuple[float, float]  # a sum and what it is divided by, once both are summed over all clips


@dataclass(frozen=True, eq=False)
class Example:
    """A clip as tensors. audio: (S,) at 16 kHz. motion: (T, D). style: the subject's index, -1 if unknown."""

    name: str
    audio: Tensor
    motion: Tensor
    style: int

    @classmethod
    def of(cls, clip: ClipRecord, subjects: tuple[str, ...]) -> Example:
        style = subjects.index(clip.subject) if clip.subject in subjects else -1
        return cls(clip.clip, torch.from_numpy(clip.audio), torch.from_numpy(clip.motion), style)

    def to(self, device: torch.device) -> Example:
        return replace(self, audio=self.audio.to(device), motion=self.motion.to(device))


class Objective(nn.Module, ABC):
    """A network together with its losses. Losses are computed by calling it, so that it can be distributed.

    file: name of the weights in a run's folder. skips: some steps leave out some of the weights, as where
    layers are dropped at random.
    """

    file: ClassVar[str]
    skips: ClassVar[bool] = False

    @abstractmethod
    def forward(self, example: Example) -> dict[str, Tensor]:
        """Losses of a clip, each (); the one called `loss` is minimised."""

    @abstractmethod
    def measure(self, example: Example) -> dict[str, Share]:
        """How good the network is on a clip it does not learn from; smaller is better.

        The first value decides which weights are kept. Called without gradients, in eval mode; it must not
        draw random numbers.
        """

    @abstractmethod
    def checkpoint(self) -> dict[str, Tensor]:
        """The network's weights as inference reads them, in the corpus's own units."""

    def trained(self) -> list[nn.Parameter]:
        return [weight for weight in self.parameters() if weight.requires_grad]

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs of it."""
        return self.state_dict()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.load_state_dict(state)

    def begin(self, examples: Iterator[Example], worker: Worker) -> None:
        """Called before the first step of a new run, with examples of the training clips."""

    def after_step(self, worker: Worker, optimiser: torch.optim.Optimizer) -> None:
        """Called after the weights moved: for what is not learnt by gradients, such as a codebook."""

    def gauges(self) -> dict[str, float]:
        """Numbers to watch besides the losses."""
        return {}
