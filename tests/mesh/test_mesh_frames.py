"""Meshes become smooth-edged, shaded pictures without holes, by a camera that stands still."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from sadtalker_ext.errors import Cancelled, MeshError, TrackError
from sadtalker_ext.mesh import Template
from sadtalker_ext.mesh.draw import MeshRenderer
from sadtalker_ext.mesh.draw.picture import Picture
from sadtalker_ext.mesh.draw.raster import ROWS, Samples, Triangles
from sadtalker_ext.mesh.draw.surface import boundary_loops
from sadtalker_ext.tracks import MotionTrack, vertex_space


def sphere(rings: int = 24, around: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere, triangles counter-clockwise from outside."""
    a = np.linspace(0, np.pi, rings + 1)[1:-1]
    t = np.arange(around) / around * 2 * np.pi
    ring = np.stack(
        [
            np.outer(np.sin(a), np.sin(t)),
            np.outer(np.cos(a), np.ones(around)),
            np.outer(np.sin(a), np.cos(t)),
        ],
        2,
    )
    vertices = np.concatenate([[[0, 1, 0]], ring.reshape(-1, 3), [[0, -1, 0]]])
    faces = [(0, 1 + k, 1 + (k + 1) % around) for k in range(around)]
    for r in range(rings - 2):
        for k in range(around):
            one, two = 1 + r * around + k, 1 + r * around + (k + 1) % around
            faces += [(one, one + around, two), (two, one + around, two + around)]
    last, first = len(vertices) - 1, 1 + (rings - 2) * around
    faces += [(last, first + (k + 1) % around, first + k) for k in range(around)]
    return vertices.astype(np.float32), np.array(faces, np.int32)


