"""Turns 100 Hz log-mel energies of speech into eight mouth tracks: a small stack of dilated convolutions.

VisemeNet is our own design. Two frames are read and written at a time, so that the trunk runs at 50 Hz.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

N_MELS = 40
N_BINS = 257  # of the power spectrum that the filterbank takes
N_TRACKS = 8  # jaw, width, round, close, labiodental, teeth, tongue, speech
WIDTH_TRACK = 1  # the one track that runs from -1 to 1
STRIDE = 2  # frames read and written at a time
KERNEL = 3
CHANNELS = 128
DILATIONS = (1, 2, 4, 8, 4, 2)  # in strides


class Conv(nn.Conv1d):
    """A 1-D convolution over (B, C, 1, T): as a 2-D one in channels-last order CPUs do it a third faster."""

    def forward(self, input: Tensor) -> Tensor:
        padding, dilation = (0, int(self.padding[0])), (1, self.dilation[0])
        return nn.functional.conv2d(input, self.weight[:, :, None], self.bias, 1, padding, dilation)


class ResidualBlock(nn.Module):
    """A dilated convolution and a mixing one, added to their input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.look = Conv(channels, channels, KERNEL, padding=dilation, dilation=dilation)
        self.mix = Conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(torch.relu(self.look(x)))


class VisemeNet(nn.Module):
    """(B, N_MELS, T) normalised log-mel -> (B, N_TRACKS, T); width in -1..1, every other track in 0..1.

    T may be odd. An output frame depends on the `CONTEXT` frames on either side of it and on no others.
    Its buffers make it whole: `filterbank` (N_MELS, N_BINS) and `spectrum` (N_MELS,), the mean log-mel of
    speech around its own mean, to which short recordings are compared.
    """

    filterbank: Tensor
    spectrum: Tensor
    sha256: str = ""  # of the file the weights were read from

    def __init__(self, channels: int = CHANNELS, dilations: tuple[int, ...] = DILATIONS) -> None:
        super().__init__()
        self.register_buffer("filterbank", torch.zeros(N_MELS, N_BINS))
        self.register_buffer("spectrum", torch.zeros(N_MELS))
        self.read = Conv(STRIDE * N_MELS, channels, KERNEL, padding=KERNEL // 2)
        self.blocks = nn.ModuleList(ResidualBlock(channels, d) for d in dilations)
        self.write = Conv(channels, STRIDE * N_TRACKS, 1)

    def logits(self, mel: Tensor) -> Tensor:
        """The tracks before their squashing functions, (B, N_TRACKS, T)."""
        batch, _, frames = mel.shape
        if frames % STRIDE:
            mel = torch.cat([mel, mel[..., -1:]], dim=2)
        x = mel.reshape(batch, N_MELS, -1, STRIDE).transpose(2, 3).reshape(batch, N_MELS * STRIDE, -1)
        x = x[:, :, None].contiguous(memory_format=torch.channels_last)
        x = torch.relu(self.read(x))
        for block in self.blocks:
            x = block(x)
        y = self.write(x)[:, :, 0].reshape(batch, N_TRACKS, STRIDE, -1)
        return y.transpose(2, 3).reshape(batch, N_TRACKS, -1)[..., :frames]

    def forward(self, mel: Tensor) -> Tensor:
        before, width, after = self.logits(mel).split((WIDTH_TRACK, 1, N_TRACKS - WIDTH_TRACK - 1), dim=1)
        return torch.cat([torch.sigmoid(before), torch.tanh(width), torch.sigmoid(after)], dim=1)


# Frames on either side that an output depends on.
CONTEXT = STRIDE * (KERNEL // 2) * (1 + sum(DILATIONS)) + STRIDE - 1
