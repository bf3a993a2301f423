"""The tiny networks give the numbers they gave: parity that is tested on any machine."""

from __future__ import annotations

import numpy as np
import pytest
from make_tiny_goldens import FILE, compute


@pytest.fixture(scope="module")
def computed() -> dict[str, np.ndarray]:
    return compute()


@pytest.mark.parametrize(
    "name",
    ["mel", "reconstruction", "coefficients", "canonical", "driving", "deformation", "occlusion", "frames"],
)
def test_numbers_are_what_they_were(name: str, computed: dict[str, np.ndarray]) -> None:
    want = np.load(FILE)[name]
    got = computed[name]
    assert got.shape == want.shape
    assert np.ptp(want) > 1e-3
    error = np.abs(got - want) / max(1.0, np.abs(want).max())
    assert error.mean() < 1e-4
    # Rounding may move a voxel over the limit below which shares of the motion are dropped.
    assert np.quantile(error, 0.95) < 1e-3
