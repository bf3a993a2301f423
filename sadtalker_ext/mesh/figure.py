"""What a motion track moves: a mesh at rest, and its vertices frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ..errors import MeshError, Place, TrackError
from ..tracks import MotionTrack, vertex_space
from .template import Template


class Figure(Protocol):
    """A mesh that a motion track moves.

    accepts: names of the motion spaces that it understands. vertices: float32 (V, 3) at rest, y up, z towards
    the viewer. faces: (F, 3). colours: linear light (V, 3), or None. shine: (V,) 0..1, or None. postures:
    vertices in the poses in which it is seen where light gets, so that the inside of a mouth is not black.
    """

    @property
    def accepts(self) -> frozenset[str]: ...
    @property
    def vertices(self) -> np.ndarray: ...
    @property
    def faces(self) -> np.ndarray: ...
    @property
    def colours(self) -> np.ndarray | None: ...
    @property
    def shine(self) -> np.ndarray | None: ...
    @property
    def postures(self) -> tuple[np.ndarray, ...]: ...

    def poses(self, track: MotionTrack) -> Iterator[np.ndarray]:
        """Vertices float32 (V, 3), one array a row of the track; `TrackError` for a space not accepted."""


class TemplateFigure:
    """A template, moved by offsets of its vertices."""

    colours: np.ndarray | None = None
    shine: np.ndarray | None = None

    def __init__(self, template: Template) -> None:
        """Raises `MeshError` for a template without triangles."""
        if template.faces is None or len(template.faces) == 0:
            raise MeshError(
                "The template {path} has points but no triangles to draw; give the mesh of its topology as a "
                ".ply or .obj file.",
                Place(template.source),
            )
        self.vertices = np.asarray(template.vertices, np.float32)
        self.faces = np.asarray(template.faces)
        self.accepts = frozenset({vertex_space(len(self.vertices)).name})
        self.postures = (self.vertices,)
        self._source = template.source

    def poses(self, track: MotionTrack) -> Iterator[np.ndarray]:
        """Vertices float32 (V, 3), one array a row; `TrackError` for a motion of another mesh's vertices."""
        if track.space.dim != self.vertices.size:
            raise TrackError(
                "This motion is in the {space} space, which does not move the {count:,} vertices of {path}; "
                "choose the template it was made for.",
                Place(self._source),
                space=track.space.name,
                count=len(self.vertices),
            )
        for row in track.data:
            yield self.vertices + np.asarray(row).reshape(-1, 3)
