"""A waveform into steps of sound: wav2vec 2.0 of the package transformers, its sizes read off weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ....errors import DependencyError
from .state_dicts import layers

SAMPLE_RATE = 16000  # Hz
HOP = 320  # samples between steps
FIELD = 400  # samples that one step hears
STRIDES = (5, 2, 2, 2, 2, 2, 2)
KERNELS = (10, 3, 3, 3, 3, 2, 2)
HEAD_WIDTH = 64
FAINT = 1e-7  # added to the variance of waveforms
AT_ONCE = 10 * SAMPLE_RATE  # samples that are measured together
MASKED, SPAN, FEWEST_SPANS = 0.05, 10, 2  # of SpecAugment: share of steps, steps in a span, spans
# Of the published network, under their names in transformers.
PUBLISHED_SIZES: Mapping[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "conv_dim": (512,) * len(STRIDES),
    "conv_kernel": KERNELS,
    "conv_stride": STRIDES,
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
}
FIXED: Mapping[str, Any] = {
    "vocab_size": 32,
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "feat_extract_norm": "group",
    "do_stable_layer_norm": False,
    "hidden_dropout": 0.1,
    "activation_dropout": 0.1,
    "attention_dropout": 0.1,
    "feat_proj_dropout": 0.1,
    "layerdrop": 0.1,
    "mask_time_prob": MASKED,
    "mask_time_length": SPAN,
    "mask_feature_prob": 0.0,
    "layer_norm_eps": 1e-5,
}


def steps(samples: int) -> int:
    """How many steps of sound the convolutions make of that many samples."""
    return 1 + (samples - FIELD) // HOP if samples >= FIELD else 0


def samples_for(steps: int) -> int:
    """The fewest samples that give so many steps."""
    return FIELD + (steps - 1) * HOP


def wav2vec2_sizes(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """What a Wav2Vec2Config says about sizes, read off tensors named as in the published files."""
    convs = [
        state[f"feature_extractor.conv_layers.{number}.conv.weight"]
        for number in range(layers(state, "feature_extractor.conv_layers."))
    ]
    hidden = state["feature_projection.projection.weight"].shape[0]
    position = state["encoder.pos_conv_embed.conv.weight_v"]
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers(state, "encoder.layers."),
        "num_attention_heads": hidden // HEAD_WIDTH,
        "intermediate_size": state["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0],
        "conv_dim": tuple(conv.shape[0] for conv in convs),
        "conv_kernel": tuple(conv.shape[2] for conv in convs),
        "conv_stride": STRIDES,
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in state,
        "num_conv_pos_embeddings": position.shape[2],
        "num_conv_pos_embedding_groups": hidden // position.shape[1],
    }


def build_wav2vec2(sizes: Mapping[str, Any] = PUBLISHED_SIZES) -> Any:
    """A `transformers.Wav2Vec2Model` with random weights, named as in the published files in every release.

    Nothing is fetched. Raises `DependencyError` where transformers is missing.
    """
    try:
        from transformers import Wav2Vec2Config, Wav2Vec2Model
    except ImportError as error:
        raise DependencyError(
            "CodeTalker hears with the package transformers, which cannot be used here ({error}); install it "
            "with: pip install transformers",
            error,
        ) from error
    made = Wav2Vec2Model(Wav2Vec2Config(**FIXED, **sizes))
    place = made.encoder.pos_conv_embed
    place.conv = WeightNormConv(
        sizes["hidden_size"], sizes["num_conv_pos_embeddings"], sizes["num_conv_pos_embedding_groups"]
    )
    return made


class WeightNormConv(nn.Module):
    """Grouped convolution over time whose weight has a learnt length for each of its taps.

    torch has two names for the halves of such a weight; this keeps those of the published files.
    """

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        plain = nn.Conv1d(width, width, kernel, groups=groups)
        assert plain.bias is not None
        self.bias = plain.bias
        self.weight_v = nn.Parameter(plain.weight.detach())
        self.weight_g = nn.Parameter(self._lengths().detach())
        self.padding, self.groups = kernel // 2, groups

    def _lengths(self) -> torch.Tensor:
        return self.weight_v.square().sum((0, 1), keepdim=True).sqrt()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight_v * (self.weight_g / self._lengths())
        return F.conv1d(x, weight, self.bias, padding=self.padding, groups=self.groups)


def normalised(samples: torch.Tensor) -> torch.Tensor:
    """Waveforms (…, N) with zero mean and unit variance each, as wav2vec 2.0 was trained to hear."""
    exact = samples.double()
    mean = exact.mean(-1, keepdim=True)
    variance = (exact - mean).square().mean(-1, keepdim=True)
    return ((exact - mean) / (variance + FAINT).sqrt()).to(samples.dtype)


def level(samples: np.ndarray) -> tuple[float, float]:
    """(mean, deviation) by which `normalised` shifts and divides; long recordings are read in parts."""
    parts = range(0, len(samples), AT_ONCE)
    mean = sum(float(samples[at : at + AT_ONCE].sum(dtype=np.float64)) for at in parts) / len(samples)
    squares = sum(float(np.square(samples[at : at + AT_ONCE] - mean).sum(dtype=np.float64)) for at in parts)
    return mean, math.sqrt(squares / len(samples) + FAINT)


def masked(projected: torch.Tensor, blank: torch.Tensor) -> torch.Tensor:
    """SpecAugment in training: spans of (B, S, width) are replaced by `blank` (width,), drawn by torch."""
    batch, length, _ = projected.shape
    if length < SPAN:
        return projected
    drawn = MASKED * length / SPAN + torch.rand(()).item()
    spans = min(max(int(drawn), FEWEST_SPANS), length // SPAN)
    starts = torch.stack([torch.randperm(length - SPAN + 1)[:spans] for _ in range(batch)])
    hidden = torch.zeros(batch, length, dtype=torch.bool)
    for offset in range(SPAN):
        hidden.scatter_(1, starts + offset, True)
    return torch.where(hidden[..., None].to(projected.device), blank.to(projected.dtype), projected)
