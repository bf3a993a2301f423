"""Templates: vertices in the file's order from .ply and .obj, and faces of a corpus from its pickle."""

from __future__ import annotations

import builtins
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sadtalker_ext.errors import DependencyError, MeshError
from sadtalker_ext.mesh import files, is_mesh_file, load_template, load_templates

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0.5], [0, 1, 0], [9, 9, 9]], np.float32)
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


def ply(path: Path, kind: str, polygons: list[list[int]], vertices: np.ndarray = SQUARE) -> Path:
    """A .ply of these polygons, with colours beside the vertices. kind: as its header calls it."""
    head = ["ply", f"format {kind} 1.0", "comment by a test", f"element vertex {len(vertices)}"]
    head += ["property float x", "property float y", "property float z", "property uchar red"]
    if polygons:
        head += [f"element face {len(polygons)}", "property list uchar int vertex_indices"]
    head += ["end_header", ""]
    data = "\n".join(head).encode()
    if kind == "ascii":
        lines = [" ".join(map(repr, map(float, vertex))) + " 7" for vertex in vertices]
        lines += [" ".join(map(str, [len(polygon), *polygon])) for polygon in polygons]
        data += ("\n".join(lines) + "\n").encode()
    else:
        end = "<" if "little" in kind else ">"
        table = np.zeros(len(vertices), [("at", end + "f4", 3), ("red", "u1")])
        table["at"] = vertices
        data += table.tobytes()
        for polygon in polygons:
            data += bytes([len(polygon)]) + np.array(polygon, end + "i4").tobytes()
    path.write_bytes(data)
    return path


def sentence(path: Path, *arguments: Any, **named: Any) -> str:
    with pytest.raises(MeshError) as caught:
        load_template(path, *arguments, **named)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


# --- .ply ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("polygons", [[[0, 1, 2], [0, 2, 3]], [[0, 1, 2, 3]]])
def test_ply(tmp_path: Path, kind: str, polygons: list[list[int]]):
    pytest.importorskip("trimesh")
    found = load_template(ply(tmp_path / "head.ply", kind, polygons))
    np.testing.assert_array_equal(found.vertices, SQUARE)
    assert found.vertices.dtype == np.float32
    assert found.faces is not None
    assert found.faces.dtype == np.int32
    areas = np.cross(SQUARE[found.faces[:, 1]] - SQUARE[found.faces[:, 0]],
                     SQUARE[found.faces[:, 2]] - SQUARE[found.faces[:, 0]])  # fmt: skip
    assert len(found.faces) == 2
    assert (areas[:, 2] > 0).all()  # as they were: counter-clockwise
    assert (found.name, found.source) == ("head", str(tmp_path / "head.ply"))


def test_equal_vertices_stay_two(tmp_path: Path):
    pytest.importorskip("trimesh")
    twice = np.concatenate([SQUARE, SQUARE])
    found = load_template(ply(tmp_path / "twice.ply", "ascii", [[0, 1, 2], [5, 6, 8]], twice))
    np.testing.assert_array_equal(found.vertices, twice)


def test_points_have_no_faces(tmp_path: Path):
    pytest.importorskip("trimesh")
    found = load_template(ply(tmp_path / "points.ply", "binary_little_endian", []))
    assert found.faces is None
    np.testing.assert_array_equal(found.vertices, SQUARE)


@pytest.mark.parametrize("kept", [0, 3, 30, 150, 0.9, -1])
@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
def test_a_cut_ply(tmp_path: Path, kind: str, kept: float):
    pytest.importorskip("trimesh")
    path = ply(tmp_path / "cut.ply", kind, HALVES.tolist())
    whole = path.read_bytes()
    end = int(len(whole) * kept) if isinstance(kept, float) else kept
    if kind == "ascii" and kept == -1:
        pytest.skip("the last byte is a line's end")
    path.write_bytes(whole[:end])
    assert "cut.ply" in sentence(path)


