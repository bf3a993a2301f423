"""Rendered squares back into their portrait: matched in colour, blended in linear light, exact outside.

What depends on the portrait alone is computed once. A frame then costs a resize, a small matrix product and a
blend of the rim. Colour is matched in two parts: the shift that most of the rim agrees on is taken from the
whole face, and what is left along the box's edge is spread a little way inwards, as a membrane held by
springs would lie (Poisson blending, screened, on a coarse grid). A plain membrane would let whatever moves
across the rim, hair or a shoulder, tint the whole face.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ....system.caches import kept
from ..crop import Box

RIM = 0.09  # of the box's shorter side: where the frame fades into the portrait
LEAST_RIM = 4  # px
CELLS = 24  # of the membrane's grid along the box's longer side
LEAST_CELLS = 3
SPRING = 0.1  # per cell: how soon the membrane returns to 0 away from the edge
MOST = 0.12  # of full scale: a cell that is off by more than that shows something else, not another colour


class Paster:
    """Pastes frames of one portrait.

    picture: uint8 (H, W, 3). box: where the frames belong, in its pixels. Edges of the box that lie on the
    picture's edge do not fade: there is nothing to fade into.
    """

    def __init__(self, picture: np.ndarray, box: Box, device: torch.device | str = "cpu") -> None:
        self.box = box
        self._picture = np.ascontiguousarray(picture)
        height, width = picture.shape[:2]
        open_sides = (box.left > 0, box.top > 0, box.right < width, box.bottom < height)
        content = picture[box.top : box.bottom, box.left : box.right].copy()
        below = torch.from_numpy(content).to(device).float()  # (h, w, 3), 0..255
        mask = fade(box.width, box.height, open_sides).to(device)[..., None].expand_as(below)  # 0..1
        longer = max(box.width, box.height)
        rows = max(LEAST_CELLS, round(CELLS * box.height / longer))
        columns = max(LEAST_CELLS, round(CELLS * box.width / longer))
        self._grid = (rows, columns)
        edge, spread = membrane(rows, columns, open_sides)
        self._edge, self._spread = edge.to(device), spread.to(device)  # the latter (cells, edge cells)
        self._below_edge = self._edge_cells(below.permute(2, 0, 1)[None] / 255)
        # Light is taken as the square of the stored value: quick, and near the exact curve.
        light = below.square() * (1 - mask)
        self._strips = [
            (rows, columns, mask[rows, columns].contiguous(), light[rows, columns].contiguous())
            for rows, columns in _strips(box.width, box.height, open_sides)
        ]

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 (N, h, w, 3) contents of the box from frames (N, 3, S, S), 0..1."""
        frames = frames.float().contiguous()
        if len(self._edge):
            frames = self._corrected(frames)
        content = self._resized(frames.clamp(0, 1)).permute(0, 2, 3, 1)
        for rows, columns, share, below in self._strips:
            strip = content[:, rows, columns]
            strip.copy_(torch.addcmul(below, strip.float().square_(), share).sqrt_().round_())
        return content

    def place(self, content: np.ndarray) -> np.ndarray:
        """The whole picture, uint8 (H, W, 3), with the box's content (h, w, 3) in its place."""
        frame = self._picture.copy()
        frame[self.box.top : self.box.bottom, self.box.left : self.box.right] = content
        return frame

    def _resized(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, h, w), the colours of a pixel side by side, from frames (N, 3, S, S), 0..1."""
        size = (self.box.height, self.box.width)
        if frames.device.type == "cpu":  # which resizes bytes many times as fast as floats
            content = _bytes(frames).contiguous(memory_format=torch.channels_last)
            return F.interpolate(content, size=size, mode="bilinear", antialias=True, align_corners=False)
        resized = F.interpolate(frames, size=size, mode="bilinear", antialias=True, align_corners=False)
        return _bytes(resized).contiguous(memory_format=torch.channels_last)

    def _corrected(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (N, 3, S, S) that fit the portrait; the coarse correction is interpolated in between."""
        rows, columns = (
            between(cells, count, frames.device)
            for cells, count in zip(self._grid, frames.shape[2:], strict=True)
        )
        stretched = (rows @ self._correction(frames)).flatten(0, 1)
        fitting = torch.baddbmm(frames.flatten(0, 1), stretched, columns.T.expand(len(stretched), -1, -1))
        return fitting.view_as(frames)

    def _correction(self, frames: torch.Tensor) -> torch.Tensor:
        """(N, 3, rows, columns) that is to be added to frames (N, 3, S, S) so that they fit the portrait."""
        error = self._below_edge - self._edge_cells(frames)  # (N, 3, edge cells)
        common = error.median(dim=2, keepdim=True).values
        return (common + (error - common).clamp_(-MOST, MOST) @ self._spread.T).unflatten(2, self._grid)

    def _edge_cells(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, edge cells) means over those cells of the grid that lie on the open sides."""
        return F.adaptive_avg_pool2d(image, self._grid).flatten(2)[:, :, self._edge]


@kept(8)
def between(cells: int, count: int, device: torch.device) -> torch.Tensor:
    """The matrix (count, cells) that interpolates values at the centres of cells at as many places."""
    single = torch.eye(cells)[None]
    return F.interpolate(single, size=count, mode="linear", align_corners=False)[0].T.contiguous().to(device)


def _bytes(values: torch.Tensor) -> torch.Tensor:
    return (values * 255).round_().to(torch.uint8)


def _rim(width: int, height: int) -> float:
    """Width in px of the zone in which the frame fades."""
    return max(LEAST_RIM, RIM * min(width, height))


def fade(width: int, height: int, open_sides: tuple[bool, bool, bool, bool]) -> torch.Tensor:
    """(height, width) share of the frame: 1 inside, smoothly 0 towards the open sides, with round corners.

    open_sides: left, top, right, bottom. The outermost pixels of open sides are 0: they stay the portrait's.
    """
    rim = _rim(width, height)
    left, top, right, bottom = open_sides

    def nearness(count: int, low: bool, high: bool) -> torch.Tensor:
        place = torch.arange(count, dtype=torch.float32)
        far = torch.full_like(place, rim)
        from_low = place if low else far
        from_high = count - 1 - place if high else far
        return (1 - torch.minimum(from_low, from_high) / rim).clamp(0, 1)

    x, y = nearness(width, left, right), nearness(height, top, bottom)
    distance = torch.sqrt(x[None, :] ** 2 + y[:, None] ** 2).clamp(0, 1)
    return 1 - distance * distance * (3 - 2 * distance)


def _strips(width: int, height: int, open_sides: tuple[bool, bool, bool, bool]) -> list[tuple[slice, slice]]:
    """Rows and columns of the parts, without overlap, that hold every pixel in which the frame fades."""
    left, top, right, bottom = open_sides
    rim = int(np.ceil(_rim(width, height)))
    above = min(rim, height) if top else 0
    under = max(height - rim, above) if bottom else height
    before = min(rim, width) if left else 0
    after = max(width - rim, before) if right else width
    parts = [
        (slice(0, above), slice(0, width)),
        (slice(under, height), slice(0, width)),
        (slice(above, under), slice(0, before)),
        (slice(above, under), slice(after, width)),
    ]
    return [part for part in parts if all(side.start < side.stop for side in part)]


def membrane(
    rows: int, columns: int, open_sides: tuple[bool, bool, bool, bool]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which cells lie on open sides, and the matrix (cells, those) that spreads their values inwards.

    Solves (Laplacian + spring) u = 0 with those cells held; no flow across sides that are not open.
    """
    left, top, right, bottom = open_sides
    number = np.arange(rows * columns).reshape(rows, columns)
    held = np.zeros((rows, columns), bool)
    held[:, 0] |= left
    held[:, -1] |= right
    held[0] |= top
    held[-1] |= bottom
    edge, inside = number[held], number[~held]
    spread = np.zeros((rows * columns, len(edge)))
    if len(edge):
        matrix = np.eye(rows * columns) * SPRING
        for here, there in ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:])):
            a, b = here.ravel(), there.ravel()
            np.add.at(matrix, (a, a), 1)
            np.add.at(matrix, (b, b), 1)
            matrix[a, b] -= 1
            matrix[b, a] -= 1
        spread[edge, np.arange(len(edge))] = 1
        spread[inside] = np.linalg.solve(matrix[np.ix_(inside, inside)], -matrix[np.ix_(inside, edge)])
    return torch.from_numpy(edge), torch.from_numpy(spread).float()
