"""SadTalker's networks at tiny widths with lively weights, and their state dicts, for tests."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import torch
from torch import nn

from sadtalker_ext.engines.sadtalker.networks.expnet import ExpNet
from sadtalker_ext.engines.sadtalker.networks.face_render import DenseMotion, Generator, SpadeDecoder
from sadtalker_ext.engines.sadtalker.networks.keypoints import KeyPointDetector
from sadtalker_ext.engines.sadtalker.networks.mapping import MappingNet
from sadtalker_ext.engines.sadtalker.networks.posevae import PoseVAE
from sadtalker_ext.engines.sadtalker.networks.recon import ReconNet

N = TypeVar("N", bound=nn.Module)


def tiny_generator() -> Generator:
    motion = DenseMotion(4, 4, 3, 2, down=(6, 8, 10), up=(8, 6, 4))
    return Generator((4, 6, 8), 4, 4, 1, motion, SpadeDecoder(8, 5, 10, 2, (6, 4)), label=8)


def tiny_detector() -> KeyPointDetector:
    return KeyPointDetector((4, 6, 8), (6, 4, 4), depth=4, keypoints=3)


def lively(network: N) -> N:
    """Weights and statistics away from their starting values, so that a forgotten one is noticed."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and name != "down.weight":
                noise = torch.randn(tensor.shape, generator=generator)
                if name.endswith(("running_var", "norm.weight")):
                    tensor.copy_(1 + 0.2 * noise.abs())
                else:
                    tensor.copy_(noise * (0.3 if tensor.ndim > 1 else 0.1))
        for block in network.modules():
            if hasattr(block, "weight_u"):  # as spectral norm keeps them: a unit vector each
                block.weight_u /= block.weight_u.norm()
                block.weight_v /= block.weight_v.norm()
                block.weight_orig += torch.outer(block.weight_u, block.weight_v).view_as(block.weight_orig)
    return network.eval()


@lru_cache
def tiny_states() -> dict[str, dict[str, torch.Tensor]]:
    """State dicts by component; `mapping-70` and `mapping-73` are the two mapping networks."""
    networks: dict[str, nn.Module] = {
        "recon": ReconNet(4),
        "expnet": ExpNet(4),
        "posevae": PoseVAE(4, 3, 12),
        "keypoints": tiny_detector(),
        "generator": tiny_generator(),
        "mapping-70": MappingNet(70, 16, 3),
        "mapping-73": MappingNet(73, 16, 3),
    }
    states = {name: lively(network).state_dict() for name, network in networks.items()}
    # The place under the model is told in pixels, a hundred times what the other coefficients are.
    states["mapping-73"]["first.0.weight"][:, 70:] *= 0.01
    for name in ("mapping-70", "mapping-73"):  # offsets and shifts small beside the face
        for head in ("fc_exp", "fc_t"):
            states[name][f"{head}.weight"] *= 0.03
    states["recon"]["final_layers.1.weight"] *= 0.05
    return states
