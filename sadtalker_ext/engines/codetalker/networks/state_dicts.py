"""State dicts of CodeTalker: one naming for all, and choices that shapes do not tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from inspect import signature
from typing import Any, TypeVar

import torch
from torch import nn

from ....errors import WeightsError
from .compat import PUBLISHED, Compat, Rhythm

SETTINGS = "settings"  # JSON as bytes, where a training of one's own chose otherwise than the published one
MOST_SETTINGS = 1 << 16  # bytes
MOST_HEADS, MOST_HALVINGS = 1024, 16
WIDTHS = ("encoder.vertice_mapping.0.weight", "vertice_map.weight")  # whose rows heads share, of either stage
NEW_NAMES = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
N = TypeVar("N", bound=nn.Module)
T = TypeVar("T")


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
    """What the state dict says about itself, checked; empty in published files.

    heads, halvings: int. compat: `Compat`. rhythm: `Rhythm`. Raises `WeightsError` for anything else.
    """
    if SETTINGS not in state:
        return {}
    try:
        if state[SETTINGS].numel() > MOST_SETTINGS:
            raise ValueError("too many")
        found = json.loads(bytes(state[SETTINGS].flatten().to(torch.uint8).tolist()).decode())
    except (ValueError, TypeError, RuntimeError, RecursionError) as error:
        raise WeightsError("The settings in the weight file are damaged; fetch or train it anew.") from error
    if not isinstance(found, dict):
        raise WeightsError("The settings in the weight file are not a table; fetch or train it anew.")
    return {name: _checked(name, value, state) for name, value in found.items()}


def as_compat(found: Mapping[str, Any]) -> Compat:
    """The choices among settings, which may be a table; the published ones where nothing is said.

    Raises `WeightsError`.
    """
    told = found.get("compat", PUBLISHED)
    return told if isinstance(told, Compat) else _made(Compat, "compat", told)


def _checked(name: str, value: Any, state: Mapping[str, torch.Tensor]) -> Any:
    if name == "compat":
        return _made(Compat, name, value)
    if name == "rhythm":
        return _made(Rhythm, name, value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if name == "heads" and whole and 1 <= value <= MOST_HEADS:
        if not any(state[width].shape[0] % value for width in WIDTHS if width in state):
            return value
    elif name == "halvings" and whole and 0 <= value <= MOST_HALVINGS:
        return value
    raise _unknown(name, str(value))


def _made(kind: type[T], name: str, told: Any) -> T:
    try:
        return kind(**told)
    except (TypeError, ValueError) as error:  # no table, other fields, other values
        raise _unknown(name, str(error)) from error


def _unknown(name: str, reason: str) -> WeightsError:
    return WeightsError(
        f"The weight file says of its {name[:40]!r} what this version does not know ({reason[:200]}); fetch "
        "or train it anew."
    )


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