def plate(cells: int = 6, hole: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A square plate in x and y, with its middle left out if asked."""
    axis = np.linspace(-1, 1, cells + 1)
    x, y = np.meshgrid(axis, axis)
    vertices = np.stack([x, y, np.zeros_like(x)], 2).reshape(-1, 3).astype(np.float32)
    faces = []
    for r in range(cells):
        for c in range(cells):
            if hole and {r, c} <= {cells // 2 - 1, cells // 2}:
                continue
            a, b = r * (cells + 1) + c, (r + 1) * (cells + 1) + c
            faces += [(a, a + 1, b), (b, a + 1, b + 1)]
    return vertices, np.array(faces, np.int32)


def still(template: Template, frames: int = 1) -> MotionTrack:
    return MotionTrack.rest(frames, 25, vertex_space(len(template.vertices)))


def seen(points: np.ndarray, faces: np.ndarray, size: int = 64) -> tuple[Samples, object]:
    samples = Samples(size, size)
    return samples, samples.seen(Triangles.of(points.T.astype(np.float32), np.asarray(faces, np.intp).T))


# --- which triangle is seen where


def test_neighbours_leave_no_gap_and_share_no_sample():
    rng = np.random.default_rng(3)
    vertices, faces = plate(9)
    inner = (np.abs(vertices[:, :2]) < 0.99).all(1)
    vertices[inner, :2] += rng.normal(0, 0.03, (int(inner.sum()), 2))
    points = np.stack([(vertices[:, 0] + 1) * 32, (1 - vertices[:, 1]) * 32, rng.random(len(vertices))], 1)
    _, hits = seen(points, faces)
    assert len(hits.sample) == 64 * 64 * ROWS
    assert len(np.unique(hits.sample)) == len(hits.sample)
    # Drawn one by one, the triangles cover as many samples together: none is counted twice.
    alone = sum(len(seen(points, face[None])[1].sample) for face in faces)
    assert alone == 64 * 64 * ROWS


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_side_of_crossing_triangles_is_seen(order):
    points = np.array([[0, 0, 1], [0, 64, 1], [64, 32, 1], [0, 0, 0], [0, 64, 0], [64, 32, 2]], float)
    faces = np.array([[0, 1, 2], [3, 4, 5]])[order]
    samples, hits = seen(points, faces)
    x = hits.sample % samples.stride
    which = np.array(order)[hits.rows.face[hits.row]]
    assert (which[x < 31] == 1).all()
    assert (which[x > 33] == 0).all()


def test_values_between_corners_are_straight_lines():
    points = np.array([[5, 5, 1], [9, 55, 1], [60, 21, 1]], float)
    samples, hits = seen(points, np.array([[0, 1, 2]]))
    triangles = Triangles.of(points.T.astype(np.float32), np.array([[0], [1], [2]]))
    corners = points[:, :2, None].astype(np.float32)  # x and y themselves
    x, y = hits.values(triangles, corners)
    row = hits.sample // samples.stride
    assert np.allclose(y, (row + 0.5) / ROWS, atol=1e-3)
    assert np.abs(x - (hits.sample % samples.stride + 0.5)).max() < 0.5


def test_flat_infinite_and_far_triangles_are_nowhere():
    points = np.array(
        [[5, 5, 1], [9, 55, 1], [60, 21, 1], [np.nan, 3, 1], [3, np.inf, 1], [1e9, 1e9, 1], [20, 20, 1]],
        float,
    )
    faces = np.array([[0, 1, 2], [0, 1, 3], [0, 4, 2], [0, 5, 2], [6, 6, 6], [0, 0, 1]])
    _, hits = seen(points, faces)
    assert set(hits.rows.face[hits.row].tolist()) == {0}


def test_what_is_hidden_is_hidden_at_any_depth_of_tiles():
    # A near plate of fronts before a far one of backs, which looks through a slit between columns.
    vertices, faces = plate(16)
    points = np.stack([(vertices[:, 0] + 1) * 64, (1 - vertices[:, 1]) * 64, np.ones(len(vertices))], 1)
    columns = np.arange(len(faces)) // 2 % 16
    near = faces[columns != 7]
    far = points + np.array([0, 0, 5])
    samples, hits = seen(
        np.concatenate([points, far]), np.concatenate([near, faces[:, ::-1] + len(points)]), 128
    )
    assert len(hits.sample) == 128 * 128 * ROWS
    x = hits.sample % samples.stride
    behind = hits.rows.face[hits.row] >= len(near)
    assert (behind == ((x >= 56) & (x < 64))).all()


# --- pictures


def test_a_sphere_is_round_smooth_and_centred():
    vertices, faces = sphere(48, 64)
    picture = Picture(vertices, faces, (128, 128))
    frame = picture.draw(vertices).astype(float)
    empty = Picture(vertices, faces, (128, 128)).draw(vertices + np.float32(1e4)).astype(float)
    share = np.abs(frame - empty).max(2) > 3
    radius = np.sqrt(share.sum() / np.pi)
    # The margins are 6 % on every side.
    assert abs(radius - 64 * 0.88) < 1.5
    rows, columns = np.nonzero(share)
    assert abs(rows.mean() - 63.5) < 0.6
    assert abs(columns.mean() - 63.5) < 0.6
    assert (share == share[:, ::-1]).mean() > 0.99


def test_edges_are_smooth():
    vertices, faces = plate(2)
    angle = np.radians(7)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    vertices = (vertices @ turn.T).astype(np.float32)
    samples = Samples(64, 64)
    points = np.stack([32 + vertices[:, 0] * 20, 32 - vertices[:, 1] * 20, np.ones(len(vertices))])
    hits = samples.seen(Triangles.of(points.astype(np.float32), np.asarray(faces, np.intp).T))
    covered = np.zeros(samples.stride * samples.height_rows)
    covered[hits.sample] = 1
    share = covered.reshape(64, ROWS, 64).mean(1)
    assert abs(share.sum() - 40 * 40) < 8  # square px
    partly = share[(share > 0) & (share < 1)]
    assert set(np.unique(partly)) == {0.25, 0.5, 0.75}
    # An upright edge and a lying one are equally smooth.
    rows, columns = share[26:38, :].reshape(-1), share[:, 26:38].reshape(-1)
    assert abs(((rows > 0) & (rows < 1)).sum() - ((columns > 0) & (columns < 1)).sum()) <= 8


def test_normals_are_smooth_and_light_comes_from_above():
    vertices, faces = sphere()
    frame = Picture(vertices, faces, (96, 96)).draw(vertices).astype(float).mean(2)
    upper, lower = frame[25:35, 40:56].mean(), frame[66:76, 40:56].mean()
    assert upper > lower + 15
    # No step between neighbouring triangles: the shade bends less than it falls.
    line = frame[30:70, 48]
    assert np.abs(np.diff(line, 2)).max() < 6


def test_the_inside_is_dark():
    vertices, faces = sphere()
    open_half = faces[(vertices[faces, 2] < 0.1).all(1)]  # the far half: its inside is seen
    whole = Picture(vertices, faces, (64, 64)).draw(vertices)
    picture = Picture(vertices, faces, (64, 64))
    picture._corners = np.ascontiguousarray(open_half.T).astype(np.intp)
    inside = picture.draw(vertices)
    assert inside[28:36, 28:36].mean() < 0.5 * whole[28:36, 28:36].mean()


def test_openings_end_in_the_dark():
    vertices, faces = plate(8, hole=True)
    assert [len(loop) for loop in boundary_loops(faces)] == [32, 8]
    frame = Picture(vertices, faces, (64, 64)).draw(vertices)
    assert frame[30:34, 30:34].max() < 60
    assert frame[:4].min() > 120  # the background
    assert frame[18:20, 18:20].min() > 90  # the plate


def test_clockwise_meshes_are_turned():
    vertices, faces = sphere()
    one = Picture(vertices, faces, (48, 48)).draw(vertices)
    two = Picture(vertices, faces[:, ::-1], (48, 48)).draw(vertices)
    assert np.abs(one.astype(int) - two).max() <= 1


def test_broken_vertices_leave_the_rest_as_it_is():
    vertices, faces = sphere()
    picture = Picture(vertices, faces, (64, 64))
    whole = picture.draw(vertices)
    broken = vertices.copy()
    broken[0] = np.nan
    broken[1] = 1e30
    frame = picture.draw(broken)
    assert (frame[40:] == whole[40:]).all()


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (70, 17), (1100, 40), 800])
def test_any_size(size):
    vertices, faces = sphere(10, 12)
    template = Template("ball", vertices, faces, "ball.obj")
    renderer = MeshRenderer(template, size=size, workers=1)
    (frame,) = renderer.render(still(template))
    width, height = renderer.size
    assert frame.shape == (height, width, 3)
    assert frame.dtype == np.uint8
    middle = frame[height // 2, width // 2].astype(int)
    assert np.abs(middle - frame[0, 0]).max() > 20
    # No seam where the bands of which large frames consist meet.
    column = frame[height // 3 : height // 2, width // 2].astype(int)
    assert np.abs(np.diff(column, axis=0)).max() < 40


# --- the renderer


def test_the_camera_stands_still():
    vertices, faces = sphere()
    template = Template("ball", vertices, faces, "ball.obj")
    data = np.zeros((2, len(vertices), 3), np.float32)
    low = vertices[:, 1] < -0.6
    data[1, low, 1] = -0.1
    renderer = MeshRenderer(template, size=96, workers=1)
    one, two = renderer.render(MotionTrack(vertex_space(len(vertices)), 25, data.reshape(2, -1)))
    assert (one[:48] == two[:48]).all()
    assert (one[70:] != two[70:]).any()


def test_threads_change_nothing_and_frames_come_in_order():
    vertices, faces = sphere(8, 10)
    template = Template("ball", vertices, faces, "ball.obj")
    data = np.zeros((9, len(vertices), 3), np.float32)
    data[:, :, 0] = np.linspace(0, 0.5, 9)[:, None]
    track = MotionTrack(vertex_space(len(vertices)), 25, data.reshape(9, -1))
    alone = list(MeshRenderer(template, size=32, workers=1).render(track))
    many = list(MeshRenderer(template, size=32, workers=3).render(track))
    assert all((a == b).all() for a, b in zip(alone, many, strict=True))
    assert MeshRenderer(template, size=32).opening(track) is None


def test_frames_are_not_drawn_far_ahead():
    vertices, faces = sphere(8, 10)
    template = Template("ball", vertices, faces, "ball.obj")
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1

    frames = MeshRenderer(template, size=16, workers=2).render(still(template, 500), check=check)
    assert len(list(islice(frames, 3))) == 3
    frames.close()
    assert asked <= 8


@pytest.mark.parametrize("workers", [1, 2])
def test_cancelling_ends_the_rendering(workers):
    vertices, faces = sphere(8, 10)
    template = Template("ball", vertices, faces, "ball.obj")
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(MeshRenderer(template, size=16, workers=workers).render(still(template, 50), check=check))
    assert calls == 6


def test_points_without_triangles_are_refused():
    with pytest.raises(MeshError, match=r"no triangles.*\.ply or \.obj"):
        MeshRenderer(Template("x", np.zeros((5, 3), np.float32), None, "templates.pkl"))


def test_motion_of_another_mesh_is_refused():
    vertices, faces = sphere(8, 10)
    renderer = MeshRenderer(Template("ball", vertices, faces, "ball.obj"), size=16)
    with pytest.raises(TrackError, match=r"ball\.obj"):
        next(renderer.render(MotionTrack.rest(1, 25, vertex_space(7))))


@pytest.mark.parametrize("size", [0, 8, 100_000, (64, 4)])
def test_impossible_sizes_are_refused(size):
    vertices, faces = sphere(8, 10)
    with pytest.raises(MeshError, match="pixels"):
        MeshRenderer(Template("ball", vertices, faces, "ball.obj"), size=size)


@pytest.mark.parametrize("deep", [False, True])
def test_many_triangles_as_large_as_the_picture_are_refused(deep: bool) -> None:
    """A small file with a million of them would fill the memory."""
    copies = 3000
    one = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float32)
    vertices = np.tile(one, (copies, 1))
    if deep:  # a far corner makes them small beside the whole mesh, but not in the picture
        vertices = np.concatenate([vertices, [[0, 0, -1000]]]).astype(np.float32)
    faces = np.arange(3 * copies, dtype=np.int32).reshape(-1, 3)
    with pytest.raises(MeshError, match="cover each other"):
        MeshRenderer(Template("pile", vertices, faces, "pile.obj"), size=64)
