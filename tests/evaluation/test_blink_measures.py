"""Blinks of known number, length and depth are measured as such."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.evaluation.blinks import blinks

FPS = 25.0
SHAPE = np.array([0.35, 0.85, 1.0, 0.9, 0.55])  # how far shut, five frames below 80 % open


def eyes(starts: list[int], frames: int = 500, depth: float = 0.9, late: int = 0) -> np.ndarray:
    rng = np.random.default_rng(0)
    shut = np.zeros((frames, 2))
    for start in starts:
        shut[start : start + len(SHAPE), 0] = SHAPE
        shut[start + late : start + late + len(SHAPE), 1] = SHAPE
    return 0.3 * (1 - depth * shut) + rng.normal(0, 0.002, (frames, 2))


def test_number_length_and_depth():
    found = blinks(eyes([50, 150, 162, 400]), FPS)
    assert found is not None
    assert found.count == 4
    assert found.per_minute == pytest.approx(12)
    assert found.duration_ms == pytest.approx(200)
    assert found.shut == pytest.approx(0.1, abs=0.02)
    assert found.synchrony is not None
    assert found.synchrony > 0.98


def test_eyes_that_blink_one_after_the_other_are_not_together():
    found = blinks(eyes([50, 150, 400], late=3), FPS)
    assert found is not None
    assert found.synchrony is not None
    assert found.synchrony < 0.3


def test_half_shut_lids_are_no_blink():
    found = blinks(eyes([50, 150], depth=0.35), FPS)
    assert found is not None
    assert found.count == 0
    assert found.shut is None


def test_a_lifted_head_is_no_blink():
    apertures = eyes([100, 400])
    apertures[200:350] *= 0.7  # eyes look narrower for six seconds
    found = blinks(apertures, FPS)
    assert found is not None
    assert found.count == 2


def test_a_long_closed_eye_is_no_blink():
    apertures = eyes([100])
    apertures[300:340] = 0.03
    found = blinks(apertures, FPS)
    assert found is not None
    assert found.count == 1


def test_frames_without_a_face_and_eyes_never_open():
    apertures = eyes([50, 150])
    apertures[200:300] = np.nan
    found = blinks(apertures, FPS)
    assert found is not None
    assert found.count == 2
    assert blinks(np.full((100, 2), 0.04), FPS) is None
    assert blinks(np.full((100, 2), np.nan), FPS) is None
