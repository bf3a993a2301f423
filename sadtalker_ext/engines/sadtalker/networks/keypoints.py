"""A portrait into 15 canonical 3D key points, and those turned and shifted by head motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .face_render.blocks import ConvBlock, coordinate_grid, module_widths
from .mapping import HeadMotion, bins_to_degrees

TEMPERATURE = 0.1  # of the softmax over positions
# The trained networks' radians: 3.14, not pi.
RADIANS = 3.14 / 180
BLUR = 1.5  # px, standard deviation of the anti-aliasing Gaussian
BLUR_RADIUS = 6  # px
REDUCTION = 4  # of the picture before the hourglass


class AntiAliasDown(nn.Module):
    """(N, 3, H, W) blurred and every fourth pixel of it; the kernel is a constant that checkpoints carry."""

    weight: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.exp(-(torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1).float() ** 2) / (2 * BLUR**2))
        kernel = torch.outer(line, line)
        self.register_buffer("weight", (kernel / kernel.sum()).expand(3, 1, -1, -1).clone())

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return F.conv2d(picture, self.weight, padding=BLUR_RADIUS, groups=3)[:, :, ::REDUCTION, ::REDUCTION]


class KeyPointHourglass(nn.Module):
    """2D features down, 3D features up: (N, 3, h, w) -> (N, last width, depth, h, w)."""

    def __init__(self, down: Sequence[int], up: Sequence[int], depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.down_blocks, self.up_blocks = nn.Sequential(), nn.Sequential()
        for number, (inputs, outputs) in enumerate(zip((3, *down), down, strict=False)):
            self.down_blocks.add_module(f"down{number}", ConvBlock(inputs, outputs, down=True))
        self.conv = nn.Conv2d(down[-1], down[-1] * depth, 1)
        for number, (inputs, outputs) in enumerate(zip((down[-1], *up), up, strict=False)):
            self.up_blocks.add_module(f"up{number}", ConvBlock(inputs, outputs, dimensions=3, up=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(self.down_blocks(x))
        return self.up_blocks(x.unflatten(1, (-1, self.depth)))


class KeyPointDetector(nn.Module):
    """face-vid2vid's canonical key points (arXiv 2011.15126): RGB 0..1 (N, 3, S, S) -> (N, 15, 3)."""

    def __init__(
        self,
        down: Sequence[int] = (64, 128, 256, 512, 1024),
        up: Sequence[int] = (512, 256, 128, 64, 32),
        depth: int = 16,
        keypoints: int = 15,
    ) -> None:
        super().__init__()
        self.predictor = KeyPointHourglass(down, up, depth)
        self.kp = nn.Conv3d(up[-1], keypoints, 3, padding=1)
        self.down = AntiAliasDown()

    @classmethod
    def shaped_like(cls, state: Mapping[str, torch.Tensor]) -> KeyPointDetector:
        """A network with the widths of a state dict, not yet loaded."""
        down = module_widths(state, "predictor.down_blocks.down{}.conv.weight")
        up = module_widths(state, "predictor.up_blocks.up{}.conv.weight")
        depth = state["predictor.conv.weight"].shape[0] // down[-1]
        return cls(down, up, depth, state["kp.weight"].shape[0])

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        scores = self.kp(self.predictor(self.down(picture)))
        grid = coordinate_grid(scores.shape[2:], scores).view(-1, 3)
        share = F.softmax(scores.flatten(2) / TEMPERATURE, dim=2)
        # A sum of products, pairwise: a matrix product over 65,536 terms loses a digit.
        return (share[..., None] * grid).sum(2)


def rotation_matrix(yaw_deg: torch.Tensor, pitch_deg: torch.Tensor, roll_deg: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) = Rx(pitch) · Ry(yaw) · Rz(roll) from degrees (N,)."""
    yaw, pitch, roll = (angle * RADIANS for angle in (yaw_deg, pitch_deg, roll_deg))
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)

    def matrix(*entries: torch.Tensor) -> torch.Tensor:
        return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))

    about_x = matrix(one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos())
    about_y = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    about_z = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return about_x @ about_y @ about_z


def transform_keypoints(
    canonical: torch.Tensor,
    motion: HeadMotion,
    *,
    yaw_deg: torch.Tensor | None = None,
    pitch_deg: torch.Tensor | None = None,
    roll_deg: torch.Tensor | None = None,
) -> torch.Tensor:
    """Key points (N, K, 3) turned, shifted and offset by `motion`; given angles (N,) replace predicted ones.

    Of the shift only y is used: the renderer was trained without the other two.
    """
    yaw, pitch, roll = (
        bins_to_degrees(scores) if given is None else given
        for scores, given in ((motion.yaw, yaw_deg), (motion.pitch, pitch_deg), (motion.roll, roll_deg))
    )
    turned = canonical @ rotation_matrix(yaw, pitch, roll).transpose(1, 2)
    shift = motion.t * motion.t.new_tensor([0.0, 1.0, 0.0])
    return turned + shift[:, None] + motion.exp.unflatten(1, (-1, 3))
