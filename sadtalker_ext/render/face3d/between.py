"""Frames between two rendered ones, by moving both along the known dense motion: quick, and approximate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ...networks.face_render.dense_motion import Warp, deformation_of


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """A rendered frame. image: (1, 3, S, S), 0..1. warp: how it was drawn, for one frame."""

    image: torch.Tensor
    warp: Warp

    @classmethod
    def each(cls, images: torch.Tensor, warp: Warp) -> list[KeyFrame]:
        """The frames of a batch (N, 3, S, S) and its warp, one by one."""
        singles = zip(*(part.split(1) for part in (images, *warp)), strict=True)
        return [cls(image, Warp(*parts)) for image, *parts in singles]


def frame_between(
    before: KeyFrame, after: KeyFrame, share: float, driving: torch.Tensor, source: torch.Tensor
) -> torch.Tensor:
    """The frame (1, 3, S, S) with key points `driving` (1, K, 3) between two rendered ones.

    share: where it lies between them, 0..1. What a pixel shows is known of all three frames: the key frames'
    dense motion, and its own from its key points under masks in between. The difference says where the same
    is to be found in the key frames.
    """
    mask = torch.lerp(before.warp.mask, after.warp.mask, share)
    place = _flat(deformation_of(mask, driving, source))
    drawn = [_moved(frame.image, place - _flat(frame.warp.deformation)) for frame in (before, after)]
    return torch.lerp(drawn[0], drawn[1], share)


def _flat(deformation: torch.Tensor) -> torch.Tensor:
    """(1, 2, h, w) places x, y that a pixel's column of the volume shows on average."""
    return deformation[..., :2].mean(1).permute(0, 3, 1, 2)


def _moved(image: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
    """An image (1, 3, S, S) sampled where `motion` (1, 2, h, w), in units of -1..1, leads from each pixel."""
    height, width = image.shape[2:]
    motion = F.interpolate(motion, size=(height, width), mode="bilinear", align_corners=True)
    x = torch.linspace(-1, 1, width, device=image.device)
    y = torch.linspace(-1, 1, height, device=image.device)
    own = torch.stack(torch.meshgrid(x, y, indexing="xy"))
    grid = (own + motion).permute(0, 2, 3, 1)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=True)
