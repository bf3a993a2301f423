"""Archives and arrays of strangers: what numpy writes is read, nothing asks for more than it holds."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from memory import traced_peak

from sadtalker_ext.system.archives import map_array, open_zip, read_array, read_array_header


def npy(header: str, numbers: bytes = b"\0" * 8, version: int = 1, length: int | None = None) -> bytes:
    packed = header.encode("latin1")
    size = len(packed) if length is None else length
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", size)
        + packed
        + numbers
    )


def stored(data: bytes, method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("a.npy", data)
    return file


def unpacked(data: bytes, most: int = 1 << 20, method: int = zipfile.ZIP_DEFLATED) -> np.ndarray:
    with open_zip(stored(data, method)) as (archive, members):
        return read_array(archive, members["a.npy"], most)


KINDS = arrays.floating_dtypes() | arrays.integer_dtypes() | arrays.unicode_string_dtypes(max_len=5)


@given(
    arrays.arrays(KINDS, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)), st.booleans()
)
def test_what_numpy_writes_is_read(array: np.ndarray, by_columns: bool) -> None:
    array = np.asarray(array, order="F" if by_columns else "C")
    file = io.BytesIO()
    np.save(file, array)
    found = unpacked(file.getvalue())
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, min_side=0, max_side=4)), st.booleans())
def test_what_numpy_writes_is_mapped(tmp_path_factory: Any, array: np.ndarray, by_columns: bool) -> None:
    path = tmp_path_factory.mktemp("arrays") / "a.npy"
    np.save(path, np.asarray(array, order="F" if by_columns else "C"))
    np.testing.assert_array_equal(map_array(path), array)


SIDES = [
    "1" * 40 + "!", "1" * 5000, "1" * 17 + "L" + "1" * 17, "1L1L" * 2000 + "!", "1 1", ",",
    "1,,1", " " * 9000,
    "1," * 140 + "!", "L", "LL,", "1LL,", "\xb2,", ", " * 200, "1" * 18 + "\n" * 300,
]  # fmt: skip
HEADERS = [
    "{" * 5000, "(" * 9000, "-" * 9000 + "1", "'" * 7, "lambda: 1", "{'a':" * 500, "\x00", "", "1",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f999', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '|V8', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<U999999999', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f8', 'fortran_order': None, 'shape': (1,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1e3,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 3000 + "), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': __import__('os'), }",
    "{" + " " * 9000, "{'descr': '<f8'," + " " * 9000 + "!",
    *(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({sides}), }}" for sides in SIDES),
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header[-40:])
def test_no_header_is_run_or_believed(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.npy"
    for version in (1, 2):
        data = npy(header, version=version)
        path.write_bytes(data)
        with pytest.raises((ValueError, EOFError, TypeError)):
            unpacked(data)
        with pytest.raises((ValueError, EOFError, TypeError)):
            map_array(path)


@pytest.mark.parametrize(
    "start", [b"", b"\x93NUMPY", b"\x93NUMPX\1\0", b"\x93NUMPY\x09\0\1\0x", b"\x93NUMPY\2\0\xff\xff\xff\xff"]
)
def test_beginnings_of_no_array(start: bytes) -> None:
    with pytest.raises((ValueError, EOFError, struct.error)):
        read_array_header(io.BytesIO(start))


def test_a_member_is_no_larger_than_is_asked_for() -> None:
    bomb = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (30000000,), }", bytes(30_000_000))
    file = stored(bomb)
    del bomb

    def read() -> None:
        with (
            open_zip(file) as (archive, members),
            pytest.raises(zipfile.BadZipFile, match="more than"),
        ):
            read_array(archive, members["a.npy"], 1000)

    assert traced_peak(read) < 1e6


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_rare_ways_of_packing_are_refused(method: int) -> None:
    whole = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }")
    assert unpacked(whole).tolist() == [0]
    with pytest.raises(zipfile.BadZipFile, match="packed"):
        unpacked(whole, method=method)


def test_an_archive_of_too_many_members() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(8000):
            archive.writestr(f"{'n' * 600}{number}", b"")
    with pytest.raises(zipfile.BadZipFile, match="members"), open_zip(file):
        pass
