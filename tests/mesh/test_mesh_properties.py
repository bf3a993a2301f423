"""What must hold for any template and any damage of a file."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property-based tests need hypothesis")

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sadtalker_ext.errors import MeshError
from sadtalker_ext.mesh import load_template
from sadtalker_ext.mesh.files import read_mesh
from sadtalker_ext.mesh.pickles import read_pickle

WHOLE = pickle.dumps({"ann": np.arange(9.0).reshape(3, 3), "bob": [1, 2]}, 2)
OBJ = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nvt 0 0\nf 1/1 2/1 3/1\n"


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from(["<f4", ">f4", "<f8", ">f8", "<i4", "<f2"]),
        st.tuples(st.integers(3, 9), st.just(3)),
        elements=st.integers(-1000, 1000),
    ),
    st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_every_number_type_comes_back(
    tmp_path_factory: pytest.TempPathFactory, given: np.ndarray, protocol: int
):
    path = tmp_path_factory.mktemp("types") / "t.pkl"
    path.write_bytes(pickle.dumps({"ann": given}, protocol))
    np.testing.assert_array_equal(load_template(path).vertices, given.astype(np.float32))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
@example(0, 0)
def test_damage_never_does_more_than_raise(tmp_path_factory: pytest.TempPathFactory, at: int, value: int):
    data = bytearray(WHOLE)
    data[at] = value
    path = tmp_path_factory.mktemp("damaged") / "a.pkl"
    path.write_bytes(data)
    try:
        found = read_pickle(path)
    except MeshError:
        return
    assert isinstance(found, (dict, list, tuple, str, bytes, int, float, np.ndarray, np.generic, type(None)))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(OBJ) - 1), st.integers(0, 255))
def test_a_damaged_obj_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, at: int, value: int):
    data = bytearray(OBJ)
    data[at] = value
    path = tmp_path_factory.mktemp("damaged") / "a.obj"
    path.write_bytes(data)
    try:
        vertices, faces = read_mesh(path)
    except MeshError:
        return
    assert vertices.shape[1] == 3
    assert faces is None or faces.max() < len(vertices)
