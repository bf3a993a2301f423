"""A file of vertex numbers, such as those of the lips, into an array of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import MeshError
from ..system.paths import is_file
from .pickles import read_pickle

TEXT_LIMIT = 50_000_000  # bytes
LIPS = ("lips",)  # names in FLAME's collection of masks
UPPER_FACE = ("forehead", "eye_region")


def read_region(path: str | Path, vertices: int, parts: Sequence[str]) -> np.ndarray:
    """Numbers of vertices, int64 (N,), counted from 0.

    path: a text file of numbers with commas or white space between them, in its order; or a pickle of a
    dictionary name → numbers, as FLAME_masks.pkl is, of which the union of `parts` is taken. vertices: how
    many the topology has. Raises `MeshError` where there are none, or other vertices than those.
    """
    path = Path(path)
    if not is_file(path):
        raise MeshError("There is no region file {path}; check the name.", path)
    region = _from_masks(path, parts) if path.suffix.lower() in (".pkl", ".pickle") else _from_text(path)
    if region.size == 0:
        raise MeshError("{path} names no vertices; a region is a list of their numbers.", path)
    if not 0 <= int(region.min()) <= int(region.max()) < vertices:
        raise MeshError(
            f"{{path}} is for another topology: its numbers go from {region.min():,} to {region.max():,}, "
            f"and there are {vertices:,} vertices.",
            path,
        )
    return region


def _from_text(path: Path) -> np.ndarray:
    try:
        if path.stat().st_size > TEXT_LIMIT:
            raise MeshError("{path} is too large for a list of vertex numbers.", path)
        words = path.read_text(encoding="utf-8").replace(",", " ").split()
        return np.array([int(word) for word in words], dtype=np.int64)
    except OSError as error:
        raise MeshError("{path} cannot be read ({error}).", path, error) from error
    except (ValueError, OverflowError) as error:
        raise MeshError(
            "{path} is no list of vertex numbers: it must hold whole numbers with commas between them.", path
        ) from error


def _from_masks(path: Path, parts: Sequence[str]) -> np.ndarray:
    masks = read_pickle(path)
    if not isinstance(masks, dict):
        raise MeshError("{path} holds no named regions.", path)
    lacking = [part for part in parts if part not in masks]
    if lacking:
        known = ", ".join(sorted(map(str, masks)))
        raise MeshError(
            "{path} has no region {lacking}; it has {known}.", path, lacking=" or ".join(lacking), known=known
        )
    arrays = [np.asarray(masks[part]) for part in parts]
    if any(array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) for array in arrays):
        raise MeshError("{path} holds regions that are no lists of vertex numbers.", path)
    return np.unique(np.concatenate(arrays)).astype(np.int64)
