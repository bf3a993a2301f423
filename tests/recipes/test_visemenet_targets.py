"""What VisemeNet is taught and judged by: phone times to mouth tracks, and the counting of closures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
JAW, WIDTH, ROUND, CLOSE, LABIODENTAL, TEETH, TONGUE, SPEECH = range(8)


@pytest.fixture(scope="module")
def targets() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT))
    try:
        from recipes.visemenet import targets

        yield targets
    finally:
        sys.path.remove(str(ROOT))


def test_lips_shut_in_bilabials_only(targets: ModuleType) -> None:
    phones = [
        (0.0, ""),
        (0.2, "a"),
        (0.4, "m"),
        (0.5, "a"),
        (0.7, "t"),
        (0.8, "a"),
        (1.0, "b"),
        (1.08, "a"),
        (1.3, ""),
    ]
    tracks = targets.mouth_tracks(phones, 160)
    shut = np.flatnonzero(tracks[:, CLOSE] > 0.5)
    assert set(shut) == set(range(40, 50)) | set(range(100, 108))
    assert tracks[45, JAW] < 0.3 < 0.7 < tracks[30, JAW]
    assert np.abs(tracks[150:]).max() < 0.02


def test_short_closures_are_held_long_enough_to_see(targets: ModuleType) -> None:
    tracks = targets.mouth_tracks([(0.0, "a"), (0.30, "b"), (0.33, "a")], 60)
    assert 5 <= (tracks[:, CLOSE] > 0.5).sum() <= 7


def test_vowels_have_their_shapes(targets: ModuleType) -> None:
    middle = {v: targets.mouth_tracks([(0.0, v)], 60)[30] for v in "aiu"}
    assert middle["a"][JAW] > middle["i"][JAW] + 0.5
    assert middle["i"][WIDTH] > 0.5 > -0.2 > middle["u"][WIDTH]
    assert middle["u"][ROUND] > 0.8 > 0.2 > middle["i"][ROUND]
    assert targets.mouth_tracks([(0.0, "f")], 60)[30, LABIODENTAL] > 0.9


def test_marks_are_no_phones_and_affricates_are_two(targets: ModuleType) -> None:
    pieces = targets.split_phones([(0.0, "(en)"), (0.0, "aː"), (0.2, "tʃ"), (0.4, "ˈ"), (0.4, "")], 0.5)
    assert [p[2] for p in pieces] == ["a", "t", "ʃ", ""]
    assert pieces[1][1] == pytest.approx(0.3)


def test_stops_begin_where_silence_does_and_open_at_their_burst(targets: ModuleType) -> None:
    rng = np.random.default_rng(0)
    wave = rng.normal(0, 3000, 16000)
    wave[int(0.44 * 16000) : int(0.50 * 16000)] = 0  # the silence of a /p/ that is announced at its burst
    placed = targets.place_stops(
        wave.astype(np.int16), [(0.0, ""), (0.1, "a"), (0.5, "p"), (0.54, "a"), (0.9, "")]
    )
    assert [name for _, name in placed] == ["", "a", "p", "h", "a", ""]
    onset, release = placed[2][0], placed[3][0]
    assert onset == pytest.approx(0.44, abs=0.006)
    assert release == pytest.approx(0.51)


def test_voiced_stops_stay(targets: ModuleType) -> None:
    phones = [(0.0, ""), (0.1, "a"), (0.5, "b"), (0.6, "a")]
    assert targets.place_stops(np.ones(16000, np.int16), phones) == tuple(phones)


def test_closures_pair_off_one_to_one(targets: ModuleType) -> None:
    from recipes.visemenet import evaluate

    close = np.zeros(100)
    close[10:15] = close[40:51] = close[80] = 1
    assert evaluate.middles(close) == pytest.approx([0.12, 0.45, 0.80])
    truth = np.array([0.15, 0.47, 0.70])
    assert evaluate.matches(truth, evaluate.middles(close)) == 2
    assert evaluate.matches(np.array([0.12]), np.array([0.10, 0.13])) == 1
