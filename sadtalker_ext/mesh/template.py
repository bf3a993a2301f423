"""A mesh file, or the templates of a corpus, into the neutral face that a vertex motion is added to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import MeshError, Place
from ..system.paths import is_file, user_path
from ..tracks import MOST_VERTICES
from .files import MESH_SUFFIXES, read_mesh
from .pickles import read_pickle

PICKLE_SUFFIXES = (".pkl", ".pickle")
MESHES_LOOKED_AT = 50  # of a folder, for their triangles


@dataclass(frozen=True, eq=False)
class Template:
    """A neutral face. vertices: float32 (V, 3), in the units of its corpus. faces: int32 (F, 3), or None.

    name: the file's, or the subject's of a collection. source: the file it is from.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray | None
    source: str

    def require(self, vertices: int, what: str) -> None:
        """Raises `MeshError` unless it has that many vertices. what: that needs them, such as a model."""
        if len(self.vertices) != vertices:
            raise MeshError(
                "The template {path} has {count:,} vertices, but {what} moves {vertices:,}; choose a "
                "template of the same topology.",
                Place(self.source),
                count=len(self.vertices),
                what=what,
                vertices=vertices,
            )


def is_mesh_file(path: str | Path) -> bool:
    """Whether the name says that `load_template` reads it: .ply, .obj, .pkl or .pickle."""
    return Path(path).suffix.lower() in (*MESH_SUFFIXES, *PICKLE_SUFFIXES)


def load_template(
    path: str | Path, subject: str | None = None, *, faces: str | Path | np.ndarray | None = None
) -> Template:
    """The neutral face in a .ply or .obj mesh, or one of those in a templates.pkl.

    path: the mesh, its vertices in the file's order; or a pickle of a dictionary subject → (V, 3), as VOCASET
    and BIWI have it, read without running anything in it. subject: whose face of a pickle (None: the first in
    alphabetical order). faces: the triangles (F, 3), or a mesh file to take them from; None takes the file's
    own, for a pickle those of the mesh file beside it that has as many vertices.
    Raises `MeshError` with what is wrong.
    """
    path = user_path(path)
    suffix = path.suffix.lower()
    if not is_file(path):
        raise MeshError("There is no mesh file {path}; check the name.", path)
    if suffix in MESH_SUFFIXES:
        if subject is not None:
            raise MeshError("{path} is one mesh; a subject can be chosen from a templates.pkl only.", path)
        vertices, own = read_mesh(path)
        name = path.stem
    elif suffix in PICKLE_SUFFIXES:
        name, vertices = _from_pickle(path, subject)
        own = faces_among(path.parent, len(vertices)) if faces is None else None
    else:
        raise MeshError("{path} is no mesh; templates are .ply, .obj or templates.pkl files.", path)
    triangles = own if faces is None else _given_faces(faces, len(vertices))
    return Template(name, _checked_vertices(vertices, path), triangles, str(path))


def load_templates(path: str | Path) -> dict[str, Template]:
    """All the faces of a templates.pkl by their subjects, in alphabetical order, without triangles.

    Raises `MeshError` where the file is no such collection.
    """
    path = user_path(path)
    found = _collection(path)
    return {
        name: Template(name, _checked_vertices(_rows(found[name], name, path), path), None, str(path))
        for name in sorted(found)
    }


def _collection(path: Path) -> dict[str, np.ndarray]:
    found = read_pickle(path)
    if not isinstance(found, dict) or not found:
        raise MeshError("{path} is no collection of templates: it holds no names with vertices.", path)
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise MeshError(
                "{path} is no collection of templates: {name!r} stands for no vertices.", path, name=name
            )
    return found


def _from_pickle(path: Path, subject: str | None) -> tuple[str, np.ndarray]:
    found = _collection(path)
    name = min(found) if subject is None else subject
    if name not in found:
        raise MeshError(
            "{path} has no subject {name!r}; it has {known}.", path, name=name, known=", ".join(sorted(found))
        )
    return name, _rows(found[name], name, path)


def _rows(vertices: np.ndarray, name: str, path: Path) -> np.ndarray:
    if vertices.ndim == 1 and vertices.size % 3 == 0:
        vertices = vertices.reshape(-1, 3)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise MeshError(
            "{name} in {path} is no list of vertices: its shape is {shape}.",
            path,
            name=name,
            shape=vertices.shape,
        )
    return vertices


def _checked_vertices(vertices: np.ndarray, path: Path) -> np.ndarray:
    if not 3 <= len(vertices) <= MOST_VERTICES:
        count, most = f"{len(vertices):,}", f"{MOST_VERTICES:,}"
        raise MeshError(f"{{path}} has {count} vertices; a face needs 3 at least and {most} at most.", path)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = np.ascontiguousarray(vertices, dtype=np.float32)
    if not np.isfinite(exact).all():
        raise MeshError("{path} has vertices that are no numbers (NaN or infinite); export it anew.", path)
    return exact


def _given_faces(faces: str | Path | np.ndarray, count: int) -> np.ndarray:
    if isinstance(faces, np.ndarray):
        if faces.ndim != 2 or faces.shape[1] != 3 or not np.issubdtype(faces.dtype, np.integer):
            raise MeshError(f"Faces are triangles, (F, 3) whole numbers; given are {faces.shape}.")
        if faces.size and not 0 <= int(faces.min()) <= int(faces.max()) < count:
            raise MeshError(f"The faces name vertices that are not among the {count:,} of the template.")
        return np.ascontiguousarray(faces, dtype=np.int32)
    vertices, own = read_mesh(user_path(faces))
    if own is None:
        raise MeshError("{path} has no faces; it is a cloud of points.", Place(faces))
    if len(vertices) != count:
        raise MeshError(
            f"{{path}} has {len(vertices):,} vertices, but the template has {count:,}; the faces of another "
            "topology do not fit.",
            Place(faces),
        )
    return own


def faces_among(folder: Path, count: int) -> np.ndarray | None:
    """Triangles int32 (F, 3) of the folder's first mesh file with as many vertices; None without one."""
    try:
        meshes = sorted(path for path in folder.iterdir() if path.suffix.lower() in MESH_SUFFIXES)
    except OSError:
        return None
    for neighbour in meshes[:MESHES_LOOKED_AT]:
        try:
            vertices, faces = read_mesh(neighbour)
        except MeshError:  # of another program, maybe: whoever wants that one names it
            continue
        if faces is not None and len(vertices) == count:
            return faces
    return None
