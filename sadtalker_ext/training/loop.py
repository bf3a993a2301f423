"""An objective and a cache of clips into trained weights: seeded, resumable, stopped where it fails."""

from __future__ import annotations

import hashlib
import math
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ..errors import Cancelled, TrainingError
from ..host import Check, nothing
from .clips import TRAIN, VALIDATION, ClipCache, Entry
from .journal import Journal
from .objective import Example, Objective
from .plan import Plan
from .run_folder import RunFolder
from .worker import Worker

MOST_SKIPPED = 30  # steps in a row whose gradients overflow in fp16 before it is a failure


@dataclass(frozen=True)
class Outcome:
    """What a training came to. best: of the kept weights on the validation clips, None without any."""

    epochs: int
    steps: int
    best: float | None
    best_epoch: int | None


class Training:
    """One run, from its first step or from where it stopped."""

    def __init__(
        self,
        objective: Objective,
        cache: ClipCache,
        plan: Plan,
        run: RunFolder,
        worker: Worker,
        journal: Journal,
        *,
        check: Check = nothing,
        most_steps: int | None = None,
    ) -> None:
        """check: called before every step; what it raises stops the run, which can then be resumed.

        most_steps: stop there as if interrupted. Raises `TrainingError` where there is nothing to train on.
        """
        self.objective, self.cache, self.plan, self.run = objective, cache, plan, run
        self.worker, self.journal = worker, journal
        self._check, self._most_steps = check, most_steps
        self._clips = cache.of_split(TRAIN)
        self._held_out = cache.of_split(VALIDATION)
        if not self._clips:
            raise TrainingError(f"{cache.folder} has no clips to train on.")
        self.epoch, self.position, self.step = 0, 0, 0  # position: steps of the epoch that are done
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._skipped = 0
        self._saved: str = "nothing was saved yet"
        self._weights = objective.trained()
        kind = torch.optim.Adam if plan.optimiser == "adam" else torch.optim.AdamW
        decay = 0.0 if plan.optimiser == "adam" else plan.weight_decay
        made = kind(self._weights, plan.rate, weight_decay=decay)
        self._module, self._optimiser = worker.wrap(objective, made)

    def resume(self, state: dict[str, Any]) -> None:
        """Takes up what `RunFolder.load_state` read; `TrainingError` where it is of another training."""
        changed = self.plan.differences(state["plan"])
        if state["clips"] != self.cache.fingerprint():
            changed.append("clips")
        if state["position"] and state["world"] != self.worker.world:
            raise TrainingError(
                f"This run stopped within an epoch of {state['world']} processes; resume it with as many."
            )
        if changed:
            raise TrainingError(
                f"This run began with other {', '.join(changed)}; resume it with those, or start a new one."
            )
        try:
            self.objective.load_state(state["objective"])
            self._optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise TrainingError(f"{self.run.state} is of another network; start a new run.") from error
        self.worker.load(state["worker"])
        self.epoch, self.position, self.step = state["epoch"], state["position"], state["step"]
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self._saved = f"{self.run.folder} keeps epoch {self.epoch + 1}, step {self.step}"

    def fit(self) -> Outcome:
        """Trains to the end of the plan.

        Raises `TrainingError` where losses or gradients stop being numbers, `Cancelled` after Ctrl-C and what
        `check` raises; the state on disk is whole then, and the kept weights are the last good ones.
        """
        with own_randomness(self.worker.device), _stopping() as stopped:
            if self.step == 0 and self.position == 0:
                _seed(self.plan.seed, "begin", self.worker.rank)
                self.objective.begin(self._examples(self.order(0)), self.worker)
            while self.epoch < self.plan.epochs:
                self._epoch(stopped)
                self._finish_epoch(stopped)
        return Outcome(self.epoch, self.step, self.best, self.best_epoch)

    def _epoch(self, stopped: threading.Event) -> None:
        todo = self.order(self.epoch)[self.position * self.plan.batch :]
        self.objective.train()
        sums: dict[str, float] = {}
        group: list[Example] = []
        for number, example in enumerate(self._examples(todo), 1):
            if not group:
                self._pause(stopped)
            group.append(example)
            if len(group) < self.plan.batch and number < len(todo):
                continue
            for name, value in self._step(group).items():
                sums[name] = sums.get(name, 0.0) + value
            sums["_steps"] = sums.get("_steps", 0) + 1
            group = []
            if self.step % self.plan.log_every == 0 or number == len(todo):
                count = sums.pop("_steps")
                values = {name: value / count for name, value in sums.items()}
                rate = self.plan.rate_at(self.step - 1, self.epoch)
                gauges = self.objective.gauges()
                self.journal.note("train", self.step, self.epoch + 1, {**values, "rate": rate, **gauges})
                sums = {}

    def _step(self, group: Sequence[Example]) -> dict[str, float]:
        """Moves the weights by the clips of one step; returns the means of their losses."""
        plan, rank = self.plan, self.worker.rank
        for settings in self._optimiser.param_groups:
            settings["lr"] = plan.rate_at(self.step, self.epoch)
        means: dict[str, float] = {}
        self._optimiser.zero_grad(set_to_none=True)
        for number, example in enumerate(group):
            _seed(plan.seed, self.step, rank, number)
            last = number == len(group) - 1
            with nullcontext() if last else self.worker.alone_with_gradients(self._module):
                with self.worker.computing():
                    losses = self._module(example.to(self.worker.device))
                self.worker.backward(losses["loss"] / len(group))
            for name, value in losses.items():
                means[name] = means.get(name, 0.0) + float(value.detach()) / len(group)
        length = self.worker.clip(self._weights, plan.clip_norm)
        # Gradients are shared by all processes, so all of them see what only one of them produced.
        names = ", ".join(example.name for example in group)
        bad = not math.isfinite(length) or (self.worker.world == 1 and not math.isfinite(means["loss"]))
        self._skipped = self._skipped + 1 if bad else 0
        if self._skipped > (MOST_SKIPPED if self.worker.forgives else 0):
            raise self._failure(means["loss"], names)
        self._optimiser.step()
        self.objective.after_step(self.worker, self._optimiser)
        self.step += 1
        self.position += 1
        return {**means, "gradient": length if math.isfinite(length) else 0.0}

    def _failure(self, loss: float, names: str) -> TrainingError:
        what = "gradients" if math.isfinite(loss) else "loss"
        return TrainingError(
            f"Training stopped in epoch {self.epoch + 1}, step {self.step + 1}: the {what} of {names} "
            f"{'are' if what == 'gradients' else 'is'} not finite; {self._saved}. Try a lower --rate, "
            "--clip-norm 1 or --precision no, and look at that clip."
        )

    def _finish_epoch(self, stopped: threading.Event) -> None:
        values = self._validated(stopped)
        if values:
            self.journal.note("validation", self.step, self.epoch + 1, values)
        judged = next(iter(values.values()), None)
        if judged is not None and not math.isfinite(judged):
            raise self._failure(float("nan"), "the validation clips")
        better = judged is None or self.best is None or judged < self.best
        if better or self.plan.keep == "last":
            self.best, self.best_epoch = judged, self.epoch + 1
            if self.worker.rank == 0:
                self.run.save_model(self.objective.checkpoint())
        self.epoch, self.position = self.epoch + 1, 0
        if self.epoch % self.plan.save_every == 0 or self.epoch == self.plan.epochs:
            self._save()

    def _validated(self, stopped: threading.Event) -> dict[str, float]:
        """Each measure over all validation clips and processes; empty where there are none."""
        self.objective.eval()
        sums: dict[str, list[float]] = {}
        mine = self._held_out[self.worker.rank :: self.worker.world]
        with torch.no_grad():
            for example in self._examples(mine):
                if self.worker.world == 1:  # others would wait for this process in vain
                    self._pause(stopped)
                for name, (amount, base) in self.objective.measure(example.to(self.worker.device)).items():
                    pair = sums.setdefault(name, [0.0, 0.0])
                    pair[0] += amount
                    pair[1] += base
        if self.worker.world > 1 and self._held_out:
            sums = self._shared(sums)
        return {name: amount / max(base, 1e-30) for name, (amount, base) in sums.items()}

    def _shared(self, sums: dict[str, list[float]]) -> dict[str, list[float]]:
        """Sums over processes, of which some may have had no clip."""
        names = list(sums) or None
        told: list[Any] = [None] * self.worker.world
        torch.distributed.all_gather_object(told, names)
        known = next(each for each in told if each)
        values = torch.tensor([sums.get(name, [0.0, 0.0]) for name in known], dtype=torch.float64)
        rows = self.worker.total(values.float() if self.worker.device.type == "mps" else values)
        return dict(zip(known, rows.tolist(), strict=True))

    def _pause(self, stopped: threading.Event) -> None:
        """Ends here, with everything saved, where somebody asked for it."""
        asked = stopped.is_set() or (self._most_steps is not None and self.step >= self._most_steps)
        reason: Exception | None = None
        try:
            self._check()
        except Cancelled as error:
            reason, asked = error, True
        if self.worker.world > 1:
            asked = bool(self.worker.total(torch.tensor([float(asked)])).item())
        if not asked:
            return
        self._save()
        if self.worker.rank == 0 and not self.run.model.exists():
            self.run.save_model(self.objective.checkpoint())
        raise Cancelled(
            f"Stopped in epoch {self.epoch + 1} after step {self.step}; --resume goes on from there, and "
            f"{self.run.model} holds the best weights so far."
        ) from reason

    def _save(self) -> None:
        self._saved = f"{self.run.folder} keeps epoch {self.epoch}, step {self.step}"
        if self.worker.rank != 0:
            return
        self.run.save_state(
            {
                "plan": asdict(self.plan),
                "clips": self.cache.fingerprint(),
                "objective": self.objective.state(),
                "optimiser": self._optimiser.state_dict(),
                "worker": self.worker.state(),
                "world": self.worker.world,
                "epoch": self.epoch,
                "position": self.position,
                "step": self.step,
                "best": self.best,
                "best_epoch": self.best_epoch,
            }
        )

    def order(self, epoch: int) -> list[Entry]:
        """This process's clips of an epoch, a pure function of the seed: it can be resumed anywhere."""
        drawn = torch.Generator().manual_seed(number_of(self.plan.seed, "order", epoch))
        order = torch.randperm(len(self._clips), generator=drawn).tolist()
        world = self.worker.world
        order += [order[i % len(order)] for i in range(-len(order) % world)]  # as many steps for everybody
        return [self._clips[place] for place in order[self.worker.rank :: world]]

    def _examples(self, entries: Sequence[Entry]) -> Iterator[Example]:
        """The clips in turn, the next one being read meanwhile."""
        if not entries:
            return
        subjects = self.cache.info.subjects

        def read(entry: Entry) -> Example:
            return Example.of(self.cache.load(entry), subjects)

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(read, entries[0])
            for following in [*entries[1:], None]:
                example = coming.result()
                if following is not None:
                    coming = pool.submit(read, following)
                yield example


def number_of(*parts: object) -> int:
    """A seed that depends on all its parts and on nothing else."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")


def _seed(*parts: object) -> None:
    """Every step has seeds of its own: a resumed run needs no state of generators, in any process."""
    number = number_of(*parts)
    torch.manual_seed(number)
    np.random.seed(number)  # transformers before 4.46 draws from it which layers to drop


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """The global generators, which networks draw from, are given back as they were."""
    before = np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(before)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or a polite kill) sets; a second one interrupts at once."""
    asked = threading.Event()
    previous: dict[int, Any] = {}

    def handle(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(ValueError):  # handlers can be set in the main thread only
                previous[number] = signal.signal(number, handle)
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
