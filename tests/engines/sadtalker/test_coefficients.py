"""The rules around SadTalker's networks: blinks, smoothing, windows, loops, turns; short speech."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_sadtalker import lively

from sadtalker_ext.engines.sadtalker import coefficients, mel
from sadtalker_ext.engines.sadtalker.networks.expnet import ExpNet
from sadtalker_ext.engines.sadtalker.networks.posevae import PoseVAE
from sadtalker_ext.engines.sadtalker.render import windows
from sadtalker_ext.engines.sadtalker.speech_driven import CHUNK, face_coefficients, pose_noise


def blinks(shut: np.ndarray) -> int:
    return int(((shut[1:] == 1) & (shut[:-1] < 1)).sum())


@pytest.mark.parametrize("frames", [*range(1, 30), 139, 140, 141, 1000])
def test_blinks_of_any_length(frames: int) -> None:
    for seed in range(5):
        shut = coefficients.blink_schedule(frames, np.random.default_rng(seed))
        assert shut.shape == (frames,)
        assert shut[-1] == 0
        assert set(np.unique(shut)) <= set(np.float32([0, 0.5, 0.9, 1]))


def test_blinks_as_often_as_asked_for() -> None:
    counts = [
        blinks(coefficients.blink_schedule(5000, np.random.default_rng(1), rate))
        for rate in (0.0, 0.5, 1.0, 3.0)
    ]
    assert counts[0] == 0
    assert not coefficients.blink_schedule(50, np.random.default_rng(1), 5e-324).any()
    assert 40 < counts[1] < 85
    assert 90 < counts[2] < 150
    assert counts[3] > 230


def test_smoothing_keeps_parabolas_and_calms_noise() -> None:
    time = np.arange(40.0)[:, None]
    parabola = 0.3 * time**2 - time + 2
    assert coefficients.smooth_pose(parabola) == pytest.approx(parabola, abs=1e-8)
    noise = np.random.default_rng(0).standard_normal((400, 3))
    assert coefficients.smooth_pose(noise).std() < 0.6 * noise.std()


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 13, 14])
def test_short_tracks_are_smoothed_too(frames: int) -> None:
    assert coefficients.smooth_pose(np.ones((frames, 6), np.float32)) == pytest.approx(1, abs=1e-6)


def test_windows_hold_the_ends() -> None:
    rows = np.arange(20, dtype=np.float32)[:, None]
    made = windows.windows(rows, 0, 20)
    assert made.shape == (20, 1, 27)
    assert (made[:, 0, 13] == rows[:, 0]).all()
    assert (made[0, 0, :13] == 0).all()
    assert (made[19, 0, 14:] == 19).all()
    assert np.array_equal(windows.windows(rows, 5, 9), made[5:9])
    assert np.array_equal(windows.steady_window(np.float32([3, 4])), np.float32([[3] * 27, [4] * 27]))


def test_recordings_are_played_to_and_fro() -> None:
    assert list(coefficients.looped(np.arange(4), 9)) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert list(coefficients.looped(np.arange(1), 3)) == [0, 0, 0]
    assert list(coefficients.looped(np.arange(9), 3)) == [0, 1, 2]


@pytest.mark.parametrize(
    "degrees", [(7,), (3, 3), (0, 20, 20), (0, 20, 20, 0), (-30, 30), (5, 5, 5, -5), (0, 1e-9), (0, 5e-324)]
)
@pytest.mark.parametrize("frames", [1, 2, 3, 50])
def test_turns(degrees: tuple[float, ...], frames: int) -> None:
    """Equal neighbours and single frames divided by zero in the reference."""
    path = coefficients.turns(degrees, frames)
    assert path.shape == (frames,)
    assert np.isfinite(path).all()
    assert path[0] == degrees[0]
    assert path.min() >= min(degrees)
    assert path.max() <= max(degrees)


@pytest.mark.parametrize("frames", [1, 2, 3, 33, CHUNK - 1, CHUNK, CHUNK + 40])
def test_speech_of_any_length(frames: int) -> None:
    samples = np.random.default_rng(0).standard_normal(frames * mel.SAMPLES_PER_FRAME) * 0.1
    seen: list[tuple[int, int]] = []
    expnet, posevae = lively(ExpNet(4)), lively(PoseVAE(4, 3, 12))
    given = {
        "shut": np.zeros(frames),
        "noise": pose_noise(frames, 1),
        "style": 45,
        "expnet": expnet,
        "posevae": posevae,
    }
    rows = face_coefficients(
        mel.mel_spectrogram(samples), frames, np.zeros(73, np.float32), **given,
        report=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert rows.shape == (frames, 70)
    assert np.isfinite(rows).all()
    assert seen[-1] == (frames, frames)
    quiet = face_coefficients(None, frames, np.zeros(73, np.float32), **given)
    assert np.ptp(quiet[:, :64], axis=0).max() == pytest.approx(0, abs=1e-5)


def test_lids_are_told_apart_from_the_mouth() -> None:
    import torch

    expnet = lively(ExpNet(4))
    sound, own = torch.randn(3, 1, 80, 16), torch.randn(3, 64)
    shut = torch.tensor([[0.0], [0.5], [1.0]])
    with torch.no_grad():
        added = expnet(sound, own, shut) - expnet(sound, own, torch.zeros(3, 1))
        torch.testing.assert_close(added, expnet.lids(shut), rtol=1e-4, atol=1e-5)
