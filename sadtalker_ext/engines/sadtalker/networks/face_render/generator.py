"""The 3D-aware face render: a portrait's features, warped to driving key points, decoded into a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from .blocks import ConvBlock, ResBlock3d, module_widths, sampled
from .dense_motion import DenseMotion, Warp
from .spade import SpadeDecoder


class SourceFeatures(NamedTuple):
    """What depends on the portrait alone: its features (1, 32, 16, S/4, S/4), and what the motion sees."""

    volume: torch.Tensor
    compressed: torch.Tensor


class Generator(nn.Module):
    """face-vid2vid's generator (arXiv 2011.15126) with a SPADE decoder, as SadTalker uses it."""

    def __init__(
        self,
        encoder: Sequence[int] = (64, 128, 256),
        channels: int = 32,
        depth: int = 16,
        blocks: int = 6,
        motion: DenseMotion | None = None,
        decoder: SpadeDecoder | None = None,
        label: int = 256,
    ) -> None:
        super().__init__()
        self.depth = depth
        self.first = ConvBlock(3, encoder[0])
        self.down_blocks = nn.ModuleList(ConvBlock(i, o, down=True) for i, o in pairwise(encoder))
        self.second = nn.Conv2d(encoder[-1], channels * depth, 1)
        self.resblocks_3d = nn.Sequential()
        for number in range(blocks):
            self.resblocks_3d.add_module(f"3dr{number}", ResBlock3d(channels))
        self.dense_motion_network = motion or DenseMotion(channels, depth)
        self.third = ConvBlock(channels * depth, label, slope=0.01)
        self.fourth = nn.Conv2d(label, label, 1)
        self.decoder: nn.Module = decoder or SpadeDecoder(label)

    @classmethod
    def shaped_like(cls, state: Mapping[str, torch.Tensor]) -> Generator:
        """A network with the widths of a state dict, not yet loaded."""
        channels = state["resblocks_3d.3dr0.conv1.weight"].shape[0]
        first = state["first.conv.weight"].shape[0]
        return cls(
            (first, *module_widths(state, "down_blocks.{}.conv.weight")),
            channels,
            state["second.weight"].shape[0] // channels,
            len(module_widths(state, "resblocks_3d.3dr{}.conv1.weight")),
            DenseMotion.shaped_like(state, "dense_motion_network."),
            SpadeDecoder.shaped_like(state, "decoder."),
            state["fourth.weight"].shape[0],
        )

    def encode(self, picture: torch.Tensor) -> SourceFeatures:
        """Features of a portrait, RGB 0..1 (1, 3, S, S)."""
        x = self.first(picture)
        for block in self.down_blocks:
            x = block(x)
        volume = self.resblocks_3d(self.second(x).unflatten(1, (-1, self.depth)))
        return SourceFeatures(volume, self.dense_motion_network.compressed(volume))

    def warp(self, features: SourceFeatures, driving: torch.Tensor, source: torch.Tensor) -> Warp:
        """How frames are drawn; arguments as for `forward`."""
        source = source.expand(len(driving), -1, -1)
        return self.dense_motion_network(features.compressed, driving, source)

    def draw(self, features: SourceFeatures, warp: Warp) -> torch.Tensor:
        """The frames (N, 3, S, S), RGB 0..1, that a warp describes."""
        volume = features.volume.expand(len(warp.occlusion), -1, -1, -1, -1)
        # Places stay in float32: half precision knows only 2,048 of them.
        moved = sampled(volume, warp.deformation).flatten(1, 2)
        label = self.fourth(self.third(moved.to(self.fourth.weight.dtype)))
        return self.decoder(label * warp.occlusion.to(label.dtype))

    def forward(self, features: SourceFeatures, driving: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Frames (N, 3, S, S), RGB 0..1, for driving key points (N, K, 3); source: (1 or N, K, 3)."""
        return self.draw(features, self.warp(features, driving, source))
