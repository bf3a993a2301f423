"""Blocks of rows become one array, in memory or in a file that nobody sees."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np
import pytest

from sadtalker_ext.tracks import rows
from sadtalker_ext.tracks.rows import gathered, slices


def blocks(count: int) -> Iterator[np.ndarray]:
    for number in range(count):
        yield np.full((2, 3), number, np.float64)


@pytest.mark.parametrize("limit", [1, 100, 1 << 20])
def test_rows_come_in_order_as_float32(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY", limit)
    found = gathered(blocks(20), 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.concatenate(list(blocks(20))))


def test_nothing_becomes_no_rows() -> None:
    assert gathered([], 7).shape == (0, 7)


def test_large_arrays_leave_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY", 100)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = gathered(blocks(50), 3)
    assert not found.flags.writeable  # it is mapped
    del found
    assert not list(tmp_path.iterdir())


def test_a_failure_on_the_way_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY", 100)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def failing() -> Iterator[np.ndarray]:
        yield from blocks(40)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        gathered(failing(), 3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("count", "dim"), [(0, 3), (1, 3), (1000, 70110), (5, 10**7)])
def test_slices_cover_all_rows_once(count: int, dim: int) -> None:
    parts = list(slices(count, dim))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(count))
    assert all((part.stop - part.start) * 4 * dim <= max(rows.BLOCK, 4 * dim) for part in parts)
