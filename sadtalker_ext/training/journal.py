"""Numbers of a training into JSON lines, into log lines, and into TensorBoard where it is installed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..system.outputs import write_whole

METRICS = "metrics.jsonl"
LOG = logging.getLogger("sadtalker.training")


class Journal:
    """Writes into a run's folder; one that is `quiet` writes nothing, for all processes but the first."""

    def __init__(
        self, folder: Path, *, first_step: int = 0, tensorboard: bool = True, quiet: bool = False
    ) -> None:
        """first_step: of a run that goes on; later lines of an interrupted one are taken back."""
        self.path, self.quiet = folder / METRICS, quiet
        self._board: Any = None
        self._began = time.monotonic()
        if quiet:
            return
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            text = "".join(f"{line}\n" for line in lines if _step(line) < first_step)
            write_whole(self.path, True, lambda file: file.write(text.encode()))
        if tensorboard:
            self._board = _board(folder / "tensorboard", first_step)

    def note(self, kind: str, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """One line. kind: such as train or validation. step: finished ones, from 1."""
        if self.quiet:
            return
        seconds = round(time.monotonic() - self._began, 3)
        line = {"kind": kind, "step": step, "epoch": epoch, "seconds": seconds, **values}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        LOG.info("epoch %d, step %d, %s: %s", epoch, step, kind, told)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def say(self, sentence: str) -> None:
        if not self.quiet:
            LOG.info("%s", sentence)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"]) - 1
    except (ValueError, KeyError, TypeError, RecursionError):  # cut off by a crash
        return float("inf")


def _board(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # it is a convenience; the JSON lines hold the same
        return None
    return SummaryWriter(str(folder), purge_step=first_step or None)
