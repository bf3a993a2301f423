"""A video into RGB frames, streamed through a pipe, at its own or another frame rate."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import Foreign, Place, VideoError
from ..host import Check, nothing
from ..system.ffmpeg import Ffmpeg, complaint, input_arguments
from ..system.paths import existing_file, is_folder, user_path
from .folder import folder_facts, folder_frames
from .probe import video_rate
from .target import exact_rate

Size = tuple[int, int]  # width and height in pixels
MAX_SIDE = 16384  # pixels; what claims to be larger is damaged


def read_frames(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    size: Size | None = None,
    check: Check = nothing,
) -> Iterator[np.ndarray]:
    """Yields the frames of a video (or of a folder of our frames) in order, uint8 (H, W, 3), turned upright.

    fps: frames per second to read at, frames repeated or left out in time; None: the video's own rate, so
    that frame i is shown at i / probe(path).fps. size: (width, height) to scale to. check: called for every
    frame. The arrays may be read-only. Memory does not grow with the video. Raises `VideoError`.
    """
    folder = user_path(path)
    if is_folder(folder):
        return _from_folder(folder, fps, size, check)
    found, problem = existing_file(path)
    if problem:
        raise VideoError("The video {path!r} {problem}.", Place(path), problem=problem)
    return _from_file(found, fps, size, check)


def _from_file(path: Path, fps: float | None, size: Size | None, check: Check) -> Iterator[np.ndarray]:
    own = video_rate(path)
    rate = own if fps is None else exact_rate(fps)
    filters = []
    arguments = [*input_arguments(path), "-map", "0:v:0", "-an", "-sn", "-dn"]
    if rate == own > 0:
        # Forgives small irregularities of the clock: every frame of a regular video exactly once.
        arguments += ["-r", f"{rate.numerator}/{rate.denominator}"]
    elif rate > 0:
        filters.append(f"fps={rate.numerator}/{rate.denominator}:start_time=0")
    if size is not None:
        filters.append(f"scale={size[0]}:{size[1]}:flags=area")
    if filters:
        arguments += ["-vf", ",".join(filters)]
    # PPM: every frame says its own size, whatever rotation or change of size the video holds.
    arguments += ["-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "pipe:1"]
    count = 0
    with Ffmpeg(arguments, stdout=True) as process:
        while (frame := _read_ppm(process, path)) is not None:
            check()
            count += 1
            yield frame
        process.finish()
        if count == 0:
            raise _unreadable(path, process.messages())


def _read_ppm(process: Ffmpeg, path: Path) -> np.ndarray | None:
    if process.readline() != b"P6\n":
        return None
    try:
        width, height = map(int, process.readline().split())
        process.readline()  # the largest value, 255
    except ValueError:
        width = height = 0
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise VideoError(f"{path.name} is damaged: it claims frames of {width}×{height} pixels.")
    data = process.read(width * height * 3)
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _from_folder(folder: Path, fps: float | None, size: Size | None, check: Check) -> Iterator[np.ndarray]:
    numerator, denominator = folder_facts(folder)["fps"]
    own = numerator / denominator
    shown = 0
    for index, frame in enumerate(folder_frames(folder)):
        # How many frames of the wanted rate start before this one ends.
        due = index + 1 if fps is None else round((index + 1) * fps / own)
        if size is not None and due > shown:
            frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
        while shown < due:
            check()
            shown += 1
            yield frame


def _unreadable(path: Path, messages: str) -> VideoError:
    if "Input #0" in messages and ": Video:" not in messages:
        return VideoError(f"{path.name} has no picture: it holds no video stream.")
    return VideoError(
        "{name} is not a video that ffmpeg can read ({reason}).", Foreign(complaint(messages)), name=path.name
    )
