"""A weight file into tensors: memory-mapped, only those that are asked for, and never running code in it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError

if TYPE_CHECKING:
    import torch


def read_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors whose dotted names begin with `prefix`, under what follows it.

    path: a .safetensors file, or what torch.save wrote; its dictionaries' keys are joined by dots. The file
    stays mapped into memory and is read page by page. Raises `WeightsError` where it cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            found = _from_safetensors(path, prefix)
        else:
            found = dict(_walk(_from_torch(path), "", prefix))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror or error}); check its permissions."
        ) from error
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than weights, which could run code; fetch the file anew from its author."
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError) as error:
        raise WeightsError(f"{path} is damaged ({error}); delete it and fetch it anew.") from error
    if not found:
        raise WeightsError(f"{path} holds no tensors named {prefix}…; it is another kind of file.")
    return found


def _from_safetensors(path: Path, prefix: str) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - not a dict
            return {name[len(prefix) :]: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _from_torch(path: Path) -> Any:
    # WebUIs replace torch.load by a function of their own, which refuses good files and returns None then.
    from torch.serialization import load

    try:
        return load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        return load(path, map_location="cpu", weights_only=True)  # the older format cannot be mapped


def _walk(value: Any, name: str, prefix: str) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        if name.startswith(prefix):
            yield name[len(prefix) :], value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            inside = f"{name}.{key}" if name else str(key)
            if inside.startswith(prefix) or prefix.startswith(inside):
                yield from _walk(inner, inside, prefix)
