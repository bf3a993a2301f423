"""Batches into main memory: all of them, in order, and a GPU never waits for one to be handed on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sadtalker_ext.engines.sadtalker.render import copying
from sadtalker_ext.engines.sadtalker.render.copying import in_main_memory


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order, on a device that takes itself for a GPU."""
    told: list[str] = []

    class Event:
        def record(self) -> None:
            told.append("copy begun")

        def synchronize(self) -> None:
            told.append("waited")

    plain_empty = torch.empty
    monkeypatch.setattr(copying, "_copies_by_itself", lambda device: True)
    monkeypatch.setattr(copying.torch.cuda, "Event", Event)
    monkeypatch.setattr(
        copying.torch, "empty", lambda size, dtype, pin_memory: plain_empty(size, dtype=dtype)
    )
    return told


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_batches_arrive_in_order(count: int) -> None:
    batches = [torch.full((2, 3, 4, 5), number).transpose(1, 3) for number in range(count)]
    arrived = list(in_main_memory(iter(batches)))
    assert [batch[0, 0, 0, 0].item() for batch in arrived] == list(range(count))
    assert all(batch.shape == (2, 5, 4, 3) and batch.is_contiguous() for batch in arrived)


def test_the_next_batch_is_begun_before_one_is_waited_for(told: list[str]) -> None:
    def drawn() -> Iterator[torch.Tensor]:
        for number in range(3):
            told.append(f"drawn {number}")
            yield torch.full((2, 3), number)

    for batch in in_main_memory(drawn()):
        told.append(f"handed on {batch[0, 0].item()}")  # noqa: PERF401 - in turn with the others
    assert told == [
        "drawn 0", "copy begun",
        "drawn 1", "copy begun", "waited", "handed on 0",
        "drawn 2", "copy begun", "waited", "handed on 1",
        "waited", "handed on 2",
    ]  # fmt: skip
