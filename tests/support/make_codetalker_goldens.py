"""Writes codetalker_goldens.npz: what tiny networks of CodeTalker give, so that a change is noticed.

Run it, with the tests' folder on the path, only when the numbers are meant to change:
`PYTHONPATH=.:tests/support python tests/support/make_codetalker_goldens.py`. That the same code gives the
published numbers is tested where the recorded ones are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tiny_codetalker import FACES, tiny_pair, voice

from sadtalker_ext.engines.codetalker.networks.quantiser import Quantiser
from sadtalker_ext.engines.codetalker.networks.wav2vec import normalised
from sadtalker_ext.engines.codetalker.query import predict
from sadtalker_ext.engines.codetalker.query_fast import USUAL, blocks

FILE = Path(__file__).with_name("codetalker_goldens.npz")
SECONDS = 1.0
SHORT = replace(USUAL, growth=4, window=12, block=12, overlap=3)


def margin(quantiser: Quantiser, features: torch.Tensor) -> np.ndarray:
    """How much farther the second nearest entry is than the nearest, (…, slots)."""
    width = quantiser.embedding.embedding_dim
    least, second = quantiser.distances(features.reshape(-1, width)).topk(2, largest=False).values.unbind(1)
    return (second - least).view(*features.shape[:-1], -1).detach().numpy()


def compute() -> dict[str, np.ndarray]:
    """Of each face model: stage 1 on a motion, teacher forcing, and speech in both modes."""
    values: dict[str, np.ndarray | torch.Tensor] = {}
    for face in FACES:
        first, second = tiny_pair(face)
        dim = 3 * first.vertices
        time = np.linspace(0, 3, 26)[:, None]
        motion = torch.from_numpy(np.sin(time * (1 + np.arange(dim) % 5) + np.arange(dim))).float()[None]
        sound = voice(SECONDS)
        with torch.no_grad():
            made, z = first(motion), first.encode(motion)
            taught = second(normalised(torch.from_numpy(sound))[None], motion, torch.tensor([1]), first)
            nothing = lambda *_: None  # noqa: E731
            hidden = torch.cat(list(blocks(first, second, sound, second.style(2), nothing, nothing, SHORT)))
        exact = np.concatenate(list(predict(first, second, sound, style=(0, 2, 0.25), exact=True)))
        values |= {
            f"{face}/z": z[0, ::5],
            f"{face}/codes": made.codes[0],
            f"{face}/margin": margin(first.quantize, z)[0],
            f"{face}/decoded": made.offsets[0, ::5],
            f"{face}/losses": torch.stack([made.loss, made.perplexity, taught.motion_loss, taught.code_loss]),
            f"{face}/taught": taught.features[0, ::5],
            f"{face}/exact": exact[::5],
            f"{face}/fast": hidden[::5],
        }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


if __name__ == "__main__":
    made = compute()
    np.savez_compressed(FILE, **made)
    print({name: float(value.min()) for name, value in made.items() if name.endswith("margin")})
