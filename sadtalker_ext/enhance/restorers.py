"""Faces in upright squares into finer ones: by a network of spandrel's, or by the host."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

HALFWAY = 0.5  # strength up to which CodeFormer's result is mixed in, and from which it is let loose


class Restorer(Protocol):
    """name: for the metadata. batch: faces it is best given at once."""

    name: str
    batch: int

    def restore(self, faces: np.ndarray, strength: float) -> np.ndarray:
        """float32 (N, 512, 512, 3), 0..1 from the same; the strength 0..1 matters only to some."""

    def share(self, strength: float) -> float:
        """How much of the difference is to be added at a strength, 0..1."""


class NetworkRestorer:
    """GFPGAN, CodeFormer or RestoreFormer: networks that take and give numbers from -1 to 1."""

    def __init__(self, name: str, network: torch.nn.Module, device: str, batch: int) -> None:
        self.name, self.batch = name, batch
        self._network, self._device = network, device
        self._takes = set(inspect.signature(network.forward).parameters)

    def restore(self, faces: np.ndarray, strength: float) -> np.ndarray:
        import torch

        channels_first = np.ascontiguousarray(faces.transpose(0, 3, 1, 2))  # GFPGAN flattens it as it lies
        given = torch.from_numpy(channels_first).to(self._device)
        settings: dict[str, Any] = {}
        if "randomize_noise" in self._takes:  # GFPGAN's own grain, the same in every frame
            settings.update(randomize_noise=False, return_rgb=False)
        if self.name == "codeformer":  # 1 is faithful, 0 is fine
            settings.update({"weight" if "weight" in self._takes else "w": 1 - strength, "adain": True})
        with torch.inference_mode():
            made = self._network(given * 2 - 1, **settings)
        made = made[0] if isinstance(made, (tuple, list)) else made
        made = ((made.float() + 1) / 2).clamp_(0, 1).nan_to_num_()
        return made.permute(0, 2, 3, 1).cpu().numpy()

    def share(self, strength: float) -> float:
        return min(1.0, strength / HALFWAY) if self.name == "codeformer" else strength


class HostRestorer:
    """The host's own face restoration: it takes and gives uint8 (512, 512, 3), and finds the face itself."""

    name = "host"
    batch = 1

    def __init__(self, restore_faces: Callable[[np.ndarray], np.ndarray]) -> None:
        self._restore_faces = restore_faces

    def restore(self, faces: np.ndarray, strength: float) -> np.ndarray:
        made = []
        for face in faces:
            given = np.clip(np.rint(face * 255), 0, 255).astype(np.uint8)
            answer = np.asarray(self._restore_faces(given))
            if answer.shape != given.shape:
                answer = given
            made.append(answer.astype(np.float32) / 255)
        return np.stack(made)

    def share(self, strength: float) -> float:
        return strength
