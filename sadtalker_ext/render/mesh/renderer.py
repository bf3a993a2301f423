"""Turns a face mesh and the motion of its vertices into frames."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from ...errors import MeshError, TrackError
from ...mesh import Template
from ...track import MotionTrack, vertex_space
from .picture import Picture

SMALLEST, LARGEST = 16, 4096  # px, side of a frame
WINDOW_PER_WORKER = 2  # frames in flight for each thread


class Figure(Protocol):
    """A mesh that a motion track moves.

    accepts: names of the motion spaces that it understands. vertices: float32 (V, 3) at rest, y up, z towards
    the viewer. faces: (F, 3). colours: linear light (V, 3), or None. shine: (V,) 0..1, or None. postures:
    vertices in the poses in which it is seen where light gets, so that the inside of a mouth is not black.
    """

    accepts: frozenset[str]
    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray | None
    shine: np.ndarray | None

    @property
    def postures(self) -> tuple[np.ndarray, ...]: ...

    def poses(self, track: MotionTrack) -> Iterator[np.ndarray]:
        """Vertices float32 (V, 3), one array a row of the track."""
        ...


class TemplateFigure:
    """A template, moved by offsets of its vertices."""

    colours: np.ndarray | None = None
    shine: np.ndarray | None = None

    def __init__(self, template: Template) -> None:
        """Raises `MeshError` for a template without triangles."""
        if template.faces is None or len(template.faces) == 0:
            raise MeshError(
                f"The template {template.source} has points but no triangles to draw; give the mesh of its "
                "topology as a .ply or .obj file."
            )
        self.vertices = np.asarray(template.vertices, np.float32)
        self.faces = np.asarray(template.faces)
        self.accepts = frozenset({vertex_space(len(self.vertices)).name})
        self.postures = (self.vertices,)
        self._source = template.source

    def poses(self, track: MotionTrack) -> Iterator[np.ndarray]:
        """Raises `TrackError` for a motion of other than this template's vertices."""
        if track.space.dim != self.vertices.size or track.space.name not in self.accepts:
            raise TrackError(
                f"This motion is in the {track.space.name} space, which does not move the {len(self.vertices):,} "
                f"vertices of {self._source}; choose the template that it was made for."
            )
        for row in track.data:
            yield self.vertices + np.asarray(row).reshape(-1, 3)


class MeshRenderer:
    """Renders one mesh; the camera and the lights stand still."""

    has_alpha = False

    def __init__(
        self, figure: Template | Figure, *, size: int | tuple[int, int] = 512, workers: int | None = None
    ) -> None:
        """figure: a template, or whatever else has vertices that move. size: px, the side of a square or width
        and height. workers: threads that render frames, default one a processor.

        Raises `MeshError` for points without triangles, or a frame of impossible size.
        """
        self._figure: Figure = TemplateFigure(figure) if isinstance(figure, Template) else figure
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        if not all(SMALLEST <= side <= LARGEST for side in self.size):
            raise MeshError(f"A frame is {SMALLEST} to {LARGEST} pixels wide and high, not {self.size}.")
        self.accepts = self._figure.accepts
        self.region = (0, 0, *self.size)
        self._workers = max(1, workers or os.cpu_count() or 1)
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

    def render(
        self, track: MotionTrack, *, check: Callable[[], None] | None = None
    ) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3), one a row of the track, in order; some are drawn ahead, so memory does not grow.

        check: called between frames; whatever it raises ends the rendering. Raises `TrackError` for a track of
        another space.
        """
        poses = self._figure.poses(track)
        if self._workers == 1:
            for vertices in poses:
                if check is not None:
                    check()
                yield self._picture.draw(vertices)
            return
        with ThreadPoolExecutor(self._workers, "mesh") as pool:
            ahead: deque[Future[np.ndarray]] = deque()
            try:
                for vertices in poses:
                    if check is not None:
                        check()
                    ahead.append(pool.submit(self._picture.draw, vertices))
                    if len(ahead) >= WINDOW_PER_WORKER * self._workers:
                        yield ahead.popleft().result()
                while ahead:
                    if check is not None:
                        check()
                    yield ahead.popleft().result()
            finally:
                for waiting in ahead:
                    waiting.cancel()
