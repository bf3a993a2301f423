"""Rendered squares back into their portrait: matched in colour along the rim, blended in linear light, exact outside.

What depends on the portrait alone is computed once. A frame then costs a resize, a small matrix product and a
blend of the rim: the difference to the portrait along the box's edge is spread over the inside as a membrane
would (the idea of Poisson blending, on a coarse grid), so that neither a seam nor a shift of colour is left.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ...face.crop import Box

RIM = 0.09  # of the box's shorter side: where the frame fades into the portrait
LEAST_RIM = 4  # px
CELLS = 24  # of the membrane's grid along the box's longer side
GAMMA = 2.2  # between stored values and linear light
STILL = 1e-3  # residual at which the membrane counts as solved


class Paster:
    """Pastes frames of one portrait.

    picture: uint8 (H, W, 3). box: where the frames belong, in its pixels. Edges of the box that lie on the picture's
    edge do not fade: there is nothing to fade into.
    """

    def __init__(self, picture: np.ndarray, box: Box, device: torch.device | str = "cpu") -> None:
        self.box = box
        self._picture = np.ascontiguousarray(picture)
        height, width = picture.shape[:2]
        open_sides = (box.left > 0, box.top > 0, box.right < width, box.bottom < height)
        below = torch.from_numpy(np.ascontiguousarray(picture[box.top : box.bottom, box.left : box.right]))
        self._below = below.to(device).permute(2, 0, 1)[None].float() / 255  # (1, 3, h, w)
        self._mask = _fade(box.width, box.height, open_sides).to(device)  # (h, w), 0..1
        rows = max(3, round(CELLS * box.height / max(box.width, box.height)))
        columns = max(3, round(CELLS * box.width / max(box.width, box.height)))
        self._grid = (rows, columns)
        self._edge, spread = _membrane(rows, columns, open_sides)
        self._edge = self._edge.to(device)
        self._spread = spread.to(device)  # (cells, edge cells)
        self._below_edge = self._cells(self._below)[:, :, self._edge]
        self._fading = ((self._mask > 0) & (self._mask < 1)).nonzero(as_tuple=True)
        self._share = self._mask[self._fading]
        self._below_linear = self._below[0][:, self._fading[0], self._fading[1]] ** GAMMA

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 (N, h, w, 3) contents of the box from frames (N, 3, S, S), 0..1."""
        size = (self.box.height, self.box.width)
        frames = F.interpolate(
            frames.float(), size=size, mode="bilinear", antialias=True, align_corners=False
        )
        error = self._below_edge - self._cells(frames)[:, :, self._edge]  # (N, 3, edge cells)
        membrane = (error @ self._spread.T).unflatten(2, self._grid)
        frames = (frames + F.interpolate(membrane, size=size, mode="bilinear", align_corners=False)).clamp_(
            0, 1
        )
        rows, columns = self._fading
        light = frames[:, :, rows, columns] ** GAMMA
        blended = (self._below_linear + self._share * (light - self._below_linear)) ** (1 / GAMMA)
        frames[:, :, rows, columns] = blended
        frames = torch.where(self._mask > 0, frames, self._below)
        return (frames * 255).round_().to(torch.uint8).permute(0, 2, 3, 1)

    def place(self, content: np.ndarray) -> np.ndarray:
        """The whole picture, uint8 (H, W, 3), with the box's content (h, w, 3) in its place."""
        frame = self._picture.copy()
        frame[self.box.top : self.box.bottom, self.box.left : self.box.right] = content
        return frame

    def _cells(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, cells) means over the grid's cells."""
        return F.adaptive_avg_pool2d(image, self._grid).flatten(2)


def _fade(width: int, height: int, open_sides: tuple[bool, bool, bool, bool]) -> torch.Tensor:
    """(height, width) share of the frame: 1 inside, smoothly 0 towards the open sides, with round corners."""
    rim = max(LEAST_RIM, RIM * min(width, height))
    left, top, right, bottom = open_sides

    def nearness(count: int, low: bool, high: bool) -> torch.Tensor:
        place = torch.arange(count) + 0.5
        far = torch.full_like(place, rim)
        from_low = place - 1 if low else far  # the outermost pixel stays the portrait's
        from_high = count - place - 1 if high else far
        return (1 - torch.minimum(from_low, from_high) / rim).clamp(0, 1)

    x, y = nearness(width, left, right), nearness(height, top, bottom)
    distance = torch.sqrt(x[None, :] ** 2 + y[:, None] ** 2).clamp(0, 1)
    return 1 - distance * distance * (3 - 2 * distance)


def _membrane(
    rows: int, columns: int, open_sides: tuple[bool, bool, bool, bool]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which cells lie on open sides, and the matrix (cells, those) that spreads their values harmonically."""
    left, top, right, bottom = open_sides
    number = np.arange(rows * columns).reshape(rows, columns)
    held = np.zeros((rows, columns), bool)
    held[:, 0], held[:, -1], held[0], held[-1] = left, right, top, bottom
    held[0, [0, -1]] |= (left, right)
    held[-1, [0, -1]] |= (left, right)
    if not held.any():
        return torch.zeros(0, dtype=torch.long), torch.zeros(rows * columns, 0)
    laplace = np.zeros((rows * columns, rows * columns))
    for here, there in ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:])):
        a, b = here.ravel(), there.ravel()
        laplace[a, a] += 1
        laplace[b, b] += 1
        laplace[a, b] -= 1
        laplace[b, a] -= 1
    edge, inside = number[held], number[~held]
    spread = np.zeros((rows * columns, len(edge)))
    spread[edge, np.arange(len(edge))] = 1
    spread[inside] = np.linalg.solve(laplace[np.ix_(inside, inside)], -laplace[np.ix_(inside, edge)])
    return torch.from_numpy(edge), torch.from_numpy(spread).float()
