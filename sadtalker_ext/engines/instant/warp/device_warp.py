"""Turns coarse maps of source positions into the warped picture, on an accelerator or with OpenCV."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from .grid import Box, Grid

if TYPE_CHECKING:
    import torch

LOGGER = logging.getLogger(__name__)
PROBE_SIZE = (40, 56)  # px, height and width of the picture that a device is tried on
PROBE_ERROR = 6.0  # levels; OpenCV rounds positions to 1/32 px, a wrong border or filter is far beyond this


@dataclass(frozen=True, eq=False)
class Piece:
    """Where the pixels of `box` come from: source positions on the nodes of a grid.

    x, y: float32 grid.shape, px in the source. box: pixels (x0, y0, x1, y1), inside the grid's own box.
    """

    grid: Grid
    x: np.ndarray
    y: np.ndarray
    box: Box


def pixel_maps(pieces: Sequence[Piece], box: Box) -> tuple[np.ndarray, np.ndarray]:
    """float32 source x and y of every pixel of `box`; later pieces lie over earlier ones.

    Pixels that no piece covers stay in place. Values are the picture's pixels, whatever the box's corner is.
    """
    x0, y0, x1, y1 = box
    if pieces and overlap(pieces[0].box, box) == box:
        first, pieces = pieces[0], pieces[1:]
        map_x, map_y = first.grid.enlarge(first.x, box), first.grid.enlarge(first.y, box)
    else:
        columns, rows = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)
        map_x, map_y = np.meshgrid(columns, rows)
    for piece in pieces:
        shared = overlap(piece.box, box)
        if shared is None:
            continue
        part = (slice(shared[1] - y0, shared[3] - y0), slice(shared[0] - x0, shared[2] - x0))
        map_x[part] = piece.grid.enlarge(piece.x, shared)
        map_y[part] = piece.grid.enlarge(piece.y, shared)
    return map_x, map_y


def overlap(a: Box, b: Box) -> Box | None:
    """The pixels that two boxes share, or None."""
    both = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return both if both[2] > both[0] and both[3] > both[1] else None


def seen_box(boxes: Sequence[Box], pieces: Sequence[Piece], margin: float, bounds: Box) -> Box | None:
    """The pixels of the frame, within `bounds`, that may show some of `boxes` of the source; None if none do.

    margin: px added around the boxes. The last piece must reach wherever they are seen, unless there is none.
    """
    if not boxes:
        return None
    if not pieces:
        corners = np.array(boxes, np.float64).reshape(-1, 2)
        low, high = corners.min(0) - margin, corners.max(0) + margin
    else:
        grid, x, y = pieces[-1].grid, pieces[-1].x, pieces[-1].y
        reach = margin + 2 * grid.step
        seen = np.zeros(grid.shape, bool)
        for x0, y0, x1, y1 in boxes:
            seen |= (x > x0 - reach) & (x < x1 + reach) & (y > y0 - reach) & (y < y1 + reach)
        if not seen.any():
            return None
        at_x, at_y = (nodes[seen] for nodes in grid.nodes())
        low = np.array([at_x.min(), at_y.min()]) - grid.step
        high = np.array([at_x.max(), at_y.max()]) + grid.step
    (left, top), (right, bottom) = np.floor(low).astype(int).tolist(), np.ceil(high).astype(int).tolist()
    return overlap((left, top, right, bottom), bounds)


def picture_warp(source: np.ndarray, alpha: np.ndarray | None = None, device: str = "cpu") -> PictureWarp:
    """The quickest warp of a picture there is for `device`, as torch names it.

    That is OpenCV on the CPU, where it is faster than torch (`benchmarks/remap.py`), for a device without
    memory to spare, and for one whose torch does not sample as OpenCV does, which is tried out here.
    """
    if device.split(":")[0] == "cpu":
        return PictureWarp(source, alpha)
    try:
        if agrees(device):
            return DeviceWarp(source, alpha, device)
        problem = f"{device} does not sample as OpenCV does"
    except (RuntimeError, AssertionError, ImportError) as error:  # torch's ways to say what is missing
        problem = str(error)
    LOGGER.info("The picture is warped on the CPU: %s", problem)
    return PictureWarp(source, alpha)


class PictureWarp:
    """A picture warped by OpenCV frame by frame; safe to call from many threads.

    device: where it is warped, as torch names it.
    """

    device = "cpu"

    def __init__(self, source: np.ndarray, alpha: np.ndarray | None = None) -> None:
        """source: uint8 (H, W, 3). alpha: uint8 (H, W), warped alike."""
        self._source, self._alpha = source, alpha
        self._height, self._width = source.shape[:2]

    def warp(self, pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray | None]:
        """The picture, uint8 (H, W, 3), and its alpha, uint8 (H, W), if it has one, warped within the pieces.

        The first piece covers the others, later ones lie over it; outside it the picture is kept. Both
        arrays are the caller's own. Raises `ValueError` for a piece that sticks out.
        """
        if not pieces:
            return self._source.copy(), None if self._alpha is None else self._alpha.copy()
        box = pieces[0].box
        bounds = (0, 0, self._width, self._height)
        for piece, outer in zip(pieces, (bounds, *[box] * (len(pieces) - 1)), strict=True):
            if overlap(piece.box, outer) != piece.box or overlap(piece.box, piece.grid.box) != piece.box:
                raise ValueError(f"piece {piece.box} lies outside its grid or outside {outer}")
        colour, alpha = self._sample(pieces, box)
        return _placed(colour, self._source, box), None if alpha is None else _placed(alpha, self._alpha, box)

    def _sample(self, pieces: Sequence[Piece], box: Box) -> tuple[np.ndarray, np.ndarray | None]:
        maps = pixel_maps(pieces, box)
        alpha = None if self._alpha is None else _remap(self._alpha, *maps)
        return _remap(self._source, *maps), alpha


class DeviceWarp(PictureWarp):
    """The same on a torch device that holds the picture; frames queue up on one stream of it.

    Should the device fail in the middle (its memory taken by others), this frame and those after it are
    warped by OpenCV, which differs by a fraction of a level.
    """

    def __init__(self, source: np.ndarray, alpha: np.ndarray | None = None, device: str = "cpu") -> None:
        """source: uint8 (H, W, 3). alpha: uint8 (H, W). Raises RuntimeError as torch does."""
        import torch

        super().__init__(source, alpha)
        self.device = device
        self._torch_device = torch.device(device)
        self._lock = threading.Lock()
        self._failed = False
        # Only CUDA (and ROCm, which goes by the same name) copies to the host while the host goes on.
        self._ahead = self._torch_device.type == "cuda"
        self._stream = torch.cuda.Stream(device=self._torch_device) if self._ahead else None
        planes = source if alpha is None else np.dstack([source, alpha])
        # Planes are made floating on the host so that nothing is under way on another stream afterwards.
        held = np.ascontiguousarray(planes.transpose(2, 0, 1)[None], np.float32)
        self._planes = torch.from_numpy(held).to(self._torch_device)

    def _sample(self, pieces: Sequence[Piece], box: Box) -> tuple[np.ndarray, np.ndarray | None]:
        if not self._failed:
            try:
                return self._on_device(pieces, box)
            except RuntimeError as problem:  # out of memory is one of these
                LOGGER.warning("The picture is now warped on the CPU: %s failed: %s", self.device, problem)
                self._failed, self.device = True, "cpu"
        return super()._sample(pieces, box)

    def _on_device(self, pieces: Sequence[Piece], box: Box) -> tuple[np.ndarray, np.ndarray | None]:
        import torch
        from kornia.geometry.transform import remap

        with self._lock, torch.inference_mode(), self._queue():
            places = self._places(pieces, box)
            warped = remap(
                self._planes, places[:, 0], places[:, 1], mode="bicubic", padding_mode="border",
                align_corners=True, normalized_coordinates=True,
            )  # fmt: skip
            levels = warped[0].round_().clamp_(0, 255).to(torch.uint8)
            parts = [levels[:3].permute(1, 2, 0).contiguous(), *levels[3:]]
            # From CUDA such a copy goes to pinned memory and returns before it is done.
            copied = [part.to("cpu", non_blocking=self._ahead) for part in parts]
            done = None
            if self._stream is not None:
                done = torch.cuda.Event(blocking=True)
                done.record(self._stream)
        if done is not None:
            done.synchronize()
        return copied[0].numpy(), copied[1].numpy() if len(copied) > 1 else None

    def _places(self, pieces: Sequence[Piece], box: Box) -> torch.Tensor:
        """(1, 2, h, w) source x and y of the pixels of `box`, −1 the first pixel's centre, 1 the last's."""
        places = self._enlarged(pieces[0])
        if len(pieces) > 1:
            places = places.clone()
        for piece in pieces[1:]:
            x0, y0, x1, y1 = piece.box
            places[:, :, y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]] = self._enlarged(piece)
        return places

    def _enlarged(self, piece: Piece) -> torch.Tensor:
        """What `Grid.enlarge` does, on the device; scaled while small, since enlarging keeps the scale."""
        import torch

        grid, s = piece.grid, piece.grid.step
        x0, y0, x1, y1 = piece.box
        i0, j0 = (x0 - grid.x0) // s, (y0 - grid.y0) // s
        i1, j1 = -(-(x1 - grid.x0) // s), -(-(y1 - grid.y0) // s)
        nodes = np.stack([piece.x, piece.y])[None, :, j0 : j1 + 2, i0 : i1 + 2].astype(np.float64)
        spans = np.array([max(1, self._width - 1), max(1, self._height - 1)])
        small = torch.from_numpy((nodes * (2 / spans)[:, None, None] - 1).astype(np.float32))
        if self._ahead:
            small = small.pin_memory()
        small = small.to(self._torch_device, non_blocking=self._ahead)
        enlarge = torch.nn.functional.interpolate
        big = enlarge(small, scale_factor=float(s), mode="bilinear", align_corners=False)
        left, top = x0 - (grid.x0 + (i0 - 1) * s), y0 - (grid.y0 + (j0 - 1) * s)
        return big[:, :, top : top + y1 - y0, left : left + x1 - x0]

    def _queue(self) -> AbstractContextManager[Any]:
        import torch

        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def _placed(part: np.ndarray, whole: np.ndarray | None, box: Box) -> np.ndarray:
    if whole is None or part.shape == whole.shape:
        return part
    out = whole.copy()
    out[box[1] : box[3], box[0] : box[2]] = part
    return out


def _remap(image: np.ndarray, map_x: np.ndarray, map_y: np.ndarray) -> np.ndarray:
    return cv2.remap(image, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def agrees(device: str) -> bool:
    """Whether a smooth picture, moved by fractions of a pixel and past its border, comes out as OpenCV's."""
    height, width = PROBE_SIZE
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [128 + 100 * np.sin(column / a + row / b) for a, b in ((5, 9), (7, -6), (-8, 5))]
    source = np.dstack(waves).astype(np.uint8)
    grid = Grid.over(0, 0, width, height, 6)
    x, y = grid.nodes()
    tilted = y + x * np.float32(0.1) - 1
    piece = Piece(grid, x * np.float32(1.1) - np.float32(3.7), tilted, (0, 0, width, height))
    seen, _ = DeviceWarp(source, device=device)._on_device([piece], piece.box)
    wanted, _ = PictureWarp(source).warp([piece])
    return float(np.abs(seen.astype(np.float32) - wanted).max()) <= PROBE_ERROR
