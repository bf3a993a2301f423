"""Turns a folder of coefficient files with their sound into what the prior learns in the `bfm` space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from recipes.code_prior.speech import Recordings
from sadtalker_ext.audio import load_speech
from sadtalker_ext.audio.features import FEATURE_RATE, log_mel
from sadtalker_ext.engines.sadtalker.networks.expnet import EXPRESSIONS
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.motion.code_layout import ROWS_A_SECOND
from sadtalker_ext.motion.code_prior import FRAMES_A_CODE
from sadtalker_ext.motion.visemes import SpectrumMeter, load_visemenet, normalise
from sadtalker_ext.tracks.files import load_track

MAT_RATE = 25.0  # frames a second of SadTalker's coefficient files
MAT_KEY = "coeff_3dmm"
SOUNDS = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".mp4")
LONGEST_DIFFERENCE_S = 0.5  # between a coefficient file and its sound


def load_pairs(folder: Path) -> tuple[Recordings, tuple[str, ...]]:
    """All pairs in a folder, and the manners: the names of the folders they lie in.

    Expressions are offsets from each recording's mean, since a face's build is not what speech moves.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".mat", ".npz"))
    pairs = [(path, sound) for path in found if (sound := _sound_of(path)) is not None]
    if not pairs:
        raise SystemExit(f"No NAME.mat or NAME.npz with NAME.wav beside it in {folder}.")
    names = [path.parent.name for path, _ in pairs]
    manners = tuple(sorted(set(names)))
    net = load_visemenet()
    mels, motions, labels = [], [], []
    for (path, sound), name in zip(pairs, names, strict=True):
        try:
            mel, rows = features_of(sound, net), expressions_of(path)
        except SadTalkerError as error:
            raise SystemExit(str(error)) from error
        if abs(len(mel) / FEATURE_RATE - len(rows) / ROWS_A_SECOND) > LONGEST_DIFFERENCE_S:
            raise SystemExit(f"{path.name} and {sound.name} differ in length; give pairs cut alike.")
        frames = min(len(mel), 2 * len(rows)) // FRAMES_A_CODE * FRAMES_A_CODE
        mels.append(mel[:frames])
        motions.append(rows[: frames // 2] - rows[: frames // 2].mean(axis=0))
        labels.append(np.full(frames // 2, manners.index(name)))
    motion = torch.from_numpy(np.concatenate(motions).astype(np.float32))
    heard = torch.from_numpy(np.concatenate(mels).astype(np.float16))
    return Recordings(heard, motion[:, None], torch.from_numpy(np.concatenate(labels))), manners


def features_of(sound: Path, net: torch.nn.Module) -> np.ndarray:
    """(T, 40) normalised log-mel of a recording at 100 Hz."""
    filterbank, spectrum = (getattr(net, name).numpy() for name in ("filterbank", "spectrum"))
    mel = log_mel(load_speech(sound).samples, filterbank)
    meter = SpectrumMeter(len(filterbank))
    meter.add(mel)
    return normalise(mel, meter.reference(spectrum))


def expressions_of(path: Path) -> np.ndarray:
    """(T, 64) expression coefficients at 50 Hz of a .mat by SadTalker or of a bfm motion track."""
    if path.suffix == ".npz":
        track = load_track(path)
        if track.space.name != "bfm":
            raise SystemExit(f"{path.name} is an {track.space.name} track; the bfm space was asked for.")
        rows, rate = track.data[:, :EXPRESSIONS], track.fps
    else:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            rows = np.asarray(loadmat(path)[MAT_KEY], np.float32)
        except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError) as error:
            raise SystemExit(f"{path.name} holds no {MAT_KEY}; give coefficient files.") from error
        if rows.ndim != 2 or rows.shape[1] < EXPRESSIONS or not np.isfinite(rows).all():
            raise SystemExit(f"{path.name} does not hold rows of {EXPRESSIONS} coefficients or more.")
        rows, rate = rows[:, :EXPRESSIONS], MAT_RATE
    # A frame shows the face half-way through its time on screen.
    shown = (np.arange(len(rows)) + 0.5) / rate
    times = np.arange(int(len(rows) / rate * ROWS_A_SECOND)) / ROWS_A_SECOND
    return np.stack([np.interp(times, shown, column) for column in rows.T], axis=1)


def _sound_of(path: Path) -> Path | None:
    return next((p for ending in SOUNDS if (p := path.with_suffix(ending)).is_file()), None)
