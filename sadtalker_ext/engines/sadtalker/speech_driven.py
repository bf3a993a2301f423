"""Speech and a source face into SadTalker's coefficients: ExpNet's expressions and PoseVAE's head motion."""

from __future__ import annotations

import numpy as np
import torch

from ...host import Check, Report, nothing
from .coefficients import smooth_pose
from .mel import mel_windows, silent_windows
from .networks.expnet import EXPRESSIONS, ExpNet
from .networks.posevae import LATENT, POSE, PoseVAE

CHUNK = 250  # frames that the networks hear at a time: memory stays bounded


def pose_noise(frames: int, seed: int) -> np.ndarray:
    """Standard normal noise for PoseVAE, float32 (blocks, 64): what makes head motions differ."""
    shape = (PoseVAE.blocks(frames), LATENT)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@torch.no_grad()
def face_coefficients(
    mel: np.ndarray | None,
    frames: int,
    source: np.ndarray,
    *,
    shut: np.ndarray,
    noise: np.ndarray,
    style: int,
    expnet: ExpNet,
    posevae: PoseVAE,
    reference: np.ndarray | None = None,
    check: Check = nothing,
    report: Report = nothing,
) -> np.ndarray:
    """(frames, 70) float32 at 25 frames/s: 64 expression coefficients, then pitch yaw roll (rad) and x y z.

    mel: rows of `audio.mel.mel_spectrogram`, or None for a face that says nothing. source: (70,) or more, the
    portrait's coefficients. shut: (frames,) how far the eyes are, 0..1. noise: of `pose_noise`. style: 0..45.
    reference: (frames, 64) expressions in the place of the source's, whose eyes are followed.
    """
    device = next(expnet.parameters()).device

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(device)

    expressions = np.empty((frames, EXPRESSIONS), np.float32)
    heard = torch.empty(frames, POSE, device=device)
    own = tensor(source[:EXPRESSIONS])
    for first in range(0, frames, CHUNK):
        check()
        last = min(first + CHUNK, frames)
        sound = tensor(silent_windows(last - first) if mel is None else mel_windows(mel, first, last))
        look = own.expand(last - first, -1) if reference is None else tensor(reference[first:last])
        closed = tensor(shut[first:last])[:, None]
        expressions[first:last] = expnet(sound[:, None], look, closed).cpu().numpy()
        heard[first:last] = posevae.listen(sound)
        report(last, frames)
    at_rest = tensor(source[EXPRESSIONS : EXPRESSIONS + POSE])
    motion = posevae.decode(heard, at_rest, style, tensor(noise))
    return np.concatenate([expressions, smooth_pose((at_rest + motion).cpu().numpy())], axis=1)
