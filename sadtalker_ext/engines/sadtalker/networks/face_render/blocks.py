"""Building blocks that the key-point detector and the face render share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ConvBlock(nn.Module):
    """3×3(×3) convolution, batch norm and (leaky) ReLU; height and width doubled before or halved after."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        dimensions: int = 2,
        up: bool = False,
        down: bool = False,
        slope: float = 0.0,
    ) -> None:
        super().__init__()
        flat = dimensions == 2
        self.conv: nn.Conv2d | nn.Conv3d = (nn.Conv2d if flat else nn.Conv3d)(inputs, outputs, 3, padding=1)
        self.norm: nn.Module = (nn.BatchNorm2d if flat else nn.BatchNorm3d)(outputs)
        self.up, self.down, self.slope = up, down, slope

    def fold(self) -> None:
        """Put the batch norm, as it is at inference, into the convolution."""
        if isinstance(self.norm, (nn.BatchNorm2d, nn.BatchNorm3d)):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.up:
            x = double(x)
        x = self.norm(self.conv(x))
        x = F.leaky_relu(x, self.slope) if self.slope else F.relu(x)
        return halve(x) if self.down else x


class ResBlock3d(nn.Module):
    """Norm, ReLU and convolution twice, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv3d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = (nn.BatchNorm3d(channels) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x)))))) + x


def double(x: torch.Tensor) -> torch.Tensor:
    """Height and width twice as large, by the nearest neighbour; depth stays."""
    return F.interpolate(x, scale_factor=2.0 if x.ndim == 4 else (1.0, 2.0, 2.0), mode="nearest")


def halve(x: torch.Tensor) -> torch.Tensor:
    """Height and width half as large, by averaging; depth stays."""
    if x.ndim == 4:
        return F.avg_pool2d(x, 2)
    # Depth goes into the channels: the same numbers, and CPUs know this kernel in bfloat16 too.
    return F.avg_pool2d(x.flatten(1, 2), 2).unflatten(1, x.shape[1:3])


def sampled(volume: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """A volume (N, C, D, H, W) at places (N, d, h, w, 3): x y z in -1..1 between outer faces, 0 outside."""
    if volume.device.type == "mps":  # lacks the kernel in many releases of torch
        return F.grid_sample(volume.cpu(), places.cpu(), align_corners=False).to(volume.device)
    return F.grid_sample(volume, places, align_corners=False)


def coordinate_grid(shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """(d, h, w, 3) coordinates x, y, z in -1..1, end points included, in float32 on the device of `like`.

    2·(i / (n - 1)) - 1 in this order: `torch.linspace` differs in the last bit, and the dense motion's
    threshold on its mask turns last bits into visible pixels.
    """

    def line(count: int) -> torch.Tensor:
        return 2 * (torch.arange(count, dtype=torch.float32, device=like.device) / (count - 1)) - 1

    z, y, x = torch.meshgrid(*(line(count) for count in shape), indexing="ij")
    return torch.stack([x, y, z], dim=-1)


def module_widths(state: Mapping[str, torch.Tensor], pattern: str) -> tuple[int, ...]:
    """Output channels of the layers 0, 1, … whose weights a state dict calls `pattern.format(number)`."""
    widths: list[int] = []
    while (name := pattern.format(len(widths))) in state:
        widths.append(state[name].shape[0])
    return tuple(widths)
