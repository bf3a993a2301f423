"""Jittery tracks into clean ones: less error, closures kept, gaze and head untouched; the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from sadtalker_ext.audio import load_speech  # noqa: E402
from sadtalker_ext.cli import main  # noqa: E402
from sadtalker_ext.errors import Cancelled, TrackError  # noqa: E402
from sadtalker_ext.motion import denoise, generate_eyes, generate_lips  # noqa: E402
from sadtalker_ext.motion.denoise import denoised  # noqa: E402
from sadtalker_ext.tracks import (  # noqa: E402
    ARKIT,
    BFM,
    MotionTrack,
    lips,
    vertex_space,
)
from sadtalker_ext.tracks.files import load_track, save_track  # noqa: E402

COVERED = ["lips", "blink", "eyes", "brows", "cheeks"]
SHUT = 0.012  # face widths


@pytest.fixture(scope="module", params=[25.0, 30.0])
def clean(request: pytest.FixtureRequest, demo_speech: Path) -> MotionTrack:
    """The demo's lips by visemes, which the codes were not trained on, and eyes by rules."""
    speech, fps = load_speech(demo_speech, end=6.0), request.param
    frames = round(6 * fps)
    track = generate_lips(speech, fps=fps, frames=frames, method="visemes")
    eyes = generate_eyes(speech, fps=fps, frames=frames, seed=1, head=None)
    return track.with_channels(eyes, ["blink", "gaze", "eyes", "brows"])


def shaken(track: MotionTrack, deviation: float = 0.06) -> MotionTrack:
    columns = ARKIT.indices(COVERED)
    data = track.data.copy()
    noise = np.random.default_rng(0).normal(0, deviation, (len(data), len(columns)))
    data[:, columns] = np.clip(data[:, columns] + noise, 0, 1)
    return MotionTrack(ARKIT, track.fps, data)


def error(track: MotionTrack, truth: MotionTrack) -> float:
    columns = ARKIT.indices(COVERED)
    return float(np.square(track.data[:, columns] - truth.data[:, columns]).mean())


def jitter(track: MotionTrack) -> float:
    return float(np.abs(np.diff(track.data[:, ARKIT.indices(COVERED)], n=2, axis=0)).mean())


def test_noise_goes_and_closures_stay(clean: MotionTrack):
    noisy = shaken(clean)
    result = denoised(noisy)
    assert error(result, clean) < 0.6 * error(noisy, clean)
    assert jitter(result) < 0.4 * jitter(noisy)
    shut = lips.opening(clean) < SHUT
    assert shut.sum() > 10
    assert (lips.opening(result)[shut] < SHUT).mean() > 0.9
    smoothed = noisy.smoothed(0.06, COVERED)  # which removes as much jitter blunts closures
    assert (lips.opening(smoothed)[shut] < SHUT).mean() < (lips.opening(result)[shut] < SHUT).mean()


def test_a_clean_track_stays_nearly_as_it_is(clean: MotionTrack):
    result = denoised(clean)
    columns = ARKIT.indices(COVERED)
    assert error(result, clean) < 0.05 * clean.data[:, columns].var(axis=0).mean()
    assert 0 <= result.data[:, columns].min() <= result.data[:, columns].max() <= 1


def test_gaze_and_head_are_left_alone(clean: MotionTrack):
    turned = clean.with_columns({"headYaw": np.linspace(0, 9, len(clean))})
    result = denoised(turned)
    columns = ARKIT.indices(["gaze", "pose"])
    assert np.array_equal(result.data[:, columns], turned.data[:, columns])
    assert len(result) == len(turned)
    assert result.fps == turned.fps
    assert len(str(result.provenance["denoised"]["code prior"])) == 64


def test_long_tracks_go_through_in_pieces(clean: MotionTrack, monkeypatch: pytest.MonkeyPatch):
    whole = denoised(clean)
    monkeypatch.setattr(denoise, "AT_ONCE", 60)
    assert np.abs(denoised(clean).data - whole.data).max() < 0.02


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_tracks(frames: int):
    result = denoised(MotionTrack.rest(frames, 25.0))
    assert len(result) == frames
    assert np.abs(result.data).max() < 0.05


def test_it_can_be_cancelled(clean: MotionTrack):
    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        denoised(clean, check=cancel)


def test_other_spaces_are_refused(tmp_path: Path):
    with pytest.raises(TrackError, match="code_prior_bfm"):
        denoised(MotionTrack.rest(5, 25.0, BFM), tmp_path)
    with pytest.raises(TrackError, match="Only arkit and bfm"):
        denoised(MotionTrack.rest(5, 25.0, vertex_space(4)))


def test_the_command(clean: MotionTrack, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source, target = tmp_path / "in.npz", tmp_path / "out.csv"
    save_track(shaken(clean), source)
    assert main(["motion", "--denoise", str(source), "-o", str(target)]) == 0
    assert f"{len(clean)} frames" in capsys.readouterr().out
    assert jitter(load_track(target)) < 0.4 * jitter(shaken(clean))
    for wrong in (
        ["motion", "--denoise", str(source), "-o", str(target)],  # exists
        ["motion", "--denoise", str(tmp_path / "none.npz"), "-o", str(tmp_path / "new.npz")],
        ["motion", "picture.png", "--denoise", str(source), "-o", str(tmp_path / "new.npz")],
        ["motion", "-o", str(tmp_path / "new.npz")],
    ):
        assert main(wrong) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert said.startswith("sadtalker: "), said
        assert said.endswith("."), said
    assert not (tmp_path / "new.npz").exists()
