"""`sadtalker train`: a corpus into a cache, or a cache into a run that trains until it is stopped."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, OptionsError
from ..host import nothing
from .console import show
from .flags import add_quiet

if TYPE_CHECKING:
    from ..training.corpora import Corpus

STAGES = {"codetalker-stage1": 1, "codetalker-stage2": 2}
# Of a plan; None leaves what the plan of the stage says. Name, type, what it means.
PLAN_FLAGS: tuple[tuple[str, type, str], ...] = (
    ("epochs", int, "times that every clip is seen"),
    ("rate", float, "learning rate at its highest"),
    ("halve_every", int, "epochs after which the rate halves; 0: never"),
    ("warmup", int, "steps over which the rate rises"),
    ("weight_decay", float, "of the weights, with adamw"),
    ("batch", int, "clips in a step of each process"),
    ("clip_norm", float, "length that gradients are cut to; 0: as they are"),
    ("seed", int, "the same seed trains the same weights on a CPU"),
    ("save_every", int, "epochs between two saved states"),
    ("log_every", int, "steps between two lines of the log"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="task", metavar="TASK", title="tasks", required=True)
    _add_prepare(commands.add_parser("prepare", help="read a corpus into a cache that training reads"))
    for name, stage in STAGES.items():
        what = "motion into codes and back" if stage == 1 else "speech into codes"
        made = commands.add_parser(name, help=f"train stage {stage} of CodeTalker: {what}")
        _add_training(made, stage)


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("corpus", choices=("vocaset", "biwi", "layout"), help="layout: as CodeTalker reads it")
    add("raw", metavar="RAW", type=Path, help="the folder that the corpus was unpacked into")
    add("--out", metavar="CACHE", type=Path, required=True, help="folder to write")
    add(
        "--norm",
        choices=("frame", "template"),
        default="frame",
        help="biwi: centre and scale each frame by itself, as published, or by the template (default frame)",
    )
    add("--fps", type=float, metavar="N", help="layout: frame rate of the files")
    add("--step", type=int, metavar="N", help="layout: use one frame of so many")
    add("--splits", metavar="JSON", type=Path, help="which clips are for what")
    add("--half", action="store_true", help="store motion in 16 bits: half the space")
    add("--drop-mismatched", action="store_true", help="leave out clips whose sound and motion end apart")
    add("--overwrite", action="store_true", help="replace a cache that is there")
    add_quiet(parser)


def _add_training(parser: argparse.ArgumentParser, stage: int) -> None:
    add = parser.add_argument
    add("cache", metavar="CACHE", type=Path, help="what sadtalker train prepare wrote")
    add("--out", metavar="RUN", type=Path, required=True, help="folder of the run")
    add("--resume", action="store_true", help="go on with the run in that folder")
    if stage == 2:
        add(
            "--stage1",
            metavar="FILE",
            type=Path,
            help="the trained stage 1; with --resume: the same, where it was moved to",
        )
        add(
            "--wav2vec2",
            metavar="PATH",
            type=Path,
            help="weights to begin to hear with: a wav2vec2-base-960h (file or folder), or a stage-2 file",
        )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--published", action="store_true", help="only what the authors did")
    kind.add_argument(
        "--sound",
        action="store_true",
        help="also mend the networks; the authors' program cannot read such weights",
    )
    add("--start", metavar="FILE", type=Path, help="weights to go on from")
    add("--size", choices=("published", "small"), default="published", help="of new networks")
    for name, number, meaning in PLAN_FLAGS:
        flag = f"--{name.replace('_', '-')}"
        add(flag, type=number, metavar="N", default=None, help=meaning)
    add("--precision", choices=("no", "fp16", "bf16"), help="of the forward pass")
    add("--keep", choices=("best", "last"), help="which weights are kept")
    if stage == 1:
        add("--codebook", choices=("averaged", "gradients"), default="averaged", help="what moves the codes")
        add(
            "--revive-after",
            type=int,
            metavar="N",
            help="steps after which unused codes begin anew; 0: never",
        )
    else:
        add(
            "--doubt",
            type=float,
            metavar="SHARE",
            help="share of the clips whose earlier frames are not all true (default 0.8)",
        )
    add("--no-normalise", action="store_true", help="learn offsets in the corpus's units")
    add("--device", choices=("auto", "cpu"), default="auto", help="(default auto)")
    add("--no-tensorboard", action="store_true", help="write no curves for TensorBoard")
    add_quiet(parser)


def run(given: argparse.Namespace) -> int:
    if given.task == "prepare":
        return _prepare(given)
    with _log(quiet=given.quiet):
        return _train(given, STAGES[given.task])


def _prepare(given: argparse.Namespace) -> int:
    from ..training import prepare

    try:
        made = prepare(
            _corpus(given),
            given.out,
            half=given.half,
            drop_mismatched=given.drop_mismatched,
            overwrite=given.overwrite,
            report=nothing if given.quiet else _counter(),
        )
    except KeyboardInterrupt:
        without = " without --overwrite" if given.overwrite else ""
        raise Cancelled(f"Stopped; the same command{without} goes on from there.") from None
    if not given.quiet:
        show("\n".join(made.lines()))
    return 0


def _corpus(given: argparse.Namespace) -> Corpus:
    from ..training.corpora import Biwi, Layout, Vocaset, read_splits

    if given.corpus != "layout" and (given.fps is not None or given.step is not None):
        raise OptionsError(f"--fps and --step are for a layout; {given.corpus} has its own rate.")
    splits = {} if given.splits is None else {"splits": read_splits(given.splits)}
    if given.corpus == "vocaset":
        return Vocaset(given.raw, **splits)
    if given.corpus == "biwi":
        return Biwi(given.raw, norm=given.norm, **splits)
    return Layout(given.raw, fps=given.fps, step=given.step, **splits)


def _train(given: argparse.Namespace, stage: int) -> int:
    from ..engines import trainer
    from ..training import ClipCache

    codetalker = trainer("codetalker")
    plan = {name: getattr(given, name) for name, _, _ in PLAN_FLAGS}
    plan |= {"precision": given.precision, "keep": given.keep}
    choices = codetalker.Choices(
        published=given.published,
        sound=given.sound,
        size=given.size,
        start=given.start,
        stage1=getattr(given, "stage1", None),
        wav2vec2=getattr(given, "wav2vec2", None),
        plan=plan,
        codebook=_codebook(given),
        doubt=getattr(given, "doubt", None),
        normalise=not given.no_normalise,
        device=given.device,
        resume=given.resume,
        tensorboard=not given.no_tensorboard,
    )
    try:
        outcome = codetalker.train(stage, ClipCache(given.cache), given.out, choices)
    except KeyboardInterrupt:
        raise Cancelled(f"Interrupted; {given.out} keeps what was saved last, if anything.") from None
    if not given.quiet and os.environ.get("RANK", "0") == "0":  # of many processes, the first
        file = given.out / f"stage{stage}.pth.tar"
        judged = "" if outcome.best is None else f", {outcome.best:.3f} unexplained (mean face: 1)"
        show(f"{file}: {outcome.steps} steps; weights of epoch {outcome.best_epoch}{judged}")
    return 0


def _codebook(given: argparse.Namespace) -> dict[str, Any]:
    if not hasattr(given, "codebook"):
        return {}
    rules: dict[str, Any] = {"averaged": given.codebook == "averaged"}
    if given.revive_after is not None:
        rules["revive_after"] = given.revive_after
    return rules


@contextmanager
def _log(*, quiet: bool) -> Iterator[None]:
    """The lines of a training on the terminal."""
    log = logging.getLogger("sadtalker.training")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _counter() -> Any:
    from tqdm import tqdm

    bar = tqdm(unit=" clips", leave=False, file=sys.stderr, mininterval=0.1 if sys.stderr.isatty() else 10)

    def report(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return report
