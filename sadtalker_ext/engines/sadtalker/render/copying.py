"""Batches of frames from the device that draws them into main memory, while it draws the next."""

from __future__ import annotations

from collections.abc import Iterator

import torch

Copy = tuple[torch.Tensor, "torch.cuda.Event | None"]  # and when it will have arrived; None: it has


def in_main_memory(batches: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
    """The same batches, in order, contiguous in main memory.

    A GPU is given the work on a batch before the one ahead of it is waited for and handed on.
    """
    waiting: Copy | None = None
    for batch in batches:
        begun = _begun(batch)
        if waiting is not None:
            yield _arrived(*waiting)
        waiting = begun
    if waiting is not None:
        yield _arrived(*waiting)


def _begun(batch: torch.Tensor) -> Copy:
    if not _copies_by_itself(batch.device):
        return batch.cpu().contiguous(), None
    held = torch.empty(batch.shape, dtype=batch.dtype, pin_memory=True)
    held.copy_(batch.contiguous(), non_blocking=True)
    ready = torch.cuda.Event()
    ready.record()
    return held, ready


def _copies_by_itself(device: torch.device) -> bool:
    return device.type == "cuda"


def _arrived(batch: torch.Tensor, ready: torch.cuda.Event | None) -> torch.Tensor:
    if ready is not None:
        ready.synchronize()
    return batch
