"""Time and memory of pasting a face back into its picture: ours against cv2.seamlessClone, in one run.

    python benchmarks/paste.py [--repeat N] [--threads N] [--device cuda]

A frame of 256 × 256 px is put into a box in a picture of 1024 × 1024 px. Both ways begin with the frame in
memory and end with the whole picture in memory; the least of all repetitions counts, turn about.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from sadtalker_ext.engines.sadtalker.crop import Box
from sadtalker_ext.engines.sadtalker.render.paste import Paster

DEMO = Path(__file__).resolve().parents[1] / "sadtalker_ext" / "assets" / "demo"
SIDE = 1024  # px of the picture
BOXES = (330, 560, 800)  # px
FRAME = 256  # px
WARM_UP = 2  # turns that do not count


def ways(picture: np.ndarray, box: Box, device: str) -> tuple[dict[str, Callable[[], np.ndarray]], float]:
    """Every way to make a whole frame, by name; and the seconds that ours takes once per portrait."""
    inside = np.ascontiguousarray(picture[box.top : box.bottom, box.left : box.right])
    frame = np.clip(cv2.resize(inside, (FRAME, FRAME), interpolation=cv2.INTER_AREA) + 6.0, 0, 255)
    frame = frame.astype(np.uint8)
    start = time.perf_counter()
    paster = Paster(picture, box, device)
    prepared = time.perf_counter() - start
    rendered = torch.from_numpy(frame).to(device).permute(2, 0, 1)[None].float() / 255
    mask = np.full((box.height, box.width, 3), 255, np.uint8)
    centre = ((box.left + box.right) // 2, (box.top + box.bottom) // 2)

    def ours() -> np.ndarray:
        return paster.place(paster(rendered)[0].cpu().numpy())

    def clone() -> np.ndarray:
        content = cv2.resize(frame, (box.width, box.height))
        return cv2.seamlessClone(content, picture, mask, centre, cv2.NORMAL_CLONE)

    return {"ours": ours, "cv2.seamlessClone": clone}, prepared


def measure(side: int, repeat: int, device: str) -> None:
    with Image.open(DEMO / "portrait.png") as image:
        resized = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    picture = np.asarray(resized)
    low = (SIDE - side) // 2
    rows, prepared = ways(picture, Box(low, low, low + side, low + side), device)
    least = dict.fromkeys(rows, float("inf"))
    for turn in range(repeat + WARM_UP):
        for name, make in rows.items():
            start = time.perf_counter()
            make()
            spent = time.perf_counter() - start
            if turn >= WARM_UP:
                least[name] = min(least[name], spent)
    ratio = least["cv2.seamlessClone"] / least["ours"]
    print(
        f"box {side}: ours {least['ours'] * 1e3:6.2f} ms a frame (and {prepared * 1e3:.0f} ms once), "
        f"seamlessClone {least['cv2.seamlessClone'] * 1e3:7.2f} ms: {ratio:.1f} times as fast"
    )


def memory(side: int, frames: int, device: str) -> None:
    """Growth of memory, of Python and numpy, while many frames are pasted and let go."""
    picture = np.full((SIDE, SIDE, 3), 90, np.uint8)
    low = (SIDE - side) // 2
    ours = ways(picture, Box(low, low, low + side, low + side), device)[0]["ours"]
    ours()
    tracemalloc.start()
    ours()
    few = tracemalloc.get_traced_memory()[1]
    for _ in range(frames):
        ours()
    many = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"peak of one frame {few / 1e6:.1f} MB, of {frames} frames {many / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--threads", type=int, default=None, help="of torch and OpenCV (default: theirs)")
    parser.add_argument("--device", default="cpu", help="as torch names it")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
        cv2.setNumThreads(options.threads)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, {options.device}; "
        f"OpenCV {cv2.__version__} with {cv2.getNumThreads()} threads, torch {torch.__version__} with "
        f"{torch.get_num_threads()}"
    )
    for side in BOXES:
        measure(side, options.repeat, options.device)
    memory(BOXES[1], 100, options.device)


if __name__ == "__main__":
    main()
