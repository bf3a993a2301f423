"""The reference's recorded inputs and outputs, and weights made on the fly; tests skip without them."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from memory import let_go

from sadtalker_ext.engines.sadtalker.networks.expnet import ExpNet
from sadtalker_ext.engines.sadtalker.networks.face_render import Generator
from sadtalker_ext.engines.sadtalker.networks.face_render.fast import faster
from sadtalker_ext.engines.sadtalker.networks.keypoints import KeyPointDetector
from sadtalker_ext.engines.sadtalker.networks.mapping import MappingNet
from sadtalker_ext.engines.sadtalker.networks.posevae import PoseVAE
from sadtalker_ext.engines.sadtalker.networks.recon import ReconNet
from sadtalker_ext.engines.sadtalker.weights import loaded
from sadtalker_ext.system.caches import kept

HERE = Path(__file__).resolve()
ORACLE = next(
    (p / "shared/oracle/sadtalker" for p in HERE.parents if (p / "shared/oracle/sadtalker").is_dir()), None
)
SALTS = {"mapping_00109": "map109:", "mapping_00229": "map229:"}

NETWORKS = {
    "face_3drecon": ReconNet,
    "audio2exp": ExpNet,
    "audio2pose": PoseVAE,
    "mapping_00109": MappingNet,
    "mapping_00229": MappingNet,
    "kp_extractor": KeyPointDetector,
    "generator": Generator,
}

needs_oracle = pytest.mark.skipif(
    ORACLE is None, reason="needs ../shared/oracle/sadtalker beside the project"
)


@lru_cache
def _recipe() -> ModuleType:
    assert ORACLE is not None
    spec = importlib.util.spec_from_file_location("sadtalker_oracle_weights", ORACLE / "weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden(group: str) -> np.lib.npyio.NpzFile:
    assert ORACLE is not None
    return np.load(ORACLE / "golden" / f"{group}.npz")


def state(component: str, salt: str | None = None) -> dict[str, torch.Tensor]:
    """A component's state dict; salt "512:" is the other package."""
    arrays = _recipe().component(component, SALTS.get(component, "") if salt is None else salt)
    return {name: torch.as_tensor(array) for name, array in arrays.items()}


@kept(3)  # as many as a test needs at once
def network(component: str, salt: str | None = None) -> Any:
    """The component as it would be loaded, strictly, from an official file."""
    return loaded(NETWORKS[component].shaped_like, state(component, salt))


def face_render(salt: str | None = None) -> Generator:
    """The generator as frames are drawn with it: rearranged. It is large; what is kept makes room for it."""
    let_go()
    made = faster(loaded(Generator.shaped_like, state("generator", salt)))
    let_go()
    return made


def close(got: object, want: np.ndarray, *, relative: float = 1e-5, absolute: float | None = None) -> None:
    """Within `absolute`, or `relative` of the largest golden magnitude (at least 1)."""
    got = np.asarray(got, np.float64)
    want = np.asarray(want, np.float64)
    assert got.shape == want.shape
    limit = absolute if absolute is not None else relative * max(1.0, np.abs(want).max(initial=0.0))
    assert np.abs(got - want).max(initial=0.0) <= limit


def close_frame(got: object, want: np.ndarray) -> None:
    """The gates for frames: another summation order may flip isolated voxels of the motion's mask."""
    error = np.abs(np.asarray(got, np.float64) - np.asarray(want, np.float64))
    assert error.mean() <= 2e-5
    assert np.percentile(error, 99.9) <= 2e-4
    assert error.max() <= 5e-3
