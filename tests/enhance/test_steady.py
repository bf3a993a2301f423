"""What a restorer adds does not flicker, follows the mouth at once, and shifts no colours."""

from __future__ import annotations

import numpy as np

from sadtalker_ext.enhance.steady import Steadier, fine

SIDE = 128


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, (SIDE, SIDE, 3)).astype(np.float32)


def flicker(frames) -> float:
    """Mean second difference along time."""
    frames = np.stack(list(frames))
    return float(np.abs(frames[2:] - 2 * frames[1:-1] + frames[:-2]).mean())


def test_teeth_that_a_restorer_draws_anew_each_time_keep_still():
    face = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    raw = [face + noise(seed) for seed in range(30)]
    steadier = Steadier()
    steady = [face + steadier(face, restored) for restored in raw]
    assert flicker(steady[10:]) < 0.25 * flicker(raw[10:])


def test_detail_that_stays_is_kept():
    face = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    detail = fine(noise(1))
    steadier = Steadier()
    for _ in range(5):
        added = steadier(face, face + detail)
    assert np.abs(added - fine(detail)).max() < 1e-5


def test_a_mouth_that_opens_leaves_no_ghost():
    shut = np.full((SIDE, SIDE, 3), 0.6, np.float32)
    opened = shut.copy()
    opened[50:80, 40:90] = 0.2
    teeth, lips = noise(1), noise(2)
    steadier = Steadier()
    for _ in range(10):
        steadier(shut, shut + lips)
    added = steadier(opened, opened + teeth)
    inside = (slice(58, 72), slice(50, 80))
    assert np.abs(added - fine(teeth))[inside].max() < 0.01
    aside = (slice(0, 20), slice(0, 20))  # where nothing moved the old detail still prevails
    assert np.abs(added - fine(lips))[aside].mean() < np.abs(added - fine(teeth))[aside].mean()


def test_colours_are_not_shifted():
    face = np.full((512, 512, 3), 0.5, np.float32)
    assert np.abs(Steadier()(face, face + 0.1)).max() < 1e-3


def test_the_rate_of_frames_does_not_matter():
    face = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    left = []
    for fps, frames in ((25.0, 5), (50.0, 10)):
        steadier = Steadier(fps)
        steadier(face, face + noise(0))
        for _ in range(frames):
            added = steadier(face, face)
        left.append(float(np.abs(added).mean()))
    assert abs(left[0] - left[1]) < 1e-3