@pytest.mark.parametrize("data", [b"hello", b"ply\n", b"\0" * 1000, b"\x89PNG\r\n\x1a\n" + b"x" * 99])
@pytest.mark.parametrize("name", ["a.ply", "a.obj"])
def test_another_kind_of_file(tmp_path: Path, data: bytes, name: str):
    pytest.importorskip("trimesh")
    (tmp_path / name).write_bytes(data)
    assert name in sentence(tmp_path / name)


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("count", [b"vertex 4000000000", b"vertex 6", b"vertex 4", b"vertex -1", b"face 3"])
def test_a_header_that_promises_something_else(tmp_path: Path, kind: str, count: bytes):
    pytest.importorskip("trimesh")
    path = ply(tmp_path / "big.ply", kind, HALVES.tolist())
    real = b"vertex 5" if b"vertex" in count else b"face 2"
    path.write_bytes(path.read_bytes().replace(real, count))
    assert "big.ply" in sentence(path)


def test_without_trimesh_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "trimesh":
            raise ImportError(name)
        return real(name, *arguments)

    path = ply(tmp_path / "head.ply", "ascii", HALVES.tolist())
    monkeypatch.delitem(sys.modules, "trimesh", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match=r'pip install "trimesh>=4"'):
        load_template(path)


# --- .obj ------------------------------------------------------------------------------------------------

CORNERS = "".join(f"v {x} {y} {z}\n" for x, y, z in SQUARE.tolist())


@pytest.mark.parametrize(
    ("faces", "wanted"),
    [
        ("f 1 2 3\nf 1 3 4\n", HALVES),
        ("f 1 2 3 4\n", HALVES),
        ("f -5 -4 -3 -2\n", HALVES),
        ("f 1/1 2/2 3/3\nf 1/5 3/6 4/7\n", HALVES),  # a seam: vertex 1 with two texture points
        ("f 1//1 2//2 3//1\nf 1//2 3//2 4//2\n", HALVES),
        ("f 1/1/1 \\\n 2/2/1 3/3/1 4/4/1\n", HALVES),
        ("usemtl skin\nf 1 2 3\no eye\ng lid\nusemtl eye\nf 1 3 4\n", HALVES),
    ],
)
def test_obj(tmp_path: Path, faces: str, wanted: np.ndarray):
    texture = "".join(f"vt 0.{n} 0.5\n" for n in range(1, 8)) + "vn 0 0 1\nvn 0 0 -1\n"
    (tmp_path / "head.obj").write_text("# a head\nmtllib absent.mtl\n" + CORNERS + texture + faces)
    found = load_template(tmp_path / "head.obj")
    np.testing.assert_array_equal(found.vertices, SQUARE)
    assert found.faces is not None
    np.testing.assert_array_equal(found.faces, wanted)


def test_an_obj_of_points_with_colours(tmp_path: Path):
    (tmp_path / "points.obj").write_text(CORNERS.replace("\n", " 0.5 0.5 0.5\n"))
    found = load_template(tmp_path / "points.obj")
    assert found.faces is None
    np.testing.assert_array_equal(found.vertices, SQUARE)


@pytest.mark.parametrize(
    "text",
    [
        "v 1 2\n", "v a b c\n", CORNERS + "f 1 2 9\n", CORNERS + "f 1 2 0\n", CORNERS + "f -9 1 2\n",
        CORNERS + "f x y z\n", "f 1 2 3\n", "", "v 1 2 3\nv 1 2 3\n", CORNERS + "v nan 0 0\n",
        CORNERS + "v 1e300 0 0\n", CORNERS + "f 1 2 99999999999999999999999\n",
    ],
)  # fmt: skip
def test_a_bad_obj(tmp_path: Path, text: str):
    (tmp_path / "bad.obj").write_text(text)
    assert "bad.obj" in sentence(tmp_path / "bad.obj")


# --- templates.pkl ---------------------------------------------------------------------------------------

