"""A tiny talking mesh, prepared and with both stages trained once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sadtalker_ext.training import ClipCache


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks train faster on one thread, and alike on every machine."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def talking(tmp_path_factory: pytest.TempPathFactory) -> ClipCache:
    """The cache of the tiny talking mesh."""
    pytest.importorskip("soxr")
    from babble import FPS, write_corpus

    from sadtalker_ext.training import prepare
    from sadtalker_ext.training.corpora import Layout

    folder = tmp_path_factory.mktemp("talking")
    write_corpus(folder / "raw", sentences=12, seconds=1.4, fps=FPS)
    return prepare(Layout(folder / "raw", fps=FPS), folder / "cache").cache


@pytest.fixture(scope="session")
def first_stage(talking: ClipCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a trained stage 1."""
    torch = pytest.importorskip("torch")
    from babble import STAGE1

    from sadtalker_ext.engines.codetalker.training import Choices, train

    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("runs") / "stage1"
    train(1, talking, run, Choices(size="small", plan=STAGE1, device="cpu"))
    return run


@pytest.fixture(scope="session")
def second_stage(talking: ClipCache, first_stage: Path) -> Path:
    """The run of a trained stage 2."""
    pytest.importorskip("transformers")
    from babble import STAGE2

    from sadtalker_ext.engines.codetalker.training import Choices, train

    run = first_stage.with_name("stage2")
    choices = Choices(
        size="small", plan=STAGE2, device="cpu", stage1=first_stage / "stage1.pth.tar", tensorboard=False
    )
    train(2, talking, run, choices)
    return run
