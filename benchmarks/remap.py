"""What warping the picture costs a frame: OpenCV against torch with kornia, on the CPU and on an accelerator.

    python benchmarks/remap.py [--repeat 40] [--device cuda]

A frame is what the instant renderer asks for: the coarse maps of a turned head and of an expression over
the face, enlarged to pixels, and the picture sampled there bicubically. Prints the least milliseconds a frame
over the repeats (other work on the machine only ever adds), and how far torch's picture is from OpenCV's.
The rows of one size take turns, so that all meet the same machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from PIL import Image

from sadtalker_ext.cli.demo import DEMO
from sadtalker_ext.engines.instant.warp.device_warp import DeviceWarp, PictureWarp, Piece
from sadtalker_ext.engines.instant.warp.grid import Box, Grid
from sadtalker_ext.host import StandaloneHost

SIDES = (512, 1024)  # px
THREADS = (1, 2)
CELLS_HEAD, CELLS_FACE = 64, 96  # cells across the picture: the face is about half as wide
FACE_PART = (0.2, 0.15, 0.8, 0.85)  # of the picture's sides
MOTION = 0.02  # of the picture's side
WARM_UP = 3  # frames


def frame_of(side: int) -> list[Piece]:
    """The two pieces of one frame of a picture of side × side px, moved at random but smoothly."""
    rng = np.random.default_rng(0)
    face: Box = tuple(round(part * side) for part in FACE_PART)  # type: ignore[assignment]
    pieces = []
    for box, cells in (((0, 0, side, side), CELLS_HEAD), (face, CELLS_FACE)):
        grid = Grid.over(*box, max(2, side // cells))
        maps = []
        for nodes in grid.nodes():
            noise = cv2.GaussianBlur(rng.normal(size=grid.shape).astype(np.float32), (0, 0), 6)
            maps.append(nodes + noise * np.float32(MOTION * side / np.abs(noise).max()))
        pieces.append(Piece(grid, maps[0], maps[1], box))
    return pieces


def ways(picture: np.ndarray, pieces: list[Piece], device: str) -> dict[str, Callable[[], np.ndarray]]:
    """Every way to make the frame, by name; each sets the threads that it is allowed."""
    with_opencv, on_cpu = PictureWarp(picture), DeviceWarp(picture)
    made: dict[str, Callable[[], np.ndarray]] = {}
    for threads in THREADS:

        def opencv(threads: int = threads) -> np.ndarray:
            cv2.setNumThreads(threads)
            return with_opencv.warp(pieces)[0]

        def on_torch(threads: int = threads) -> np.ndarray:
            torch.set_num_threads(threads)
            return on_cpu.warp(pieces)[0]

        made[f"OpenCV, {threads} thread{'s'[: threads - 1]}"] = opencv
        made[f"torch + kornia on the CPU, {threads} thread{'s'[: threads - 1]}"] = on_torch
    if device != "cpu":
        there = DeviceWarp(picture, device=device)
        made[f"torch + kornia on {device}, copied back"] = lambda: there.warp(pieces)[0]
    return made


def measure(side: int, repeat: int, device: str) -> None:
    with Image.open(DEMO / "portrait.png") as image:
        resized = image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    picture, pieces = np.asarray(resized), frame_of(side)
    rows = ways(picture, pieces, device)
    wanted = PictureWarp(picture).warp(pieces)[0].astype(np.float32)
    error = {name: np.abs(make() - wanted) for name, make in rows.items()}
    least = dict.fromkeys(rows, float("inf"))
    for turn in range(repeat + WARM_UP):
        for name, make in rows.items():
            start = time.perf_counter()
            make()
            spent = time.perf_counter() - start
            if turn >= WARM_UP:
                least[name] = min(least[name], spent)
    print(f"\n{side} × {side} px")
    for name, seconds in sorted(least.items(), key=lambda row: row[1]):
        mean, most = error[name].mean(), error[name].max()
        print(f"  {name:38s} {seconds * 1000:8.2f} ms   off by {mean:.2f}, at most {most:.0f} levels")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeat", type=int, default=40, help="frames a row")
    parser.add_argument("--device", default=None, help="as torch names it (default: the one a run would use)")
    options = parser.parse_args()
    device = options.device or StandaloneHost().device()
    accelerator = "no accelerator" if device == "cpu" else device
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, {accelerator}; "
        f"OpenCV {cv2.__version__}, torch {torch.__version__}"
    )
    for side in SIDES:
        measure(side, options.repeat, device)


if __name__ == "__main__":
    main()
