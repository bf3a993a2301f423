"""Regions of a face: lists of vertex numbers from text, or named ones from a collection of masks."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sadtalker_ext.errors import MeshError
from sadtalker_ext.mesh.regions import LIPS, UPPER_FACE, read_region

MASKS = {
    "lips": np.array([7, 3, 5]),
    "forehead": np.array([1, 2], np.int32),
    "eye_region": np.array([2, 9, 0], np.uint16),
    "scalp": np.array([4]),
}


def refusal(path: Path, vertices: int = 10, parts: tuple[str, ...] = LIPS) -> str:
    with pytest.raises(MeshError) as caught:
        read_region(path, vertices, parts)
    assert str(caught.value).endswith(".")
    return str(caught.value)


@pytest.mark.parametrize("text", ["7, 3, 5", "7,3,5\n", "7 3\n5", "7,\n3,\n5,\n"])
def test_lists(tmp_path: Path, text: str):
    (tmp_path / "lve.txt").write_text(text)
    np.testing.assert_array_equal(read_region(tmp_path / "lve.txt", 8, LIPS), [7, 3, 5])


def test_masks(tmp_path: Path):
    path = tmp_path / "FLAME_masks.pkl"
    path.write_bytes(pickle.dumps(MASKS, protocol=2))
    np.testing.assert_array_equal(read_region(path, 10, LIPS), [3, 5, 7])
    np.testing.assert_array_equal(read_region(path, 10, UPPER_FACE), [0, 1, 2, 9])
    assert read_region(path, 10, UPPER_FACE).dtype == np.int64


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no vertices"),
        ("1, x", "whole numbers"),
        ("1.5", "whole"),
        ("9" * 40, "whole"),
        ("1, 10", "1 to 10"),
    ],
)
def test_bad_lists(tmp_path: Path, text: str, word: str):
    (tmp_path / "lve.txt").write_text(text)
    assert word in refusal(tmp_path / "lve.txt")


def test_negative_numbers_and_other_files(tmp_path: Path):
    (tmp_path / "lve.txt").write_text("-1, 2")
    assert "another topology" in refusal(tmp_path / "lve.txt")
    (tmp_path / "lve.txt").write_bytes(b"\xff\xfe\x00\x80")
    assert "whole numbers" in refusal(tmp_path / "lve.txt")
    assert "There is no" in refusal(tmp_path / "absent.txt")


@pytest.mark.parametrize(
    ("held", "word"),
    [
        ([1, 2], "no named"),
        ({"forehead": np.array([1])}, "no region lips; it has forehead"),
        ({"lips": np.array([1.5])}, "no lists"),
        ({"lips": np.array([[1]])}, "no lists"),
        ({"lips": "x"}, "no lists"),
        ({"lips": np.array([], int)}, "no vertices"),
    ],
)
def test_bad_masks(tmp_path: Path, held: Any, word: str):
    (tmp_path / "masks.pkl").write_bytes(pickle.dumps(held))
    assert word in refusal(tmp_path / "masks.pkl")


@pytest.mark.parametrize(
    "text", ["9" * 400_000, "1, " + "9" * 25, "-" * 99, "\x1b[31m", "1e3", "NaN", "１２ x"]
)
def test_numbers_that_no_vertex_has(tmp_path: Path, text: str):
    path = tmp_path / "lips.txt"
    path.write_text(text, encoding="utf-8")
    assert len(refusal(path)) < 500
