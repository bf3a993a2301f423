"""MappingNet: windows of 3DMM coefficients into head angles, a shift and the offsets of the key points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

WINDOW = 27  # frames: 13 on either side
BINS = 66  # of 3 degrees, from -99
HIDDEN = 1024
DILATION = 3


class HeadMotion(NamedTuple):
    """What MappingNet says about one frame each.

    yaw, pitch, roll: (N, 66) scores of angle bins. t: (N, 3) shift. exp: (N, 3·key points) offsets.
    """

    yaw: torch.Tensor
    pitch: torch.Tensor
    roll: torch.Tensor
    t: torch.Tensor
    exp: torch.Tensor


class MappingNet(nn.Module):
    """SadTalker section 3.4, after PIRenderer: (N, coefficients, 27) -> `HeadMotion`."""

    LAYERS = 3

    def __init__(self, coefficients: int = 70, hidden: int = HIDDEN, keypoints: int = 15) -> None:
        super().__init__()
        self.inputs = coefficients
        self.first = nn.Sequential(nn.Conv1d(coefficients, hidden, 7))
        for layer in range(self.LAYERS):
            conv = nn.Conv1d(hidden, hidden, 3, dilation=DILATION)
            self.add_module(f"encoder{layer}", nn.Sequential(nn.LeakyReLU(0.1), conv))
        self.fc_roll, self.fc_pitch, self.fc_yaw = (nn.Linear(hidden, BINS) for _ in range(3))
        self.fc_t, self.fc_exp = nn.Linear(hidden, 3), nn.Linear(hidden, 3 * keypoints)

    @classmethod
    def shaped_like(cls, state: Mapping[str, torch.Tensor]) -> MappingNet:
        """A network with the widths of a state dict, not yet loaded."""
        hidden, coefficients, _ = state["first.0.weight"].shape
        return cls(coefficients, hidden, state["fc_exp.weight"].shape[0] // 3)

    @property
    def coefficients(self) -> int:
        """How many coefficients a frame has: 70, or 73 with the crop's scale and place."""
        return self.inputs

    def forward(self, window: torch.Tensor) -> HeadMotion:
        x = self.first(window)
        for layer in range(self.LAYERS):
            x = self.get_submodule(f"encoder{layer}")(x) + x[:, :, DILATION:-DILATION]
        x = x.mean(2)
        return HeadMotion(self.fc_yaw(x), self.fc_pitch(x), self.fc_roll(x), self.fc_t(x), self.fc_exp(x))


def bins_to_degrees(scores: torch.Tensor) -> torch.Tensor:
    """The expected angle (N,) in degrees under the softmax of its bins (N, 66)."""
    index = torch.arange(BINS, dtype=scores.dtype, device=scores.device)
    return (scores.softmax(1) * index).sum(1) * 3 - 99
