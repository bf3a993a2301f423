"""Speech and frames for the tests of the video room, and a look at what is left on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import Speech, load_speech
from sadtalker_ext.video import VideoWriter


def clicks(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """Short noise bursts at irregular times: a shift of one millisecond shows; (N, channels) float32."""
    rng = np.random.default_rng(7)
    sound = np.zeros(round(seconds * rate), np.float32)
    for onset in np.arange(0.05, seconds - 0.1, 0.17):
        first = round(onset * rate)
        burst = np.sin(2 * np.pi * 900 * np.arange(round(0.06 * rate)) / rate)
        sound[first : first + len(burst)] += burst * rng.uniform(0.2, 0.7)
    return np.repeat(sound[:, None], channels, axis=1)


@pytest.fixture
def make_speech() -> Callable[..., Speech]:
    """make_speech(seconds=1.23, rate=16000, channels=1): speech that carries its sound as an array."""

    def make(seconds: float = 1.23, rate: int = 16000, channels: int = 1) -> Speech:
        return load_speech((clicks(seconds, rate, channels), rate))

    return make


def pictures(count: int, width: int, height: int, channels: int = 3) -> Iterator[np.ndarray]:
    """A still gradient with a square that moves 3 pixels a frame."""
    still = np.zeros((height, width, channels), np.uint8)
    still[..., 0] = np.linspace(40, 200, width, dtype=np.uint8)
    still[..., 1] = np.linspace(60, 180, height, dtype=np.uint8)[:, None]
    still[..., 2] = 90
    if channels == 4:
        still[..., 3] = 255
    side = max(1, min(width, height) // 4)
    for index in range(count):
        frame = still.copy()
        x = index * 3 % max(1, width - side)
        frame[:side, x : x + side, :3] = (220, 30, 40)
        yield frame


@pytest.fixture
def write_video() -> Callable[..., Path]:
    """write_video(path, count, width=64, height=48, fps=25, **options): a video of the moving square.

    halfway: called with the writer in the middle of the frames.
    """

    def write(
        path: Path,
        count: int,
        *,
        width: int = 64,
        height: int = 48,
        fps: float = 25,
        halfway: Callable[[VideoWriter], None] = lambda writer: None,
        **options: object,
    ) -> Path:
        channels = 4 if options.get("alpha") else 3
        with VideoWriter(path, width=width, height=height, fps=fps, **options) as writer:  # type: ignore[arg-type]
            for index, frame in enumerate(pictures(count, width, height, channels)):
                if index == count // 2:
                    halfway(writer)
                writer.write(frame)
        return writer.path

    return write


@pytest.fixture
def moving_square() -> Callable[..., Iterator[np.ndarray]]:
    return pictures


@pytest.fixture
def left_over() -> Callable[[Path], list[str]]:
    """left_over(folder): names of everything in it, hidden temporary files too."""
    return lambda folder: sorted(path.name for path in folder.iterdir())
