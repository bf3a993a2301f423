"""Source features and two sets of key points into a 3D warp field and an occlusion map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import ConvBlock, coordinate_grid, module_widths, sampled

SPREAD = 0.01  # variance of a key point's heat map, in grid units
NEGLIGIBLE = 1e-3  # shares of the mask below this are dropped


class Warp(NamedTuple):
    """How a frame is drawn from the source.

    deformation: (N, d, h, w, 3) places to sample, x y z in -1..1. occlusion: (N, 1, h, w), 0 hidden .. 1.
    mask: (N, K + 1, d, h, w) shares of standing still and of each key point's motion in the deformation.
    """

    deformation: torch.Tensor
    occlusion: torch.Tensor
    mask: torch.Tensor


class HourglassEncoder(nn.Module):
    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.down_blocks = nn.ModuleList(
            ConvBlock(i, o, dimensions=3, down=True) for i, o in zip((inputs, *widths), widths, strict=False)
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features = [x]
        for block in self.down_blocks:
            features.append(block(features[-1]))
        return features


class HourglassDecoder(nn.Module):
    def __init__(self, inputs: int, encoder: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        skips = (*encoder[-2::-1], inputs)
        sizes = (encoder[-1], *(width + skip for width, skip in zip(widths, skips, strict=True)))
        self.up_blocks = nn.ModuleList(
            ConvBlock(i, o, dimensions=3, up=True) for i, o in zip(sizes, widths, strict=False)
        )
        self.channels = sizes[-1]
        self.conv = nn.Conv3d(self.channels, self.channels, 3, padding=1)
        self.norm = nn.BatchNorm3d(self.channels)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        x = features.pop()
        for block in self.up_blocks:
            x = torch.cat([block(x), features.pop()], dim=1)
        return F.relu(self.norm(self.conv(x)))


class Hourglass(nn.Module):
    """A 3D U-Net whose height and width shrink and grow while depth stays."""

    def __init__(self, inputs: int, down: Sequence[int], up: Sequence[int]) -> None:
        super().__init__()
        self.encoder = HourglassEncoder(inputs, down)
        self.decoder = HourglassDecoder(inputs, down, up)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))


class DenseMotion(nn.Module):
    """face-vid2vid's motion field estimator."""

    def __init__(
        self,
        channels: int = 32,
        depth: int = 16,
        keypoints: int = 15,
        compressed: int = 4,
        down: Sequence[int] = (64, 128, 256, 512, 1024),
        up: Sequence[int] = (512, 256, 128, 64, 32),
    ) -> None:
        super().__init__()
        self.compress, self.norm = nn.Conv3d(channels, compressed, 1), nn.BatchNorm3d(compressed)
        self.hourglass = Hourglass((keypoints + 1) * (compressed + 1), down, up)
        features = self.hourglass.decoder.channels
        self.mask = nn.Conv3d(features, keypoints + 1, 7, padding=3)
        self.occlusion = nn.Conv2d(features * depth, 1, 7, padding=3)

    @classmethod
    def shaped_like(cls, state: Mapping[str, torch.Tensor], prefix: str = "") -> DenseMotion:
        """A network with the widths of a state dict, not yet loaded."""
        compressed, channels = state[f"{prefix}compress.weight"].shape[:2]
        positions, features = state[f"{prefix}mask.weight"].shape[:2]
        return cls(
            channels,
            state[f"{prefix}occlusion.weight"].shape[1] // features,
            positions - 1,
            compressed,
            module_widths(state, prefix + "hourglass.encoder.down_blocks.{}.conv.weight"),
            module_widths(state, prefix + "hourglass.decoder.up_blocks.{}.conv.weight"),
        )

    def compressed(self, volume: torch.Tensor) -> torch.Tensor:
        """What of the source's features (N, channels, d, h, w) the motion looks at."""
        return F.relu(self.norm(self.compress(volume)))

    def forward(self, compressed: torch.Tensor, driving: torch.Tensor, source: torch.Tensor) -> Warp:
        """The warp from source to driving key points (N, K, 3); compressed: (N or 1, c, d, h, w)."""
        count, points = driving.shape[:2]
        grid = coordinate_grid(compressed.shape[2:], compressed)
        at_driving = grid - driving[:, :, None, None, None]
        motions = _motions(grid, at_driving, source)
        at_source = grid - source[:, :, None, None, None]
        heat = torch.exp(-0.5 * at_driving.square().sum(-1) / SPREAD)
        heat = heat - torch.exp(-0.5 * at_source.square().sum(-1) / SPREAD)
        heat = torch.cat([torch.zeros_like(heat[:, :1]), heat], dim=1)
        # Sampling between outer faces on a grid with its end points included is how the weights were
        # trained: not even the identity grid copies.
        moved = sampled(
            compressed.float().expand(count, -1, -1, -1, -1),
            motions.reshape(count, -1, *motions.shape[3:5], 3),  # all motions side by side in depth
        ).unflatten(2, (points + 1, -1))
        stacked = torch.cat([heat[:, :, None], moved.transpose(1, 2)], dim=2).flatten(1, 2)
        features = self.hourglass(stacked.to(self.mask.weight.dtype))
        mask = self.mask(features).float().softmax(dim=1)
        mask = torch.where(mask < NEGLIGIBLE, 0.0, mask)
        deformation = (mask[..., None] * motions).sum(1)
        return Warp(deformation, torch.sigmoid(self.occlusion(features.flatten(1, 2)).float()), mask)


def _motions(grid: torch.Tensor, at_driving: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """(N, K + 1, d, h, w, 3) places that each motion alone would sample; the first is no motion at all.

    In float32 throughout: these are places, and half precision knows only 2,048 of them.
    """
    still = grid.expand(len(at_driving), 1, *grid.shape)
    return torch.cat([still, at_driving + source[:, :, None, None, None]], dim=1)


def deformation_of(mask: torch.Tensor, driving: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """(N, d, h, w, 3) places to sample for key points (N, K, 3) under a known mask (N, K + 1, d, h, w)."""
    grid = coordinate_grid(mask.shape[2:], mask)
    return (mask[..., None] * _motions(grid, grid - driving[:, :, None, None, None], source)).sum(1)
