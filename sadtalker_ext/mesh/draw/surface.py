"""A mesh as a surface to be looked at: normals, openings closed behind, and where light hardly gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import MeshError
from .camera import Camera
from .raster import Samples, Triangles

CAP_DEPTH = 0.5  # of an opening's size, how far behind it is closed
DIRECTIONS = 40  # from which light comes when it is measured where it gets
LIGHT_PX = 64  # side of the pictures from these directions
LIGHT_BIAS = 0.03  # of the mesh's size, nearer than which a surface does not shade another
LEAST_LIGHT = 0.18  # of the light, in the deepest fold
# Surfaces that may lie behind one another, on the average. A head has 2 or 3; drawing takes memory for all.
MOST_LAYERS = 40


def check_layers(vertices: np.ndarray, faces: np.ndarray) -> None:
    """Raises `MeshError` for a mesh (V, 3), (F, 3) whose triangles cover each other too many times.

    A small file can hold a million of them, each as large as the picture.
    """
    middle = (vertices.max(0) + vertices.min(0)) / 2
    radius = float(np.linalg.norm(vertices - middle, axis=1).max())
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    surface = float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
    seen = Triangles.of(Camera.before(vertices, (LIGHT_PX, LIGHT_PX)).project(vertices), faces.T)
    covered = float(np.abs(seen.area[seen.drawn]).sum(dtype=np.float64) / 2)
    if surface > MOST_LAYERS * np.pi * radius**2 or covered > MOST_LAYERS * LIGHT_PX**2:
        raise MeshError(
            "The triangles of this mesh cover each other too many times to be drawn; give a head as a simple "
            "surface."
        )


def boundary_loops(faces: np.ndarray) -> list[np.ndarray]:
    """Closed chains of vertices around the openings of a mesh, the longest first.

    Chains that meet themselves are left out, as are those of fewer than three vertices.
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    edges = edges[edges[:, 0] != edges[:, 1]]
    top = int(edges.max(initial=0)) + 1
    forth, back = edges[:, 0] * top + edges[:, 1], edges[:, 1] * top + edges[:, 0]
    open_edges = edges[~np.isin(forth, back)]
    follows: dict[int, int] = {}
    crossed: set[int] = set()
    for start, end in open_edges.tolist():
        if start in follows:
            crossed.add(start)
        follows[start] = end
    loops, used = [], set(crossed)
    for start in follows:
        chain, at = [], start
        while at not in used and at in follows:
            used.add(at)
            chain.append(at)
            at = follows[at]
        if len(chain) > 2 and at == start:
            loops.append(np.array(chain))
    return sorted(loops, key=len, reverse=True)


@dataclass(frozen=True, eq=False)
class Closed:
    """A mesh whose openings, but for the outer border, end in a dark pocket.

    faces: (F + G, 3), the added ones last. rims: (R,) vertices that are repeated behind the mesh's own.
    pockets: for each opening its rim's vertices and the way from their middle to the pocket's bottom.
    open_below: the outer border is at the lower end, as that of a bust.
    """

    vertices: int
    faces: np.ndarray
    rims: np.ndarray
    pockets: tuple[tuple[np.ndarray, np.ndarray], ...]
    open_below: bool

    @classmethod
    def of(cls, vertices: np.ndarray, faces: np.ndarray) -> Closed:
        """Closes the openings of a mesh (V, 3), (F, 3) that looks along z.

        Pieces that do not hang together with the one of the outer border, such as eyeballs, stay as they are.
        """
        loops = boundary_loops(faces)
        extents = [float(np.linalg.norm(np.ptp(vertices[loop], axis=0))) for loop in loops]
        if not loops:
            return cls(len(vertices), faces, np.zeros(0, np.intp), (), False)
        outer = int(np.argmax(extents))
        low, high = vertices[:, 1].min(), vertices[:, 1].max()
        border = vertices[loops[outer], 1]
        open_below = bool(border.max() < low + 0.4 * (high - low))
        whole = _pieces(len(vertices), faces)
        others = (loop for number, loop in enumerate(loops) if number != outer)
        inner = [loop for loop in others if whole[loop[0]] == whole[loops[outer][0]]]
        rims, pockets, added, count = [], [], [], len(vertices)
        bottoms = count + sum(map(len, inner))
        for number, loop in enumerate(inner):
            own = np.arange(count, count + len(loop))
            count += len(loop)
            # The loop follows the triangles around it, so the pocket's run the other way.
            added.append(np.stack([np.roll(own, -1), own, np.full(len(loop), bottoms + number)], 1))
            size = float(np.linalg.norm(np.ptp(vertices[loop], axis=0)))
            rims.append(loop)
            pockets.append((loop, np.array([0, 0, -CAP_DEPTH * size], np.float32)))
        return cls(
            len(vertices),
            np.concatenate([faces, *added]) if added else faces,
            np.concatenate(rims) if rims else np.zeros(0, np.intp),
            tuple(pockets),
            open_below,
        )

    @property
    def added(self) -> int:
        """Vertices that the pockets add."""
        return len(self.rims) + len(self.pockets)

    def moved(self, vertices: np.ndarray) -> np.ndarray:
        """The mesh's vertices (V, 3) and those of the pockets behind them."""
        if not self.added:
            return vertices
        bottoms = [vertices[loop].mean(0) + way for loop, way in self.pockets]
        return np.concatenate([vertices, vertices[self.rims], bottoms]).astype(np.float32)


