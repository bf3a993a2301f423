"""Warped features into the picture: a decoder whose every normalisation is steered by them (SPADE)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import double, module_widths

SLOPE = 0.2
EPSILON = 1e-5  # of the instance norm


class SpectralConv(nn.Module):
    """Convolution stored as spectral norm stores it: the weight over its largest singular value.

    The singular vectors are the checkpoint's; nothing is iterated at inference.
    """

    weight_u: torch.Tensor
    weight_v: torch.Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight_orig = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        self.register_buffer("weight_u", torch.zeros(outputs))
        self.register_buffer("weight_v", torch.zeros(inputs * kernel * kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def weight(self) -> torch.Tensor:
        """The effective weight (outputs, inputs, kernel, kernel)."""
        largest = torch.dot(self.weight_u, torch.mv(self.weight_orig.flatten(1), self.weight_v))
        return self.weight_orig / largest

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight(), self.bias, padding=self.weight_orig.shape[-1] // 2)


class Spade(nn.Module):
    """Instance norm whose scale and shift are read off the map `seg` (arXiv 1903.07291)."""

    def __init__(self, channels: int, label: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(label, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    @property
    def shared(self) -> nn.Conv2d:
        """The convolution of the map that scale and shift have in common."""
        conv = self.mlp_shared[0]
        assert isinstance(conv, nn.Conv2d)
        return conv

    def forward(self, x: torch.Tensor, seg: torch.Tensor) -> torch.Tensor:
        shared = self.mlp_shared(F.interpolate(seg, size=x.shape[2:], mode="nearest"))
        return F.instance_norm(x, eps=EPSILON) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)


class SpadeBlock(nn.Module):
    """Two steered convolutions beside a shortcut, which is steered too where the widths differ."""

    def __init__(self, inputs: int, outputs: int, label: int, hidden: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0, self.conv_1 = SpectralConv(inputs, middle, 3), SpectralConv(middle, outputs, 3)
        self.norm_0, self.norm_1 = Spade(inputs, label, hidden), Spade(middle, label, hidden)
        self.projects = inputs != outputs
        if self.projects:
            self.conv_s = SpectralConv(inputs, outputs, 1, bias=False)
            self.norm_s = Spade(inputs, label, hidden)

    def forward(self, x: torch.Tensor, seg: torch.Tensor) -> torch.Tensor:
        y = self.conv_0(F.leaky_relu(self.norm_0(x, seg), SLOPE))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, seg), SLOPE))
        return (self.conv_s(self.norm_s(x, seg)) if self.projects else x) + y


class SpadeDecoder(nn.Module):
    """(N, label, S/4, S/4) -> RGB 0..1 (N, 3, S, S)."""

    def __init__(
        self,
        label: int = 256,
        hidden: int = 128,
        width: int = 512,
        middle: int = 6,
        up: tuple[int, int] = (256, 64),
    ) -> None:
        super().__init__()
        self.fc = nn.Conv2d(label, width, 3, padding=1)
        self.middle = middle
        for number in range(middle):
            self.add_module(f"G_middle_{number}", SpadeBlock(width, width, label, hidden))
        self.up_0, self.up_1 = (
            SpadeBlock(i, o, label, hidden) for i, o in zip((width, up[0]), up, strict=True)
        )
        self.conv_img = nn.Conv2d(up[-1], 3, 3, padding=1)

    @classmethod
    def shaped_like(cls, state: Mapping[str, torch.Tensor], prefix: str = "") -> SpadeDecoder:
        """A network with the widths of a state dict, not yet loaded."""
        width, label = state[f"{prefix}fc.weight"].shape[:2]
        up = module_widths(state, prefix + "up_{}.conv_1.weight_orig")
        return cls(
            label,
            state[f"{prefix}up_0.norm_0.mlp_shared.0.weight"].shape[0],
            width,
            len(module_widths(state, prefix + "G_middle_{}.conv_1.weight_orig")),
            (up[0], up[1]),
        )

    def middle_block(self, number: int) -> SpadeBlock:
        block = self.get_submodule(f"G_middle_{number}")
        assert isinstance(block, SpadeBlock)
        return block

    def forward(self, seg: torch.Tensor) -> torch.Tensor:
        x = self.fc(seg)
        for number in range(self.middle):
            x = self.middle_block(number)(x, seg)
        x = self.up_0(double(x), seg)
        x = self.up_1(double(x), seg)
        return torch.sigmoid(self.conv_img(F.leaky_relu(x, SLOPE)))
