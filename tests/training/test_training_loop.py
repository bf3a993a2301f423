"""The loop that trains: seeds, resuming, stopping, failing early, codes that died, and the machine."""

from __future__ import annotations

import builtins
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from babble import STAGE1, STAGE2
from torch import nn

from sadtalker_ext.engines.codetalker.training import Choices, train
from sadtalker_ext.engines.codetalker.training.codebook import CodebookKeeper, CodebookRules
from sadtalker_ext.engines.codetalker.training.stage1 import Stage1
from sadtalker_ext.errors import Cancelled, DependencyError, TrainingError
from sadtalker_ext.training import TRAIN, ClipCache
from sadtalker_ext.training.plan import Plan
from sadtalker_ext.training.worker import Alone, open_worker

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = {**STAGE1, "epochs": 2}


def choices(**more: Any) -> Choices:
    return replace(Choices(size="small", plan=SHORT, device="cpu", tensorboard=False), **more)


def weights(run: Path, stage: int = 1) -> dict[str, torch.Tensor]:
    return torch.load(run / f"stage{stage}.pth.tar", weights_only=True)["state_dict"]


def state(run: Path) -> dict[str, Any]:
    return torch.load(run / "state.pt", weights_only=True)


def assert_equal(one: Any, other: Any, where: str = "") -> None:
    """Bit for bit, through dictionaries and lists."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{where}[{number}]")
    else:
        assert one == other, where


def test_the_same_seed_trains_the_same_weights(talking: ClipCache, tmp_path: Path) -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        train(1, talking, tmp_path / name, choices(plan={**SHORT, "epochs": 1, "seed": seed}))
        torch.rand(7)  # what the process draws elsewhere does not matter
    torch.random.set_rng_state(before[0])
    assert_equal(weights(tmp_path / "one"), weights(tmp_path / "same"))
    name = "decoder.vertice_map_reverse.weight"
    assert not torch.equal(weights(tmp_path / "one")[name], weights(tmp_path / "other")[name])
    assert np.random.get_state()[1].tolist() == before[1]  # and the process's generators are its own


def test_training_leaves_the_generators_as_they_were(talking: ClipCache, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    train(1, talking, tmp_path / "run", choices(plan={**SHORT, "epochs": 1}))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("stop_after", [5, 20, 30])  # an epoch has 20 steps
def test_a_resumed_stage_1_equals_an_uninterrupted_one(
    talking: ClipCache, tmp_path: Path, stop_after: int
) -> None:
    train(1, talking, tmp_path / "whole", choices())
    with pytest.raises(Cancelled, match="--resume"):
        train(1, talking, tmp_path / "parts", choices(), most_steps=stop_after)
    assert state(tmp_path / "parts")["step"] == stop_after
    assert (tmp_path / "parts" / "stage1.pth.tar").exists()
    torch.rand(3)
    train(1, talking, tmp_path / "parts", Choices(resume=True, device="cpu", tensorboard=False))
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert_equal(state(tmp_path / "whole"), state(tmp_path / "parts"))
    told = (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in told]
    assert steps == sorted(steps)


def test_a_resumed_stage_2_equals_an_uninterrupted_one(
    talking: ClipCache, first_stage: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    first = choices(stage1=first_stage / "stage1.pth.tar", plan={**STAGE2, "epochs": 2, "batch": 4})
    train(2, talking, tmp_path / "whole", first)
    with pytest.raises(Cancelled):
        train(2, talking, tmp_path / "parts", first, most_steps=7)  # an epoch has 5 steps of 4 clips
    train(2, talking, tmp_path / "parts", Choices(resume=True, device="cpu", tensorboard=False))
    assert_equal(weights(tmp_path / "whole", 2), weights(tmp_path / "parts", 2))
    assert_equal(state(tmp_path / "whole"), state(tmp_path / "parts"))


def test_a_resumed_stage_2_needs_the_same_stage_1_wherever_it_lies(
    talking: ClipCache, first_stage: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    file, run = tmp_path / "stage1.pth.tar", tmp_path / "run"
    shutil.copy(first_stage / "stage1.pth.tar", file)
    with pytest.raises(Cancelled):
        train(2, talking, run, choices(stage1=file, plan={**STAGE2, "epochs": 1, "batch": 4}), most_steps=1)
    again = Choices(resume=True, device="cpu", tensorboard=False)
    moved = file.rename(tmp_path / "moved.pth.tar")
    with pytest.raises(TrainingError, match=r"no stage 1 .*stage1\.pth\.tar; say with --stage1"):
        train(2, talking, run, again)
    changed = torch.load(moved, weights_only=True)
    changed["state_dict"]["quantize.embedding.weight"] += 0.1
    torch.save(changed, file)
    for choice in (again, replace(again, stage1=file)):
        with pytest.raises(TrainingError, match="not the stage 1 that this run began with"):
            train(2, talking, run, choice)
    with pytest.raises(Cancelled):
        train(2, talking, run, replace(again, stage1=moved), most_steps=1)
    file.unlink()
    assert train(2, talking, run, again).epochs == 1  # it remembers where the file is now


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("plan", {"epochs": "many"}, "cannot go on with"),
        ("plan", {"epochs": 3, "sleep": 1}, "cannot go on with .*sleep"),
        ("plan", {"epochs": 1.5}, "cannot go on with .*epochs"),
        ("plan", {"optimiser": "sgd"}, "optimiser must be"),
        ("plan", [1], "cannot go on with"),
        ("sizes", {"vertices": 40, "colour": 3}, "cannot go on with .*colour"),
        ("sizes", {"vertices": 40, "heads": 0}, "cannot go on with .*heads"),
        ("sizes", {"vertices": 40, "width": -8, "slots": -1, "code": 8}, "cannot go on with .*width"),
        ("sizes", {"vertices": 41, "width": 64, "hidden": 96, "layers": 1, "slots": 8, "code": 8}, "41"),
        ("compat", {"positions": "somewhere"}, "cannot go on with .*positions"),
        ("compat", "published", "cannot go on with"),
        ("codebook", {"averaged": "yes"}, "cannot go on with .*averaged"),
        ("scale", 0, "cannot go on with .*scale"),
        ("scale", "large", "cannot go on with .*scale"),
        ("choices", {}, "cannot go on with .*lacks 'published'"),
        ("choices", None, "cannot go on with"),
    ],
)
def test_a_run_of_another_version_or_edited_by_hand_is_told_in_a_sentence(
    talking: ClipCache, first_stage: Path, tmp_path: Path, name: str, value: Any, sentence: str
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(first_stage / "state.pt", run)
    told = json.loads((first_stage / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**told, name: value}))
    again = Choices(resume=True, device="cpu", tensorboard=False)
    with pytest.raises(TrainingError, match=sentence):
        train(1, talking, run, again)
    del told[name]
    (run / "run.json").write_text(json.dumps(told))
    with pytest.raises(TrainingError, match=f"lacks '{name}'"):
        train(1, talking, run, again)


def test_a_run_of_the_other_stage_is_not_resumed(
    talking: ClipCache, first_stage: Path, tmp_path: Path
) -> None:
    shutil.copytree(first_stage, tmp_path / "run")
    with pytest.raises(TrainingError, match="cannot go on with"):
        train(2, talking, tmp_path / "run", Choices(resume=True, device="cpu", tensorboard=False))


def test_more_epochs_can_be_added_and_nothing_else_changed(talking: ClipCache, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(1, talking, run, choices(plan={**SHORT, "epochs": 1}))
    with pytest.raises(TrainingError, match="other rate"):
        train(1, talking, run, Choices(resume=True, plan={"rate": 0.5}, device="cpu", tensorboard=False))
    again = Choices(resume=True, plan={"epochs": 2}, device="cpu", tensorboard=False)
    assert train(1, talking, run, again).epochs == 2
    train(1, talking, tmp_path / "whole", choices())
    assert_equal(weights(run), weights(tmp_path / "whole"))
    (run / "state.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TrainingError, match="cannot be read"):
        train(1, talking, run, again)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_ends_a_step_and_keeps_everything(talking: ClipCache, tmp_path: Path) -> None:
    calls = 0

    def press() -> None:
        nonlocal calls
        calls += 1
        if calls == 9:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Cancelled, match="Stopped in epoch 1 after step"):
        train(1, talking, tmp_path / "run", choices(), check=press)
    assert signal.getsignal(signal.SIGINT) is handler
    assert state(tmp_path / "run")["step"] == 9
    train(1, talking, tmp_path / "whole", choices())
    train(1, talking, tmp_path / "run", Choices(resume=True, device="cpu", tensorboard=False))
    assert_equal(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_what_a_caller_raises_stops_it_resumably(talking: ClipCache, tmp_path: Path) -> None:
    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled, match="after step 0"):
        train(1, talking, tmp_path / "run", choices(), check=cancel)
    train(1, talking, tmp_path / "run", Choices(resume=True, device="cpu", tensorboard=False))
    train(1, talking, tmp_path / "whole", choices())
    assert_equal(weights(tmp_path / "run"), weights(tmp_path / "whole"))


@pytest.mark.parametrize("where", ["loss", "gradients"])
def test_numbers_that_are_none_stop_it_and_the_last_good_weights_stay(
    talking: ClipCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    forward, calls = Stage1.forward, 0

    def failing(self: Stage1, example: Any) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += self.training
        losses = forward(self, example)
        if calls == 30:  # in the second epoch
            if where == "loss":
                losses["loss"] = losses["loss"] * float("nan")
            else:
                weight = next(self.network.parameters())
                losses["loss"] = losses["loss"] + (weight[0, 0] - weight[0, 0].detach()).sqrt()
        return losses

    monkeypatch.setattr(Stage1, "forward", failing)
    with pytest.raises(
        TrainingError, match=rf"epoch 2, step 30: the {where} of (Anna|Ben)_\d\d .* not finite"
    ):
        train(1, talking, tmp_path / "run", choices())
    monkeypatch.undo()
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path / "run").values())
    kept = state(tmp_path / "run")
    assert kept["step"] == 20
    assert all(torch.isfinite(tensor).all() for tensor in kept["objective"].values())
    train(
        1, talking, tmp_path / "run", Choices(resume=True, device="cpu", tensorboard=False)
    )  # the cause is gone
    train(1, talking, tmp_path / "whole", choices())
    assert_equal(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_dead_codes_are_revived_and_living_ones_left() -> None:
    torch.manual_seed(0)
    book = nn.Embedding(8, 3)
    nn.init.constant_(book.weight, 50.0)  # far from everything
    with torch.no_grad():
        book.weight[0] = 0.0
    keeper = CodebookKeeper(book, CodebookRules(averaged=False, revive_after=3))
    optimiser = torch.optim.AdamW([book.weight])
    book(torch.arange(8)).sum().backward()
    optimiser.step()
    optimiser.state[book.weight]["exp_avg"].fill_(7.0)
    vectors = torch.randn(40, 3)
    for step in range(3):
        codes = (torch.cdist(vectors, book.weight)).argmin(1)
        assert codes.unique().tolist() == [0]
        assert keeper.in_use() == 8
        keeper.observe(vectors, codes)
        keeper.step(book, Alone("cpu"), optimiser)
        assert keeper.revived == (7 if step == 2 else 0)
    assert book.weight[1:].abs().max() < 5
    assert len(torch.cdist(vectors, book.weight).argmin(1).unique()) > 3
    moments = optimiser.state[book.weight]["exp_avg"]
    assert moments[0].eq(7).all()
    assert moments[1:].eq(0).all()


def test_an_overflow_leaves_the_codebook_sane() -> None:
    book = nn.Embedding(4, 3)
    keeper = CodebookKeeper(book, CodebookRules(averaged=True, revive_after=1))
    keeper.observe(torch.full((5, 3), float("nan")), torch.zeros(5, dtype=torch.long))
    keeper.step(book, Alone("cpu"), torch.optim.SGD([book.weight]))
    assert torch.isfinite(book.weight).all()
    assert torch.isfinite(keeper.sums).all()


def test_averaged_codes_go_to_the_middle_of_what_they_stand_for() -> None:
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 4.0], [4.0, 0.0]])
    book = nn.Embedding(2, 2)
    with torch.no_grad():
        book.weight.copy_(torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
    keeper = CodebookKeeper(book, CodebookRules(averaged=True, revive_after=0))
    for _ in range(600):
        vectors = centres.repeat(20, 1) + 0.1 * torch.randn(40, 2)
        keeper.observe(vectors, torch.cdist(vectors, book.weight).argmin(1))
        keeper.step(book, Alone("cpu"), torch.optim.SGD([book.weight]))
    torch.testing.assert_close(book.weight.detach(), centres, atol=0.1, rtol=0)


def test_without_accelerate_one_device_trains_and_says_so(
    talking: ClipCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(1, talking, tmp_path / "with", choices(plan={**SHORT, "epochs": 1}))
    importing = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("accelerate"):
            raise ImportError(name)
        return importing(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with open_worker("cpu", "bf16") as (worker, note):
        assert isinstance(worker, Alone)
        assert "bf16 is not used" in note
    train(1, talking, tmp_path / "without", choices(plan={**SHORT, "epochs": 1}))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DependencyError, match="2 processes needs the package accelerate"), open_worker("cpu"):
        pass
    monkeypatch.undo()
    assert_equal(weights(tmp_path / "with"), weights(tmp_path / "without"))


def test_half_precision(talking: ClipCache, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    run = tmp_path / "run"
    train(1, talking, run, choices(plan={**SHORT, "epochs": 2, "precision": "bf16"}))
    assert {tensor.dtype for tensor in weights(run).values()} == {torch.float32}
    told = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["unexplained"] for line in told if line["kind"] == "validation"][-1] < 0.9


def test_curves_for_tensorboard(first_stage: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(first_stage / "tensorboard"))
    events.Reload()
    assert len(events.Scalars("validation/unexplained")) == STAGE1["epochs"]


def test_every_clip_is_seen_once_an_epoch_and_each_process_sees_its_own(
    talking: ClipCache, tmp_path: Path
) -> None:
    from sadtalker_ext.training.journal import Journal
    from sadtalker_ext.training.loop import Training
    from sadtalker_ext.training.run_folder import RunFolder

    class Many(Alone):
        world = 5

        def __init__(self, rank: int) -> None:
            super().__init__("cpu")
            self.rank = rank

    orders = []
    for rank in range(5):
        run = RunFolder(tmp_path / str(rank), "x.pth.tar", resume=False)
        objective: Any = nn.Linear(1, 1)
        objective.trained = lambda: list(nn.Linear(1, 1).parameters())
        loop = Training(objective, talking, Plan(), run, Many(rank), Journal(run.folder, quiet=True))
        orders.append([entry.clip for entry in loop.order(0)])
        assert loop.order(0) == loop.order(0) != loop.order(1)
    assert len({len(order) for order in orders}) == 1
    clips = {entry.clip for entry in talking.of_split(TRAIN)}
    assert {clip for order in orders for clip in order} == clips
    assert sum(map(len, orders)) - len(clips) < 5
