"""Landmarks: what of the reference's heat maps concerns us, and that no group of its records is left out.

The reference finds its landmarks with a hourglass network for 98 points and turns them into 68 with a package
of its own; ours are those of the face mesh, or of the package face-alignment. That network is therefore not
rebuilt here, and of its records the reading of heat maps is what we share: face-alignment reads them alike.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sadtalker_oracle import ORACLE, golden, needs_oracle

PLACES = [(0, 0), (0, 30), (63, 30), (30, 0), (30, 63), (63, 63)]  # rows and columns on the map's edges


def read(maps: np.ndarray) -> np.ndarray:
    """(N, 2) x, y of the peaks of heat maps (N, 64, 64), as face-alignment reads them."""
    decode = pytest.importorskip("face_alignment.utils").get_preds_fromhm
    return np.asarray(decode(maps[None].copy())[0])[0]


@needs_oracle
def test_heat_maps_are_read_as_the_reference_reads_them() -> None:
    group = golden("fan")
    assert np.array_equal(read(group["points_heat"][0]), group["points_out"][0])


@pytest.mark.parametrize("place", PLACES)
def test_a_peak_on_the_edge_does_not_move_the_other_points(place: tuple[int, int]) -> None:
    """In the reference it took the neighbours of all points from the wrong map, or ended the run."""
    noise = np.random.default_rng(0)
    maps = noise.random((5, 64, 64), dtype=np.float32)
    for number, (row, column) in enumerate([(10, 20), (31, 33), (50, 5), (40, 40), (12, 12)]):
        maps[number, row, column] = 2
    before = read(maps)
    maps[4] = 0
    maps[4, place[0], place[1]] = 2
    after = read(maps)
    assert np.array_equal(after[:4], before[:4])
    assert np.abs(after[4] - (place[1] + 0.5, place[0] + 0.5)).max() <= 0.25


@needs_oracle
def test_every_group_of_records_is_compared() -> None:
    assert ORACLE is not None
    sources = "".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_sadtalker_*.py")
    )
    compared = set(re.findall(r'golden\("(\w+)"\)', sources))
    if re.search(r'golden\(f"render\{size\}"\)', sources):
        compared |= {"render256", "render512"}
    assert {path.stem for path in (ORACLE / "golden").glob("*.npz")} == compared
