"""The engine sadtalker with tiny networks in the place of its weights, a portrait and a voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_sadtalker import tiny_states

from sadtalker_ext import checkpoints, pipeline
from sadtalker_ext.engines.sadtalker import weights as sources


@pytest.fixture(scope="session")
def face() -> np.ndarray:
    """uint8 (140, 120, 3): noise; `POINTS` say where the face is."""
    return np.random.default_rng(1).integers(0, 255, (140, 120, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def points() -> tuple[tuple[float, float], ...]:
    return ((45, 55), (75, 55), (60, 72), (49, 88), (71, 88))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From here on the engine has its weights: tiny ones. Returns the models folder."""
    folder = tmp_path_factory.mktemp("tiny-models")
    monkeypatch.setenv("SADTALKER_MODELS", str(folder))
    monkeypatch.setattr(
        checkpoints,
        "status",
        lambda checkpoint, folder: checkpoints.Status(
            checkpoint, checkpoints.PRESENT, folder / checkpoint.file
        ),
    )
    monkeypatch.setattr(sources, "complete", lambda folder, size: True)
    monkeypatch.setattr(sources, "find", lambda checkpoint, folder: folder / checkpoint.file)
    monkeypatch.setattr(sources.Sources, "state", lambda self, component: tiny_states()[component])
    monkeypatch.setattr(
        sources.Sources, "mapping", lambda self, whole: tiny_states()["mapping-73" if whole else "mapping-70"]
    )
    pipeline.release()
    torch.manual_seed(0)
    yield folder
    pipeline.release()