ANN, BOB = np.arange(15.0).reshape(5, 3), np.asfortranarray(SQUARE.astype(">f4") * 2)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_collection(tmp_path: Path, protocol: int):
    path = tmp_path / "templates.pkl"
    path.write_bytes(pickle.dumps({"bob": BOB, "ann": ANN}, protocol))
    assert list(load_templates(path)) == ["ann", "bob"]
    assert load_template(path).name == "ann"
    found = load_template(path, "bob")
    np.testing.assert_array_equal(found.vertices, SQUARE * 2)
    assert found.faces is None
    assert found.vertices.dtype == np.float32
    assert found.vertices.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(load_templates(path)["ann"].vertices, ANN)


# What Python 2 with numpy 1 writes for {"ann": the array, u"bob": it transposed}, protocol 2.
PYTHON_2 = (
    b"\x80\x02}q\x00(U\x03annq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85"
    b"U\x01b\x87Rq\x04(K\x01K\x03K\x03\x86cnumpy\ndtype\nq\x05U\x02f4K\x00K\x01\x87Rq\x06(K\x03U\x01<NNNJ"
    b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x24"
    + SQUARE[:3].astype("<f4").tobytes()
    + b"tbX\x03\x00\x00\x00bobh\x04u."
)


def test_a_pickle_of_python_2(tmp_path: Path):
    (tmp_path / "templates.pkl").write_bytes(PYTHON_2)
    assert list(load_templates(tmp_path / "templates.pkl")) == ["ann", "bob"]
    np.testing.assert_array_equal(load_template(tmp_path / "templates.pkl", "bob").vertices, SQUARE[:3])


def test_flat_vertices_are_understood(tmp_path: Path):
    (tmp_path / "t.pkl").write_bytes(pickle.dumps({"ann": ANN.ravel()}))
    np.testing.assert_array_equal(load_template(tmp_path / "t.pkl").vertices, ANN)


def test_faces_come_from_the_mesh_beside_that_fits(tmp_path: Path):
    (tmp_path / "a.obj").write_text(CORNERS + "v 0 0 1\nf 4 5 6\n")
    (tmp_path / "b.obj").write_text(CORNERS)
    (tmp_path / "c.obj").write_text("damaged\nv 1\n")
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps({"ann": ANN}))
    assert load_template(tmp_path / "templates.pkl").faces is None
    (tmp_path / "d.obj").write_text(CORNERS + "f 1 2 3 4\n")
    np.testing.assert_array_equal(load_template(tmp_path / "templates.pkl").faces, HALVES)


def test_faces_can_be_given(tmp_path: Path):
    path = tmp_path / "templates.pkl"
    path.write_bytes(pickle.dumps({"ann": ANN}))
    (tmp_path / "meshes").mkdir()
    mesh = tmp_path / "meshes" / "d.obj"
    mesh.write_text(CORNERS + "f 1 2 3 4\n")
    np.testing.assert_array_equal(load_template(path, faces=mesh).faces, HALVES)
    np.testing.assert_array_equal(load_template(path, faces=HALVES).faces, HALVES)
    mesh.write_text(CORNERS + "v 0 0 0\nf 1 2 3 4\n")
    assert "6 vertices" in sentence(path, faces=mesh)
    mesh.write_text(CORNERS)
    assert "no faces" in sentence(path, faces=mesh)
    assert "not among the 5" in sentence(path, faces=HALVES + 3)
    assert "triangles" in sentence(path, faces=HALVES.astype(float))


@pytest.mark.parametrize(
    ("held", "word"),
    [
        ({}, "no names"), ([ANN], "no names"), ({"ann": "x"}, "'ann'"), ({1: ANN}, "1 stands"),
        ({"ann": ANN[:, :2]}, "(5, 2)"), ({"ann": ANN * np.nan}, "NaN"), ({"ann": ANN[:2]}, "2 vertices"),
        ({"ann": np.zeros((0, 3))}, "0 vertices"), ({"ann": 1e300 * (1 + ANN)}, "infinite"),
    ],
)  # fmt: skip
def test_a_pickle_of_something_else(tmp_path: Path, held: Any, word: str):
    (tmp_path / "t.pkl").write_bytes(pickle.dumps(held))
    assert word in sentence(tmp_path / "t.pkl")


