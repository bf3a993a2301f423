"""Writes tiny_goldens.npz: what the tiny networks give, so that a change of their numbers is noticed.

Run it, with the tests' folder on the path, only when the numbers are meant to change:
`PYTHONPATH=.:tests/support python tests/support/make_tiny_goldens.py`. That the same code gives the
reference's numbers at full width is tested where the recorded ones are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_sadtalker import tiny_states

from sadtalker_ext.engines.sadtalker.mel import mel_spectrogram
from sadtalker_ext.engines.sadtalker.networks.expnet import ExpNet
from sadtalker_ext.engines.sadtalker.networks.face_render import Generator
from sadtalker_ext.engines.sadtalker.networks.keypoints import KeyPointDetector, transform_keypoints
from sadtalker_ext.engines.sadtalker.networks.mapping import MappingNet
from sadtalker_ext.engines.sadtalker.networks.posevae import PoseVAE
from sadtalker_ext.engines.sadtalker.networks.recon import ReconNet
from sadtalker_ext.engines.sadtalker.render.windows import steady_window, windows
from sadtalker_ext.engines.sadtalker.speech_driven import face_coefficients, pose_noise
from sadtalker_ext.engines.sadtalker.weights import loaded

FILE = Path(__file__).with_name("tiny_goldens.npz")
FRAMES = 35  # more than a block of PoseVAE


def network(kind: Any, name: str) -> Any:
    return loaded(kind.shaped_like, dict(tiny_states()[name]))


@torch.no_grad()
def compute() -> dict[str, np.ndarray]:
    """Every stage on inputs of our own seeds, each fed by the one before."""
    rng = np.random.default_rng(5)
    picture = torch.from_numpy(rng.random((1, 3, 64, 64), dtype=np.float32))
    aligned = torch.from_numpy(rng.random((1, 3, 224, 224), dtype=np.float32))
    time = np.arange(FRAMES * 640) / 16000
    sound = np.sin(2 * np.pi * (200 + 900 * time) * time) * np.sin(2 * np.pi * 3 * time) ** 2

    mel = mel_spectrogram(sound.astype(np.float32))
    found = network(ReconNet, "recon")(aligned)[0].numpy()
    source = np.concatenate([found[80:144], found[224:227], found[254:257], [1.2, 128, 130]])
    source = source.astype(np.float32)
    shut = np.zeros(FRAMES, np.float32)
    shut[10:15] = (0.5, 0.9, 1, 0.9, 0.5)
    rows = face_coefficients(
        mel,
        FRAMES,
        source,
        shut=shut,
        noise=pose_noise(FRAMES, 7),
        style=3,
        expnet=network(ExpNet, "expnet"),
        posevae=network(PoseVAE, "posevae"),
    )
    mapping = network(MappingNet, "mapping-70")
    canonical = network(KeyPointDetector, "keypoints")(picture)
    resting = transform_keypoints(canonical, mapping(torch.from_numpy(steady_window(source[:70]))[None]))
    driven = torch.from_numpy(windows(rows, 0, 2))
    driving = transform_keypoints(canonical.expand(2, -1, -1), mapping(driven))
    generator = network(Generator, "generator")
    features = generator.encode(picture)
    warp = generator.dense_motion_network(features.compressed, driving, resting.expand(2, -1, -1))
    frames = generator(features, driving, resting)
    values = {
        "mel": mel[::8, ::5],
        "reconstruction": found,
        "coefficients": rows[::3],
        "canonical": canonical,
        "driving": driving,
        "deformation": warp.deformation[:, :, ::4, ::4],
        "occlusion": warp.occlusion[:, 0, ::2, ::2],
        "frames": frames[:, :, ::4, ::4],
    }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


if __name__ == "__main__":
    np.savez_compressed(FILE, **compute())
