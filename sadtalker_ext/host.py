"""Where we run: the Host protocol, progress, cancelling, and the standalone host."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .errors import Cancelled
from .user_folders import cache_folder

if TYPE_CHECKING:
    import numpy as np

MODELS_VARIABLE = "SADTALKER_MODELS"  # names the folder for weights
STAGES: tuple[str, ...] = ("speech", "portrait", "motion", "render")


@dataclass(frozen=True)
class Progress:
    """One step of a run: `done` of `total` units of `stage`; while rendering, the frame just made.

    stage: one of `STAGES`. total: 0 when unknown. frame: uint8 (H, W, 3 or 4), not to be kept or changed; it
    does not count when two steps are compared.
    """

    stage: str
    done: int
    total: int
    frame: np.ndarray | None = field(default=None, compare=False, repr=False)


ProgressCallback = Callable[[Progress], None]
Check = Callable[[], None]  # called often during long work; raises `Cancelled` where it is to end
Report = Callable[[int, int], None]  # hears how much is done, and of how much


def nothing(*_: object) -> None:
    """Nobody listens, and nobody cancels."""


class CancelToken:
    """Stops a run from another thread: `cancel()` there, and the run raises `Cancelled` within a frame."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` if `cancel` was called."""
        if self.cancelled:
            raise Cancelled


@dataclass(frozen=True)
class Run:
    """What long work asks of, and tells to, whoever started it.

    check: called often; raises `Cancelled` where the run is to end. report: hears of every step. notices:
    sentences worth showing with the result, each once.
    """

    host: Host = field(default_factory=lambda: StandaloneHost())
    check: Check = nothing
    report: ProgressCallback = nothing
    notices: list[str] = field(default_factory=list)

    def notice(self, *sentences: str) -> None:
        """Keep sentences for the result."""
        self.notices.extend(sentence for sentence in sentences if sentence not in self.notices)

    def stage(self, name: str) -> Report:
        """What is called with done and total while a stage (of `STAGES`) goes on."""
        return lambda done, total: self.report(Progress(name, done, total))


class Host(Protocol):
    """What a run asks of the place it runs in."""

    name: str

    def device(self) -> str:
        """The torch device to compute on: cpu, cuda, mps, xpu …"""

    def models_dir(self) -> Path:
        """The folder where weights that users download live."""

    def output_dir(self) -> Path:
        """The folder for results when none was named."""


class StandaloneHost:
    """The command line and the Python library: the current folder, and a models folder per user."""

    name = "standalone"

    def device(self) -> str:
        from importlib.metadata import PackageNotFoundError, version

        # A build for the CPU says so in its version; importing torch to learn the same takes seconds.
        try:
            if version("torch").endswith("+cpu"):
                return "cpu"
        except PackageNotFoundError:
            return "cpu"
        import torch

        kinds = {"cuda": torch.cuda, "xpu": getattr(torch, "xpu", None), "mps": torch.backends.mps}
        return next((kind for kind, backend in kinds.items() if backend and backend.is_available()), "cpu")

    def models_dir(self) -> Path:
        """What the variable `SADTALKER_MODELS` names, else `models/SadTalker` in the user's cache folder."""
        named = os.environ.get(MODELS_VARIABLE)
        if named:
            return Path(named)
        return cache_folder() / "sadtalker" / "models" / "SadTalker"

    def output_dir(self) -> Path:
        return Path.cwd()
