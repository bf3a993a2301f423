"""CodeTalker's networks at tiny widths with lively weights, for tests."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from sadtalker_ext.engines.codetalker.networks import (
    BIWI,
    PUBLISHED,
    VOCASET,
    CodeQuery,
    Compat,
    QuerySizes,
    Sizes,
    VQAutoEncoder,
)
from sadtalker_ext.engines.codetalker.networks.wav2vec import KERNELS, SAMPLE_RATE, STRIDES

VERTICES, STYLES = 9, 3
SPEECH_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 24,
    "conv_dim": (12,) * len(STRIDES),
    "conv_kernel": KERNELS,
    "conv_stride": STRIDES,
    "conv_bias": False,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 16,
}
VOCASET_LIKE = Sizes(VERTICES, width=32, hidden=24, layers=2, slots=4, code=8, entries=12)
BIWI_LIKE = replace(VOCASET_LIKE, slots=2, code=12, projected=True, output_bias=False)
FACES = {"vocaset": (VOCASET_LIKE, VOCASET), "biwi": (BIWI_LIKE, BIWI)}


def lively(network: torch.nn.Module) -> None:
    """Weights that keep the size of what passes through them, and biases away from zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name.endswith(("embedding.weight", "style_emb.weight")):
                weight.copy_(noise)
            elif name.endswith("bias"):
                weight.copy_(0.1 * noise)
            elif weight.ndim == 1 or name.endswith("weight_g"):
                weight.copy_(1 + 0.1 * noise)
            else:
                weight.copy_(noise * weight[0].numel() ** -0.5)


def tiny_stage1(sizes: Sizes = VOCASET_LIKE, compat: Compat = PUBLISHED) -> VQAutoEncoder:
    network = VQAutoEncoder(sizes, compat)
    lively(network)
    return network.eval()


def tiny_stage2(face: str = "vocaset", compat: Compat = PUBLISHED) -> CodeQuery:
    sizes, rhythm = FACES[face]
    query = QuerySizes(VERTICES, STYLES, sizes.slots * sizes.code, 32, 40, 2, speech=SPEECH_SIZES)
    network = CodeQuery(query, rhythm, compat)
    lively(network)
    return network.eval().requires_grad_(False)


@lru_cache
def tiny_pair(face: str) -> tuple[VQAutoEncoder, CodeQuery]:
    """Both stages of a face model, not to be changed."""
    return tiny_stage1(FACES[face][0]).requires_grad_(False), tiny_stage2(face)


def voice(seconds: float) -> np.ndarray:
    """(N,) float32 at 16 kHz: a tone that wanders and stutters."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * (150 + 40 * np.sin(2 * np.pi * 0.7 * time)) * time)
    rough = np.random.default_rng(2).standard_normal(len(time))
    loud = np.sin(2 * np.pi * 2.3 * time) ** 2
    return (loud * (0.4 * tone + 0.1 * rough)).astype(np.float32)
