"""Pictures into larger ones: by a network in tiles, or by interpolation."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..host import Check, nothing

TILE, OVERLAP = 384, 16  # px of the picture that a network sees at once, and of them beyond what is kept


def plainly(image: np.ndarray, scale: int) -> np.ndarray:
    """uint8 (scale·H, scale·W, C) from uint8 (H, W, C), bicubic."""
    if scale == 1:
        return image
    height, width = image.shape[:2]
    return cv2.resize(image, (width * scale, height * scale), interpolation=cv2.INTER_CUBIC)


def by_network(image: np.ndarray, scale: int, model: Any, device: str, check: Check = nothing) -> np.ndarray:
    """uint8 (scale·H, scale·W, 3) from uint8 (H, W, 3).

    model: spandrel's description of a network that enlarges, which is applied until the picture is large
    enough; what is too much is averaged away. check: called between tiles.
    """
    height, width = image.shape[:2]
    made, grown = image, 1
    while grown < scale:
        made = _once(made, model, device, check)
        grown *= max(2, int(model.scale))
    if grown == scale:
        return made
    return cv2.resize(made, (width * scale, height * scale), interpolation=cv2.INTER_AREA)


def _once(image: np.ndarray, model: Any, device: str, check: Check) -> np.ndarray:
    import torch

    scale = int(model.scale)
    height, width = image.shape[:2]
    large = np.empty((height * scale, width * scale, 3), np.uint8)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            check()
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            y0, x0 = max(0, top - OVERLAP), max(0, left - OVERLAP)
            part = image[y0 : min(height, bottom + OVERLAP), x0 : min(width, right + OVERLAP)]
            channels_first = np.ascontiguousarray(part.transpose(2, 0, 1))
            given = torch.from_numpy(channels_first).to(device)[None].float() / 255
            with torch.inference_mode():
                made = model(given)[0].float().clamp_(0, 1).mul_(255).round_().to(torch.uint8)
            tile = made.permute(1, 2, 0).cpu().numpy()
            kept = tile[
                (top - y0) * scale : (bottom - y0) * scale, (left - x0) * scale : (right - x0) * scale
            ]
            large[top * scale : bottom * scale, left * scale : right * scale] = kept
    return large
