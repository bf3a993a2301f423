"""Mel windows into embeddings: the convolutional encoder of which ExpNet and PoseVAE have a copy each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class AudioConv(nn.Module):
    """Convolution, batch norm and ReLU; with `residual` the input is added before the ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int | tuple[int, int] = 1,
        padding: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(outputs))
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv_block(x)
        return F.relu(y + x if self.residual else y)


class AudioEncoder(nn.Sequential):
    """(N, 1, 80, 16) normalised mel windows -> (N, 16·width, 1, 1); the official width is 32."""

    def __init__(self, width: int = 32) -> None:
        def kept(channels: int) -> AudioConv:
            return AudioConv(channels, channels, residual=True)

        w = width
        super().__init__(
            AudioConv(1, w), kept(w), kept(w),
            AudioConv(w, 2 * w, stride=(3, 1)), kept(2 * w), kept(2 * w),
            AudioConv(2 * w, 4 * w, stride=3), kept(4 * w), kept(4 * w),
            AudioConv(4 * w, 8 * w, stride=(3, 2)), kept(8 * w),
            AudioConv(8 * w, 16 * w, padding=0),
            AudioConv(16 * w, 16 * w, kernel=1, padding=0),
        )  # fmt: skip
