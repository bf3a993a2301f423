"""A weight file into tensors: memory-mapped, only those that are asked for, and never running code in it."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..system.foreign import damage_as
from .contents import UNSAFE, Fault, read_contents

if TYPE_CHECKING:
    import torch


def read_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors whose dotted names begin with `prefix`, under what follows it.

    path: a safetensors file, whatever its name, or what torch.save wrote; its dictionaries' keys are joined
    by dots. The file stays mapped into memory and is read page by page. Raises `WeightsError` where it cannot
    be read.
    """
    try:
        read_contents(path)  # torch itself can be made to read for ever, or to end the process
    except Fault as fault:
        told = "{path} holds what could run code (it {reason}); fetch the file anew from its author."
        if fault.state != UNSAFE:
            told = "{path} is damaged or no weight file (it {reason}); delete it and fetch it anew."
        raise WeightsError(told, path, reason=fault.reason) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    with damage_as(lambda error: _damaged(path, error)):
        try:
            if _is_safetensors(path):
                found = _from_safetensors(path, prefix)
            else:
                found = dict(_walk(_from_torch(path), "", prefix))
        except OSError as error:
            raise _unreadable(path, error) from error
    if not found:
        raise WeightsError(f"{{path}} holds no tensors named {prefix}…; it is another kind of file.", path)
    return found


def _unreadable(path: Path, error: OSError) -> WeightsError:
    if error.errno == errno.EINVAL:  # mapping more bytes than there are
        return WeightsError("{path} is cut off or damaged; delete it and fetch it anew.", path)
    return WeightsError("{path} cannot be read ({error}); check its permissions.", path, error)


def _damaged(path: Path, error: Exception) -> WeightsError:
    if isinstance(error, pickle.UnpicklingError):
        told = "{path} holds more than weights, which could run code; fetch the file anew from its author."
        return WeightsError(told, path)
    return WeightsError("{path} is damaged ({error}); delete it and fetch it anew.", path, error)


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"  # after the header's length, the header


def _from_safetensors(path: Path, prefix: str) -> dict[str, torch.Tensor]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - not a dict
        return {name[len(prefix) :]: file.get_tensor(name) for name in names}


def _from_torch(path: Path) -> Any:
    # WebUIs replace torch.load by a function of their own, which refuses good files and returns None then.
    from torch.serialization import load

    try:
        return load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, TypeError) as error:
        if "mmap" not in str(error):
            raise
        # The older format cannot be mapped, and torch before 2.1 cannot map.
        return load(path, map_location="cpu", weights_only=True)


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