def test_who_is_not_there_and_who_cannot_be(tmp_path: Path):
    (tmp_path / "t.pkl").write_bytes(pickle.dumps({"ann": ANN, "bob": BOB}))
    (tmp_path / "head.obj").write_text(CORNERS)
    assert "ann, bob" in sentence(tmp_path / "t.pkl", "zoe")
    assert "one mesh" in sentence(tmp_path / "head.obj", "ann")
    assert "There is no" in sentence(tmp_path / "absent.ply")
    (tmp_path / "head.stl").write_bytes(b"x")
    assert ".ply, .obj" in sentence(tmp_path / "head.stl")


def test_names_of_mesh_files():
    assert all(is_mesh_file(name) for name in ("a.ply", "b.OBJ", "templates.pkl", Path("x/y.pickle")))
    assert not any(is_mesh_file(name) for name in ("a.png", "ply", "a.ply.png", ""))


def test_another_number_of_vertices_is_refused(tmp_path: Path):
    (tmp_path / "head.obj").write_text(CORNERS)
    template = load_template(tmp_path / "head.obj")
    template.require(5, "anything")
    with pytest.raises(MeshError, match=r"head\.obj has 5 vertices, but the face model vocaset moves 5,023"):
        template.require(5023, "the face model vocaset")


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("element", ["vertex", "face"])
def test_a_header_that_promises_too_much(tmp_path: Path, kind: str, element: str):
    pytest.importorskip("trimesh")
    path = ply(tmp_path / "a.ply", kind, HALVES.tolist())
    data = path.read_bytes()
    count = 5 if element == "vertex" else 2
    path.write_bytes(data.replace(f"{element} {count}".encode(), f"{element} 99999999999".encode()))
    assert "simplify" in sentence(path)


def test_an_obj_of_too_many_vertices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "MOST_VERTICES", 4)
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\n" * 5)
    assert "more than 4 vertices" in sentence(path)


# --- files that were made to break what reads them ------------------------------------------------------

THREE = "v 0 0 0\nv 1 0 0\nv 1 1 0\n"


@pytest.mark.parametrize(
    "text",
    [
        "v 0\n", "v nan\n", "v 0 0 x\n", THREE + "f 1 2 " + "9" * 5000, THREE + "f 1 2 -" + "9" * 25,
        THREE + "f a b c", THREE + "f 1 2 1e3", THREE + "f \x1b[31m 2 3", "v 1e999 0 0\nv inf 0 0\nv 0 0 0\n",
        THREE + "f 1 2 4", THREE + "f 1 2 -9", THREE.replace("0", "\x00"), "\\\n" * 9999,
    ],
    ids=range(13),
)  # fmt: skip
def test_obj_of_strange_numbers(tmp_path: Path, text: str):
    path = tmp_path / "head.obj"
    path.write_text(text)
    told = sentence(path)
    assert told.isprintable()
    assert len(told) < 500


def test_a_polygon_of_more_corners_than_a_head_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "FACE_LIMIT", 1000)
    path = tmp_path / "head.obj"
    path.write_text(THREE + "f " + "1 2 3 " * 5000)
    assert "more than 1,000 triangles" in sentence(path)
    path.write_text(THREE + "f 1 2 3\n" * 1000)
    assert len(load_template(path).faces) == 1000


@pytest.mark.parametrize(
    "head",
    [
        "element other 1000000000\nproperty double x\n",
        "element other -5\nproperty double x\n",
        "element other 3\nproperty list uint uint a\n",
        "element other 3\nproperty \x1b[31m x\n",
        "element other 99999999999999999999999999\nproperty list float double a\n",
        "property list\n",
    ],
    ids=range(6),
)
def test_ply_of_strange_elements(tmp_path: Path, head: str):
    pytest.importorskip("trimesh")
    path = ply(tmp_path / "head.ply", "binary_little_endian", [[0, 1, 2]])
    path.write_bytes(path.read_bytes().replace(b"end_header", head.encode() + b"end_header") + b"\xff" * 999)
    assert len(sentence(path)) < 600
