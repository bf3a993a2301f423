"""State dicts of CodeTalker: one naming for all, and choices that shapes do not tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from inspect import signature
from typing import Any, TypeVar

import torch
from torch import nn

from ...errors import WeightsError
from .compat import PUBLISHED, Compat

SETTINGS = "settings"  # JSON as bytes, where a training of one's own chose otherwise than the published one
NEW_NAMES = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
N = TypeVar("N", bound=nn.Module)


def plain_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights by the names of the published files, without position tables, which are computed.

    Newer torch names the two halves of a normalised weight otherwise; both are understood.
    """
    named = {}
    for name, tensor in state.items():
        if name.endswith(".pe") or name == SETTINGS or name.startswith("autoencoder."):
            continue
        for new, old in NEW_NAMES.items():
            name = name.replace(new, old)
        named[name] = tensor
    return named


def settings(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """What the state dict says about itself; empty in published files. Raises `WeightsError`."""
    if SETTINGS not in state:
        return {}
    try:
        found = json.loads(bytes(state[SETTINGS].to(torch.uint8).tolist()).decode())
    except ValueError as error:
        raise WeightsError("The settings in the weight file are damaged; fetch or train it anew.") from error
    if not isinstance(found, dict):
        raise WeightsError("The settings in the weight file are not a table; fetch or train it anew.")
    return found


def as_compat(found: Mapping[str, Any]) -> Compat:
    """The choices among settings, which may be a table; the published ones where nothing is said."""
    told = found.get("compat", PUBLISHED)
    return told if isinstance(told, Compat) else Compat(**told)


def with_settings(state: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The state dict, detached, with settings inside unless there are none."""
    kept = {name: tensor.detach() for name, tensor in state.items()}
    if values:
        kept[SETTINGS] = torch.tensor(list(json.dumps(values).encode()), dtype=torch.uint8)
    return kept


def can_assign() -> bool:
    """Whether weights can take the place of others without a copy; torch before 2.1 cannot."""
    return "assign" in signature(nn.Module.load_state_dict).parameters


def layers(state: Mapping[str, torch.Tensor], prefix: str) -> int:
    """How many numbers follow the prefix in the names."""
    found = {name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)}
    return sum(number.isdigit() for number in found)


def load_into(network: N, state: Mapping[str, torch.Tensor]) -> N:
    """The network with these weights, strictly, in float32, ready for inference."""
    weights = {name: tensor.float() for name, tensor in state.items()}
    if can_assign():
        network.load_state_dict(weights, assign=True)
    else:
        network.load_state_dict(weights)
    return network.eval().requires_grad_(False)
