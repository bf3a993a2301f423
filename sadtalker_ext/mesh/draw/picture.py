"""Turns a mesh's vertices into one shaded, smooth-edged picture of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..normals import Normals
from .camera import Camera
from .lighting import Screen, background, light_table, table_place
from .raster import ROWS, Samples, Triangles
from .surface import Closed, check_layers, faces_viewer, light_reaching

BAND_PX = 1 << 15  # pixels that are drawn at once: what keeps memory small, and in the processor's cache
POCKET_LIGHT = 0.04  # share of the light that reaches what is behind an opening
BACK_LIGHT = 0.10  # share of the light on back sides, which are the inside of a head
CLAY = (0.58, 0.50, 0.44)  # linear colour of a mesh that has none
CLAY_SHINE = 0.55


class Picture:
    """Draws one mesh as it moves; all that depends on the mesh at rest is computed once.

    size: width and height in px.
    """

    def __init__(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        size: tuple[int, int],
        *,
        colours: np.ndarray | None = None,
        shine: np.ndarray | None = None,
        postures: Sequence[np.ndarray] = (),
    ) -> None:
        """vertices: (V, 3) at rest, y up, z towards the viewer. faces: (F, 3). colours: linear (V, 3) 0..1.
        shine: (V,) 0..1, how much of the highlights a surface shows. postures: vertices (V, 3) in which light
        is measured; each vertex gets the most of these (default: at rest alone)."""
        width, height = self.size = size
        vertices, faces = np.asarray(vertices, np.float32), np.asarray(faces, np.intp)
        check_layers(vertices, faces)
        if not faces_viewer(vertices, faces):
            faces = np.ascontiguousarray(faces[:, ::-1])
        self._closed = Closed.of(vertices, faces)
        self._corners = np.ascontiguousarray(self._closed.faces.T)
        self._camera = Camera.before(vertices, size, bust=self._closed.open_below)
        self._normals = Normals(vertices, faces)
        light = np.max(
            [light_reaching(pose, faces, self._normals.of(pose)) for pose in postures or (vertices,)], axis=0
        )
        light = np.concatenate([light, np.full(self._closed.added, POCKET_LIGHT, np.float32)])
        # A mesh of one colour carries the light alone; its colour is in the table.
        table = light_table()
        if colours is None and shine is None:
            self._table = table[:3] * np.array(CLAY, np.float32)[:, None] + CLAY_SHINE * table[3]
            self._material = light[None]
        else:
            self._table = table
            self._material = self._coloured(light, colours, shine)
        self._background = background(width, height)
        self._screen = Screen(width, height)
        self._band = min(height, max(1, BAND_PX // width))
        self._samples = Samples(width, self._band)

    def _coloured(
        self, light: np.ndarray, colours: np.ndarray | None, shine: np.ndarray | None
    ) -> np.ndarray:
        """(4, V) red, green, blue and shine of each vertex, in the light that reaches it."""
        material = np.empty((4, len(light)), np.float32)
        material[:3], material[3] = np.array(CLAY)[:, None], CLAY_SHINE
        if colours is not None:
            material[:3, : len(colours)] = colours.T
        if shine is not None:
            material[3, : len(shine)] = shine
        return material * light

    def draw(self, vertices: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) sRGB of the mesh with its vertices at (V, 3)."""
        width, height = self.size
        whole = self._closed.moved(np.asarray(vertices, np.float32))
        normals = np.zeros_like(whole)
        normals[:, 2] = 1
        normals[: len(vertices)] = self._normals.of(vertices)
        triangles = Triangles.of(self._camera.project(whole), self._corners)
        corner = np.empty((3, 2 + len(self._material), self._corners.shape[1]), np.float32)
        for number, values in enumerate((normals[:, 0], normals[:, 1], *self._material)):
            corner[:, number] = values.take(self._corners)
        corner[:, 2:] *= np.where(triangles.area > 0, np.float32(BACK_LIGHT), np.float32(1))
        corner[:, :2] *= np.where(triangles.area > 0, np.float32(-1), np.float32(1))
        frame = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, self._band):
            frame[top : top + self._band] = self._draw_band(triangles, corner, top)
        return frame

    def _draw_band(self, triangles: Triangles, corner: np.ndarray, top: int) -> np.ndarray:
        rows = min(self._band, self.size[1] - top)
        part = self._background[top : top + rows]
        here = triangles.drawn & (triangles.y.max(0) > top) & (triangles.y.min(0) < top + rows)
        which = np.flatnonzero(here)
        if len(which) == 0:
            return self._screen.encode(part, top)
        shifted = triangles.chosen(which, top)
        hits = self._samples.seen(shifted)
        x, y, *material = hits.values(shifted, corner.take(which, 2))
        place = table_place(x, y)
        glow = material[3] * self._table[3].take(place) if len(material) == 4 else np.float32(0)
        samples = self._samples
        covered = np.zeros(samples.stride * samples.height_rows, np.float32)
        covered[hits.sample] = 1
        left = 1 - self._mean(covered, rows)
        light = np.empty((rows, self.size[0], 3), np.float32)
        for number in range(3):
            covered[hits.sample] = material[number % len(material)] * self._table[number].take(place) + glow
            light[..., number] = self._mean(covered, rows) + part[..., number] * left
        return self._screen.encode(light, top)

    def _mean(self, values: np.ndarray, rows: int) -> np.ndarray:
        """(rows, W): the mean over each pixel's samples."""
        rows_of = values.reshape(-1, ROWS, self._samples.stride)
        total = sum(rows_of[:rows, number, : self.size[0]] for number in range(ROWS))
        return np.asarray(total) * np.float32(1 / ROWS)
