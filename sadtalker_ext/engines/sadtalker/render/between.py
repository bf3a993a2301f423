"""Frames between two rendered ones, by moving both along the known dense motion: quick, and approximate.

Which frames are rendered is chosen where the key points' paths bend, for what happens at a bend, as lips that
meet, cannot be seen in the frames around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..networks.face_render.dense_motion import Warp, deformation_of

LONGEST = 3.0  # times the usual distance of key frames: none are further apart
EVEN = 1e-9  # times the square of a distance: decides where paths are straight, and nowhere else


def key_frames(path: np.ndarray, step: float, known: bool = False) -> list[int]:
    """The frames to render: the first, the last, and as many as make one of `step` frames, on average.

    path: (N, K, 3) key points of the frames. known: the first is rendered already and does not count. Of all
    choices this is the one where the paths deviate least from straight lines at even speed between the chosen
    frames (sum of squares, by dynamic programming); where several are equal, the most even one.
    """
    count = len(path)
    if count <= 2:
        return list(range(count))
    legs = min(count - 1, max(1, math.ceil((count - known) / step) - (not known)))
    longest = max(math.ceil(LONGEST * step), math.ceil((count - 1) / legs))
    flat = np.asarray(path, np.float64).reshape(count, -1)
    cost = np.full((longest, count), np.inf)  # of a leg, by its length less 1 and where it ends
    for length in range(1, longest + 1):
        start, end = flat[:-length], flat[length:]
        bent = np.zeros(max(0, count - length))
        for passed in range(1, length):
            share = passed / length
            line = (1 - share) * start + share * end
            bent += np.square(flat[passed : passed - length] - line).sum(axis=1)
        cost[length - 1, length:] = bent + EVEN * length**2
    least = np.full(count, np.inf)
    least[0] = 0.0
    lengths = np.zeros((legs, count), int)
    for leg in range(legs):
        behind = np.full((longest, count), np.inf)
        for length in range(1, min(longest, count - 1) + 1):
            behind[length - 1, length:] = least[:-length]
        total = behind + cost
        lengths[leg] = total.argmin(axis=0) + 1
        least = total.min(axis=0)
    chosen = [count - 1]
    for leg in reversed(range(legs)):
        chosen.append(chosen[-1] - int(lengths[leg, chosen[-1]]))
    return chosen[::-1]


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
    place = _flat(deformation_of(torch.lerp(before.warp.mask, after.warp.mask, share), driving, source))
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
    grid = (torch.stack(torch.meshgrid(x, y, indexing="xy")) + motion).permute(0, 2, 3, 1)
    mode = "bilinear" if image.device.type == "mps" else "bicubic"  # for which it has no kernel
    return F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=True)