def _pieces(count: int, faces: np.ndarray) -> np.ndarray:
    """(count,) for each vertex the lowest number among those that it hangs together with."""
    label = np.arange(count)
    while True:
        least = label[faces].min(1)
        joined = label.copy()
        np.minimum.at(joined, faces.reshape(-1), np.repeat(least, 3))
        joined = joined[joined]
        if (joined == label).all():
            return label
        label = joined


def faces_viewer(vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Whether the triangles seen from the front turn their fronts there, as counter-clockwise ones do."""
    triangles = Triangles.of(Camera.before(vertices, (LIGHT_PX, LIGHT_PX)).project(vertices), faces.T)
    hits = Samples(LIGHT_PX, LIGHT_PX).seen(triangles)
    front = triangles.area[hits.rows.face[hits.row]] < 0
    return len(front) == 0 or bool(front.mean() >= 0.5)


def light_reaching(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Share of the light of all directions, float32 (V,) in `LEAST_LIGHT`..1, that reaches each vertex.

    Measured by looking at the mesh from all around (Zhukov et al. 1998, ambient occlusion).
    """
    middle = (vertices.max(0) + vertices.min(0)) / 2
    radius = float(np.linalg.norm(vertices - middle, axis=1).max()) or 1.0
    samples = Samples(LIGHT_PX, LIGHT_PX)
    got, possible = np.zeros(len(vertices)), np.full(len(vertices), 1e-6)
    for direction in _directions(DIRECTIONS):
        facing = normals @ direction
        across = np.cross([0.0, 1.0, 0.0] if abs(direction[1]) < 0.9 else [1.0, 0.0, 0.0], direction)
        across /= np.linalg.norm(across)
        turn = np.stack([across, np.cross(direction, across), direction], 1)
        seen = (vertices - middle) @ turn / radius
        points = np.stack(
            [(1 + seen[:, 0]) * LIGHT_PX / 2, (1 - seen[:, 1]) * LIGHT_PX / 2, -seen[:, 2]]
        ).astype(np.float32)
        nearest = _depths(samples, Triangles.of(points, faces.T))
        column = np.clip(points[0], 0, LIGHT_PX - 1).astype(int)
        row = np.clip(points[1], 0, LIGHT_PX - 1).astype(int)
        lit = points[2] < nearest[row, column] + LIGHT_BIAS
        weight = np.maximum(facing, 0)
        got += weight * lit
        possible += weight
    return np.clip(got / possible, LEAST_LIGHT, 1).astype(np.float32)


def _depths(samples: Samples, triangles: Triangles) -> np.ndarray:
    """Depth (H, W) of the farthest of each pixel's samples; infinite where any of them is empty."""
    hits = samples.seen(triangles)
    depth = np.full(samples.stride * samples.height_rows, np.inf, np.float32)
    depth[hits.sample] = hits.values(triangles, triangles.depth[:, None])[0]
    return depth.reshape(samples.height, -1, samples.stride).max(1)


def _directions(count: int) -> np.ndarray:
    """Unit vectors (about count, 3), evenly spread over where a face is lit from: before and above."""
    number = np.arange(4 * count) + 0.5
    y = 1 - 2 * number / len(number)
    around = np.pi * (1 + 5**0.5) * number
    ring = np.sqrt(1 - y * y)
    points = np.stack([ring * np.cos(around), y, ring * np.sin(around)], 1)
    return points[(points @ [0.0, 0.5, 0.87]) > 0][: 2 * count : 2] if count else points
