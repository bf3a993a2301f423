"""ExpNet: a mel window, the source's expression and how far the eyes are shut into 64 coefficients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from .audio_encoder import AudioEncoder

EXPRESSIONS = 64


class ExpNet(nn.Module):
    """SadTalker section 3.2 (arXiv 2211.12194). Frames are independent of each other."""

    def __init__(self, width: int = 32, expressions: int = EXPRESSIONS) -> None:
        super().__init__()
        self.audio_encoder = AudioEncoder(width)
        self.mapping1 = nn.Linear(16 * width + expressions + 1, expressions)

    @classmethod
    def shaped_like(cls, state: Mapping[str, torch.Tensor]) -> ExpNet:
        """A network with the widths of a state dict, not yet loaded."""
        return cls(state["audio_encoder.0.conv_block.0.weight"].shape[0], state["mapping1.weight"].shape[0])

    def lids(self, shut: torch.Tensor) -> torch.Tensor:
        """What eyes shut so far (N, 1) add to the coefficients (N, 64): the last layer is linear in it."""
        return shut * self.mapping1.weight[:, -1]

    def forward(self, mel: torch.Tensor, reference: torch.Tensor, shut: torch.Tensor) -> torch.Tensor:
        """Expression coefficients (N, 64).

        mel: (N, 1, 80, 16), -4..4. reference: (N, 64), the source's expression. shut: (N, 1), 0 open, 1 shut.
        """
        return self.mapping1(torch.cat([self.audio_encoder(mel).flatten(1), reference, shut], dim=1))
