"""A face picture into the coefficients of a 3D morphable model, by a ResNet-50 with seven linear heads."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

# Columns of the 257 numbers. Angles are pitch, yaw, roll in radians; trans is x, y, z.
COLUMNS: Mapping[str, slice] = {
    "id": slice(0, 80),
    "exp": slice(80, 144),
    "tex": slice(144, 224),
    "angle": slice(224, 227),
    "gamma": slice(227, 254),
    "trans": slice(254, 257),
}
HEADS: tuple[int, ...] = (80, 64, 80, 3, 27, 2, 1)
EXPANSION = 4  # a bottleneck's outputs over its width


class Bottleneck(nn.Module):
    """1×1, 3×3 (which carries the stride), 1×1, and a shortcut that is projected where shapes differ."""

    def __init__(self, inputs: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if project:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """(N, 3, H, W) -> pooled features (N, 32·width, 1, 1); the official width is 64."""

    BLOCKS = (3, 4, 6, 3)

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        inputs = width
        for stage, count in enumerate(self.BLOCKS):
            blocks = []
            for number in range(count):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(Bottleneck(inputs, width << stage, stride, project=number == 0))
                inputs = EXPANSION * (width << stage)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(len(self.BLOCKS)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x.mean((2, 3), keepdim=True)


class ReconNet(nn.Module):
    """SadTalker's 3DMM reconstruction: RGB 0..1 (N, 3, 224, 224) -> (N, 257), columns as in `COLUMNS`."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.backbone = ResNet50(width)
        self.final_layers = nn.ModuleList(nn.Conv2d(32 * width, count, 1) for count in HEADS)

    @classmethod
    def shaped_like(cls, state: Mapping[str, torch.Tensor]) -> ReconNet:
        """A network with the widths of a state dict, not yet loaded."""
        return cls(state["backbone.conv1.weight"].shape[0])

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        features = self.backbone(picture)
        return torch.cat([head(features) for head in self.final_layers], dim=1).flatten(1)
