"""CodeTalker's two networks, loaded when they are needed, on their device, and kept for the next speech."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from ..checkpoints.codetalker import Pair, available, load_pair
from ..errors import MeshError
from ..networks.codetalker import CodeQuery, VQAutoEncoder

KEPT = 1  # pairs of networks in memory


@dataclass(frozen=True)
class CodeNetworks:
    """Both stages of a face model. fps: frames per second of the motion that they make."""

    name: str
    stage1: VQAutoEncoder
    stage2: CodeQuery
    fps: float


def choose_pair(models_dir: Path, name: str | None, vertices: int | None) -> Pair:
    """The face model of that name, or, without one, the first that moves as many vertices.

    vertices: of the mesh that is to move; None: whichever. Raises `WeightsError` for a name that is not there
    or a pair that does not fit, `MeshError` where nothing fits the mesh.
    """
    if name is not None:
        return load_pair(models_dir, name)
    known = available(models_dir)
    pairs = [load_pair(models_dir, each) for each in known]
    if not pairs:
        return load_pair(models_dir, "vocaset")  # says what is missing
    fitting = next((pair for pair in pairs if vertices in (None, pair.vertices)), None)
    if fitting is None:
        moved = " and ".join(f"{pair.vertices:,} ({pair.name})" for pair in pairs)
        raise MeshError(
            f"The mesh has {vertices:,} vertices, and the networks here move {moved}; give a mesh of their "
            "topology."
        )
    return fitting


def load_networks(models_dir: Path, name: str | None, vertices: int | None, device: str) -> CodeNetworks:
    """The networks that `choose_pair` chooses, on the device; read once for the speeches that follow."""
    pair = choose_pair(models_dir, name, vertices)
    stamps = tuple((str(path), path.stat().st_mtime_ns) for path in pair.files)
    return _load(pair.name, stamps, models_dir, device)


def release() -> None:
    """Forget the networks, so that the host gets their memory back."""
    _load.cache_clear()


@lru_cache(maxsize=KEPT)
def _load(name: str, stamps: tuple[tuple[str, int], ...], models_dir: Path, device: str) -> CodeNetworks:
    pair = load_pair(models_dir, name)
    stage1 = VQAutoEncoder.from_state(pair.stage1).to(torch.device(device))
    stage2 = CodeQuery.from_state(pair.stage2).to(torch.device(device))
    return CodeNetworks(pair.name, stage1, stage2, pair.fps)
