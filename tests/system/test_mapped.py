"""Numbers gathered piece by piece: few in memory, many in a file that goes with the array."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import load_speech
from sadtalker_ext.audio.features import loudness, mean
from sadtalker_ext.system import mapped
from sadtalker_ext.system.mapped import Gatherer, forget


def owner(array: np.ndarray) -> object:
    while getattr(array, "base", None) is not None:
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


@pytest.mark.parametrize(("limit", "kind"), [(1 << 20, bytearray), (1000, mmap.mmap)])
def test_gathered_numbers_are_those_that_came(
    monkeypatch: pytest.MonkeyPatch, limit: int, kind: type
) -> None:
    monkeypatch.setattr(mapped, "IN_MEMORY", limit)
    numbers = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    gathered = Gatherer()
    for start in range(0, 3000, 170):
        gathered.add(numbers[start : start + 170])
    gathered.add(bytes(8))
    assert len(gathered) == 3002
    array = gathered.array(3001)
    np.testing.assert_array_equal(array, np.append(numbers, 0))
    assert isinstance(owner(array), kind)
    array *= 2
    forget(array[5:])
    np.testing.assert_array_equal(array[:3000], 2 * numbers)


def test_what_is_in_memory_is_not_forgotten() -> None:
    array = np.arange(5.0)
    forget(array[1:])
    assert array.sum() == 10


def test_a_mapped_speech_is_the_same_speech(monkeypatch: pytest.MonkeyPatch, demo_speech: Path) -> None:
    small = load_speech(demo_speech)
    monkeypatch.setattr(mapped, "IN_MEMORY", 1000)
    large = load_speech(demo_speech)
    assert isinstance(owner(large.samples), mmap.mmap)
    np.testing.assert_array_equal(large.samples, small.samples)
    np.testing.assert_array_equal(loudness(large.samples), loudness(small.samples))
    assert large.is_silent == small.is_silent
    assert large.peak == small.peak


def test_the_file_goes_with_the_array(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demo_speech: Path
) -> None:
    monkeypatch.setattr(mapped, "IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    speech = load_speech(demo_speech, end=2)
    assert len(speech.samples) == 32000
    if os.name == "posix":
        assert list(tmp_path.iterdir()) == []  # without a name from the beginning


def test_the_mean_of_a_long_array(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).normal(0.3, 1, 5000).astype(np.float32)
    whole = mean(samples)
    monkeypatch.setattr("sadtalker_ext.audio.features.MEAN_BLOCK", 700)
    assert mean(samples) == pytest.approx(whole, abs=1e-9)
    assert mean(samples[:0]) == 0
