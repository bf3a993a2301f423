"""A .ply or .obj file into its vertices and triangles, in the order in which the file has them."""

from __future__ import annotations

import logging
import re
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DependencyError, MeshError
from ..tracks import MOST_VERTICES

MESH_SUFFIXES = (".ply", ".obj")
SIZE_LIMIT = 1 << 28  # bytes
FACE_LIMIT = 1_000_000
NUMBER_CHARACTERS = 18  # of a corner's
HEADER = 1 << 20  # bytes, more than any header of a .ply has


def read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Vertices (V, 3) and triangles int32 (F, 3), None where the file has none; polygons are cut into fans.

    Vertices are those that the file lists, in its order: none is merged, split at a seam of texture or left
    out. Raises `MeshError` where the file is unreadable, `DependencyError` where a package is missing.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise MeshError("{path} cannot be read ({error}).", path, error) from error
    if size == 0:
        raise MeshError("{path} is empty.", path)
    if size > SIZE_LIMIT:
        raise MeshError("{path} is too large for a face ({size:,.0f} MB).", path, size=size / 1e6)
    try:
        if path.suffix.lower() == ".obj":
            vertices, faces = _read_obj(path)
        else:
            vertices, faces = _read_ply(path)
    except OSError as error:
        raise MeshError("{path} cannot be read ({error}).", path, error) from error
    if len(vertices) == 0:
        raise MeshError("{path} has no vertices; it is empty, cut off or another kind of file.", path)
    if len(faces) == 0:
        return vertices, None
    if not 0 <= int(faces.min()) <= int(faces.max()) < len(vertices):
        raise MeshError("{path} is damaged: its faces name vertices that it does not have.", path)
    return vertices, np.ascontiguousarray(faces, dtype=np.int32)


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """By own code: readers made for pictures split the vertices where texture or normals have seams."""
    points, corners = array("d"), array("q")
    number = 0
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(_whole_lines(file), 1):  # noqa: B007
                kind, *words = line.split() or [""]
                count = len(points) // 3
                if kind == "v":
                    if len(words) < 3:
                        raise ValueError("a vertex of less than three numbers")
                    if count == MOST_VERTICES:
                        raise ValueError(f"more than {MOST_VERTICES:,} vertices")
                    points.extend(map(float, words[:3]))
                elif kind == "f":
                    if len(corners) // 3 + len(words) > FACE_LIMIT + 2:
                        raise ValueError(f"more than {FACE_LIMIT:,} triangles")
                    first, *others = [_corner(word, count) for word in words] or [0]
                    for pair in pairwise(others):
                        corners.extend((first, *pair))
        vertices = np.array(points, dtype=np.float64).reshape(-1, 3)
        return vertices, np.array(corners, dtype=np.int64).reshape(-1, 3)
    except OSError:
        raise
    except Exception as error:
        wrong = f"{{path}} is no usable .obj file (line {number}: {{error}}); export it anew."
        raise MeshError(wrong, path, error) from error


def _whole_lines(lines: Iterator[str]) -> Iterator[str]:
    """Lines, with those that end in a backslash joined to the next."""
    kept = ""
    for line in lines:
        if line.rstrip().endswith("\\"):
            kept += line.rstrip()[:-1] + " "
        else:
            yield kept + line
            kept = ""
    if kept:
        yield kept


def _corner(word: str, count: int) -> int:
    """The vertex of `17/3/5`: counted from 1, or backwards from the latest."""
    text = word.split("/", 1)[0]
    if len(text) > NUMBER_CHARACTERS:
        raise ValueError("a corner that no mesh has")
    index = int(text)
    return index - 1 if index > 0 else count + index


def _read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        import trimesh
    except ImportError as error:
        raise DependencyError(
            'Reading .ply files needs the package trimesh; install it with: pip install "trimesh>=4", or '
            "save the mesh as .obj."
        ) from error
    logging.getLogger("trimesh").setLevel(logging.CRITICAL)  # what it has to say is in the error
    promised = _promised(path)
    if promised["vertex"] > MOST_VERTICES or promised["face"] > FACE_LIMIT:
        raise MeshError(
            f"{{path}} has more vertices or faces than a head needs (at most {MOST_VERTICES:,} and "
            f"{FACE_LIMIT:,}); simplify it.",
            path,
        )
    try:
        with path.open("rb") as file:
            loaded: Any = trimesh.load(
                file, file_type="ply", process=False, fix_texture=False, skip_materials=True
            )
        vertices = np.asarray(loaded.vertices, dtype=np.float64).reshape(-1, 3)
        faces = np.asarray(getattr(loaded, "faces", []), dtype=np.int64).reshape(-1, 3)
    except OSError:
        raise
    except Exception as error:  # what trimesh raises for bad files is not documented
        why = " ({error})" if isinstance(error, ValueError) and str(error) else ""
        raise MeshError(
            f"{{path}} is no usable .ply file{why}; export it with triangles.", path=path, error=error
        ) from error
    if len(vertices) != promised["vertex"] or len(faces) < promised["face"]:
        raise MeshError("{path} is cut off: it has fewer vertices or faces than it says.", path)
    return vertices, faces


def _promised(path: Path) -> dict[str, int]:
    """How many vertices and faces the header of a .ply announces; trimesh does not compare."""
    with path.open("rb") as file:
        header = file.read(HEADER).partition(b"end_header")[0]
    found = {"vertex": 0, "face": 0}
    for kind, count in re.findall(rb"^element\s+(vertex|face)\s+(\d{1,18})\s", header, re.MULTILINE):
        found[kind.decode()] = int(count)
    return found
