"""A training run on disk: the weights to use, the state to go on from, and what was asked for."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import OutputError, TrainingError
from ..system.outputs import write_whole

STATE = "state.pt"
ABOUT = "run.json"
FORMAT = 1


class RunFolder:
    """Files get their names when they are whole: a crash leaves the former ones."""

    def __init__(self, folder: str | Path, model: str, *, resume: bool) -> None:
        """model: name of the file of weights.

        Raises `TrainingError` where there is nothing to resume, or something that would be lost.
        """
        self.folder = folder = Path(folder)
        self.model, self.state = self.folder / model, self.folder / STATE
        if resume and not self.state.exists():
            raise TrainingError(f"{self.folder} holds no training to resume; leave out --resume.")
        if not resume and (self.state.exists() or self.model.exists()):
            raise TrainingError(f"{self.folder} holds a training; --resume it, or choose another folder.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"{folder} cannot be made ({error.strerror}); choose another.") from error

    def save_model(self, weights: Mapping[str, torch.Tensor]) -> None:
        """The weights to use, in the layout of the published files: {"state_dict": …}."""
        state = OrderedDict((name, tensor.detach().cpu().contiguous()) for name, tensor in weights.items())
        self._save(self.model, {"state_dict": state})

    def save_state(self, state: Mapping[str, Any]) -> None:
        """All that is needed to go on as if nothing had happened."""
        self._save(self.state, {"format": FORMAT, **state})

    def _save(self, path: Path, value: Mapping[str, Any]) -> None:
        try:
            write_whole(path, True, lambda file: torch.save(value, file))
        except RuntimeError as error:  # how torch tells of a full disk
            raise OutputError(f"Cannot write {path} ({error}); free some space, then --resume.") from error

    def load_state(self) -> dict[str, Any]:
        """What `save_state` wrote, on the CPU; `TrainingError` where it cannot be read."""
        from torch.serialization import load

        try:
            found = load(self.state, map_location="cpu", weights_only=True)
            assert isinstance(found, dict)
        except Exception as error:  # damaged archives and pickles raise a dozen classes
            raise TrainingError(f"{self.state} cannot be read ({error}); start anew elsewhere.") from error
        if found.get("format") != FORMAT:
            raise TrainingError(f"{self.state} is of another version; finish the run with that one.")
        return found

    def tell(self, about: Mapping[str, Any]) -> None:
        """What was asked for and what came of it, for people and for `told`."""
        text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
        write_whole(self.folder / ABOUT, True, lambda file: file.write(text.encode()))

    def told(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise TrainingError(f"{self.folder / ABOUT} cannot be read ({error}).") from error
        return found if isinstance(found, dict) else {}
