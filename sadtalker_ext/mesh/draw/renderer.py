"""Turns a face mesh and the motion of its vertices into frames."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ...errors import MeshError
from ...host import Check, nothing
from ...tracks import MotionTrack
from ..figure import Figure, TemplateFigure
from ..template import Template
from .picture import Picture

SMALLEST, LARGEST = 16, 4096  # px, side of a frame
WINDOW_PER_WORKER = 2  # frames in flight for each thread
MOST_WORKERS = 8  # threads: the frames in flight would fill the memory of a machine with many processors


class MeshRenderer:
    """Renders one mesh; the camera and the lights stand still."""

    has_alpha = False
    notices: tuple[str, ...] = ()

    def __init__(
        self, figure: Template | Figure, *, size: int | tuple[int, int] = 512, workers: int | None = None
    ) -> None:
        """figure: a template, or whatever else has vertices that move. size: px, the side of a square or
        width and height. workers: threads that render frames, default one a processor and `MOST_WORKERS` at
        most.

        Raises `MeshError` for points without triangles, or a frame of impossible size.
        """
        self._figure: Figure = TemplateFigure(figure) if isinstance(figure, Template) else figure
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        if not all(SMALLEST <= side <= LARGEST for side in self.size):
            raise MeshError(f"A frame is {SMALLEST} to {LARGEST} pixels wide and high, not {self.size}.")
        self.region = self.view = (0, 0, *self.size)
        self._workers = max(1, workers or min(os.cpu_count() or 1, MOST_WORKERS))
        self._picture = Picture(
            self._figure.vertices,
            self._figure.faces,
            self.size,
            colours=self._figure.colours,
            shine=self._figure.shine,
            postures=self._figure.postures,
        )

    def opening(self, track: MotionTrack) -> np.ndarray | None:
        """None: what a mesh's lips do is not known beforehand."""
        return None

    def render(self, track: MotionTrack, *, check: Check = nothing) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3), one a row of the track, in order; a few are drawn ahead, never all.

        check: called between frames; whatever it raises ends the rendering. Raises `TrackError` for a track
        of another space.
        """
        poses = self._figure.poses(track)
        if self._workers == 1:
            for vertices in poses:
                check()
                yield self._picture.draw(vertices)
            return
        with ThreadPoolExecutor(self._workers, "mesh") as pool:
            ahead: deque[Future[np.ndarray]] = deque()
            try:
                for vertices in poses:
                    check()
                    ahead.append(pool.submit(self._picture.draw, vertices))
                    if len(ahead) >= WINDOW_PER_WORKER * self._workers:
                        yield ahead.popleft().result()
                while ahead:
                    check()
                    yield ahead.popleft().result()
            finally:
                for waiting in ahead:
                    waiting.cancel()
