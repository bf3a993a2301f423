"""How fast meshes are drawn and exported, and what VTK's software rendering would need instead.

    python benchmarks/mesh.py [--sizes 256 512 1024] [--workers 1 2] [--exports] [--vtk PYTHON]

Draws heads of 5,023 vertices (as many as FLAME's), of 23,370 (BIWI's) and the neutral head while their
vertices move; prints frames a second, and seconds of processor time and of the clock a frame. `--vtk` gives a
Python that has the package vtk: the same meshes are drawn by it, without a display.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FRAMES = 40
HEADS = {"5,023 vertices": (66, 76), "23,370 vertices": (152, 154)}  # rings, vertices a ring
SWAY = 0.004  # of the head's size that vertices move


def ball(rings: int, around: int) -> tuple[np.ndarray, np.ndarray]:
    """A closed, lumpy ball of rings * around + 2 or so vertices: (V, 3), (F, 3)."""
    a = np.linspace(0, np.pi, rings + 2)[1:-1]
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
    vertices *= 1 + 0.05 * np.sin(7 * vertices[:, :1]) * np.cos(5 * vertices[:, 1:2])
    vertices *= [0.75, 1.0, 0.85]
    faces = [(0, 1 + k, 1 + (k + 1) % around) for k in range(around)]
    for r in range(rings - 1):
        for k in range(around):
            one, two = 1 + r * around + k, 1 + r * around + (k + 1) % around
            faces += [(one, one + around, two), (two, one + around, two + around)]
    last, first = len(vertices) - 1, 1 + (rings - 1) * around
    faces += [(last, first + (k + 1) % around, first + k) for k in range(around)]
    return vertices.astype(np.float32), np.array(faces, np.int32)


def moving(vertices: np.ndarray, frames: int) -> Iterator[np.ndarray]:
    for number in range(frames):
        yield vertices + np.float32(SWAY * np.sin(number)) * vertices[:, ::-1]


def measure_own(sizes: list[int], workers: list[int]) -> None:
    from sadtalker_ext.mesh import Template
    from sadtalker_ext.mesh.draw import MeshRenderer
    from sadtalker_ext.mesh.neutral import neutral_head
    from sadtalker_ext.tracks import ARKIT, MotionTrack, vertex_space

    head = f"{'own, numpy':<18} {'size':>5} {'threads':>7} {'ready s':>8} {'cpu ms':>7} {'ms':>7}"
    print(f"{head} {'frames/s':>9}")
    for name in [*HEADS, "neutral head"]:
        if name in HEADS:
            vertices, faces = ball(*HEADS[name])
            figure = Template(name, vertices, faces, name)
            rows = np.stack([(moved - vertices).reshape(-1) for moved in moving(vertices, FRAMES)])
            track = MotionTrack(vertex_space(len(vertices)), 25, rows)
        else:
            figure = neutral_head()
            rng = np.random.default_rng(0)
            data = np.zeros((FRAMES, ARKIT.dim), np.float32)
            data[:, :52] = rng.random((FRAMES, 52)) * 0.3
            track = MotionTrack(ARKIT, 25, data)
        for size in sizes:
            for count in workers:
                start = time.perf_counter()
                renderer = MeshRenderer(figure, size=size, workers=count)
                ready = time.perf_counter() - start
                next(renderer.render(track)).sum()
                best = (np.inf, np.inf)
                for _ in range(3):
                    start, processor = time.perf_counter(), time.process_time()
                    for _frame in renderer.render(track):
                        pass
                    best = min(best, (time.perf_counter() - start, time.process_time() - processor))
                wall, cpu = best[0] / FRAMES, best[1] / FRAMES
                print(
                    f"{name:<18} {size:>5} {count:>7} {ready:>8.2f} {cpu * 1e3:>7.1f} {wall * 1e3:>7.1f} "
                    f"{1 / wall:>9.1f}"
                )


def measure_exports() -> None:
    from sadtalker_ext.mesh import Template
    from sadtalker_ext.mesh.export import export_track
    from sadtalker_ext.tracks import MotionTrack, vertex_space

    vertices, faces = ball(*HEADS["5,023 vertices"])
    rng = np.random.default_rng(0)
    time_s = np.arange(300) / 30
    waves = np.sin(time_s[:, None] * rng.uniform(2, 25, 40) + rng.uniform(0, 6, 40)) / (1 + np.arange(40))
    near = np.exp(
        -((vertices[None] - vertices[rng.integers(len(vertices), size=40)][:, None]) ** 2).sum(2) / 0.02
    )
    shapes = (near[:, :, None] * rng.normal(0, 0.02, (40, 1, 3))).reshape(40, -1)
    track = MotionTrack(vertex_space(len(vertices)), 30, (waves @ shapes).astype(np.float32))
    template = Template("head", vertices, faces, "head")
    print(f"\n{'10 s of 5,023':<14} {'seconds':>8} {'MB':>7}  shapes, largest error in widths of the head")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.glb", "a.npy", "a_obj/", "a_ply/"):
            start = time.perf_counter()
            made = export_track(track, f"{folder}/{name}", template=template)
            spent = time.perf_counter() - start
            files = [made.path] if made.path.is_file() else list(made.path.iterdir())
            size = sum(file.stat().st_size for file in files) / 1e6
            print(f"{name:<14} {spent:>8.2f} {size:>7.1f}  {made.shapes or ''} {made.largest_error or '':.2}")


def measure_vtk(python: str, sizes: list[int]) -> None:
    print(f"\n{'VTK, software':<18} {'size':>5} {'cpu ms':>7} {'ms':>7} {'frames/s':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for name, shape in HEADS.items():
            vertices, faces = ball(*shape)
            path = Path(folder) / "mesh.npz"
            np.savez(path, vertices=vertices, faces=faces)
            for size in sizes:
                done = subprocess.run(
                    [python, __file__, "--draw-by-vtk", str(path), "--sizes", str(size)],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                line = done.stdout.strip().splitlines()[-1:] or [f"failed, exit code {done.returncode}"]
                print(f"{name:<18} {size:>5} {line[0]}")


def draw_by_vtk(path: str, size: int) -> None:
    """Runs in the Python that has vtk; prints processor and clock milliseconds a frame."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy

    mesh = np.load(path)
    vertices, faces = mesh["vertices"], mesh["faces"].astype(np.int64)
    poly, cells, points = vtk.vtkPolyData(), vtk.vtkCellArray(), vtk.vtkPoints()
    corners = np.column_stack([np.full(len(faces), 3), faces]).reshape(-1)
    cells.SetCells(len(faces), numpy_to_vtkIdTypeArray(corners, deep=1))
    points.SetData(numpy_to_vtk(vertices, deep=1))
    poly.SetPoints(points)
    poly.SetPolys(cells)
    normals, mapper, actor = vtk.vtkPolyDataNormals(), vtk.vtkPolyDataMapper(), vtk.vtkActor()
    normals.SetInputData(poly)
    normals.SplittingOff()
    normals.ConsistencyOff()
    mapper.SetInputConnection(normals.GetOutputPort())
    actor.SetMapper(mapper)
    renderer, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
    renderer.AddActor(actor)
    window.SetOffScreenRendering(1)
    window.SetSize(size, size)
    window.SetMultiSamples(4)
    window.AddRenderer(renderer)
    window.Render()
    shot = vtk.vtkWindowToImageFilter()
    shot.SetInput(window)
    shot.ReadFrontBufferOff()
    start, processor = time.perf_counter(), time.process_time()
    for moved in moving(vertices, FRAMES):
        points.SetData(numpy_to_vtk(moved, deep=1))
        points.Modified()
        poly.Modified()
        window.Render()
        shot.Modified()
        shot.Update()
        vtk_to_numpy(shot.GetOutput().GetPointData().GetScalars())
    wall, cpu = (time.perf_counter() - start) / FRAMES, (time.process_time() - processor) / FRAMES
    print(f"{cpu * 1e3:>7.1f} {wall * 1e3:>7.1f} {1 / wall:>9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[512])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--exports", action="store_true")
    parser.add_argument("--vtk", metavar="PYTHON")
    parser.add_argument("--draw-by-vtk", metavar="MESH", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.draw_by_vtk:
        draw_by_vtk(given.draw_by_vtk, given.sizes[0])
        return
    print(f"Python {sys.version.split()[0]}, numpy {np.__version__}")
    measure_own(given.sizes, given.workers)
    if given.exports:
        measure_exports()
    if given.vtk:
        measure_vtk(given.vtk, given.sizes)


if __name__ == "__main__":
    main()
