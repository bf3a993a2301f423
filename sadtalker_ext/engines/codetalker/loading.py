"""CodeTalker's two networks, loaded when they are needed, on their device, and kept for the next speech."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ...errors import MeshError
from ...system.caches import kept
from .networks import CodeQuery, VQAutoEncoder
from .weights import load_pair, stages

KEPT = 1  # pairs of networks in memory
PUBLISHED = "vocaset"  # the face model that is asked for where there is none


@dataclass(frozen=True)
class CodeNetworks:
    """Both stages of a face model."""

    name: str
    stage1: VQAutoEncoder
    stage2: CodeQuery


def choose(models_dir: Path, name: str | None, vertices: int | None) -> tuple[str, int]:
    """The name of a face model and the vertices it moves, as headers tell: that of that name, or the first
    that moves as many vertices.

    vertices: of the mesh that is to move; None: whichever. Raises `WeightsError` for a name that is not there
    or a pair that does not fit, `MeshError` where nothing fits the mesh.
    """
    known = stages(models_dir)
    if name is not None or not known:
        asked = (name or PUBLISHED).lower()
        if asked not in known:
            load_pair(models_dir, asked)  # says what is missing
        return asked, known[asked][0].vertices
    moved = {found: first.vertices for found, (first, _) in known.items()}
    fitting = next((found for found, count in moved.items() if vertices in (None, count)), None)
    if fitting is None:
        there = " and ".join(f"{count:,} ({found})" for found, count in moved.items())
        raise MeshError(
            f"The mesh has {vertices:,} vertices, and the networks here move {there}; give a mesh of their "
            "topology."
        )
    return fitting, moved[fitting]


def load_networks(models_dir: Path, name: str, device: str) -> CodeNetworks:
    """The face model's networks on the device, read once for the speeches that follow each other."""
    pair = stages(models_dir).get(name)
    files = load_pair(models_dir, name).files if pair is None else tuple(stage.path for stage in pair)
    stamps = tuple((str(path), path.stat().st_mtime_ns) for path in files)
    return _load(name, stamps, models_dir, device)


@kept(KEPT)
def _load(name: str, stamps: tuple[tuple[str, int], ...], models_dir: Path, device: str) -> CodeNetworks:
    pair = load_pair(models_dir, name)
    stage1 = VQAutoEncoder.from_state(pair.stage1).to(torch.device(device))
    return CodeNetworks(pair.name, stage1, CodeQuery.from_state(pair.stage2).to(torch.device(device)))
