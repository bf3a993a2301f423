"""Thousands of damaged and hostile inputs through the command line; tracebacks, crashes, leftovers are told.

    python benchmarks/fuzz.py [--cases 10000] [--seed 1] [--kinds weights motion …] [--keep FOLDER]
    python benchmarks/fuzz.py --seed 1 --kinds motion --case 123 --keep FOLDER     one case again

A case is a command line with files made from well-made ones by mutations that know their formats. Cases run
in forked children, hundreds in each: a child that dies is counted as a crash of the case it had begun. What
only the handler of last resort caught counts as a traceback. Ends with 1 where anything was found.
"""

# ruff: noqa: E402 - how many threads there are is read when the packages below are imported
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(_name, "1")

import argparse
import contextlib
import io
import json
import resource
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import fuzz_cases
import fuzz_inputs

from sadtalker_ext import cli, errors

BATCH = 200  # cases of a child
CPU_SECONDS = 60  # that a case may take, and its children
SILENCE_SECONDS = 400  # of a child, after which it is taken to hang
MEMORY = 700 << 20  # bytes by which a case may make the process grow
MOST_MEMORY = 4 << 30  # bytes that a child can have at all
SAID = 300  # characters of what a case says that are kept
TAME = "\n\r\t"  # control characters that output may have
FINDINGS = {
    "traceback": "tracebacks",
    "crash": "crashes",
    "leftover": "leftovers",
    "slow": f"over {CPU_SECONDS} s of processor time",
    "memory": f"over {MEMORY >> 20} MB",
    "control characters": "with control characters",
    "warning": "with warnings of numpy",
}


@dataclass
class Outcome:
    """What came of a case. found: findings with what tells of them. seconds: of processor time."""

    kind: str
    number: int
    code: int | None = None
    found: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    said: str = ""


def build(
    stock: fuzz_inputs.Stock, kinds: Sequence[str], seed: int, number: int, folder: Path
) -> tuple[str, fuzz_cases.Case]:
    """A case's kind and command line, its files in the folder; the same for one seed, kind and number."""
    weights = [fuzz_cases.KINDS[kind][1] for kind in kinds]
    (kind,) = Random(f"{seed} {number}").choices(kinds, weights)
    return kind, fuzz_cases.KINDS[kind][0](Random(f"{seed} {kind} {number}"), stock, folder)


def run_case(stock: fuzz_inputs.Stock, kinds: Sequence[str], seed: int, number: int, folder: Path) -> Outcome:
    """Runs one case in this process; the folder is new, and everything lies in it."""
    work, temporary = folder / "work", folder / "tmp"
    work.mkdir(parents=True)
    temporary.mkdir()
    kind, case = build(stock, kinds, seed, number, work)
    outcome = Outcome(kind, number)
    before = {path.relative_to(work) for path in work.rglob("*")}
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    began, grown = _cpu(), _peak()
    out = io.StringIO()
    warnings.simplefilter("always", RuntimeWarning)  # else each is shown once in all cases
    with _caught(outcome), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            outcome.code = cli.main(case.arguments)
        except SystemExit as end:
            outcome.code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            outcome.found["traceback"] = traceback.format_exc()
    outcome.seconds, outcome.said = _cpu() - began, out.getvalue()[:SAID]
    _judge(outcome, out.getvalue(), case, work, temporary, before)
    if outcome.seconds > CPU_SECONDS:
        outcome.found["slow"] = f"{outcome.seconds:.0f} s"
    if _peak() - grown > MEMORY:
        outcome.found["memory"] = f"{(_peak() - grown) >> 20} MB more"
    return outcome


@contextlib.contextmanager
def _caught(outcome: Outcome) -> Iterator[None]:
    """Takes down what the handler of last resort is shown, and what threads raise."""
    tell, hook = errors.tell, threading.excepthook

    def told(error: BaseException, *rest: Any) -> errors.Failure:
        failure = tell(error, *rest)
        if failure.kind in (errors.FAULT, errors.MEMORY):
            outcome.found["traceback"] = "".join(traceback.format_exception(error))
        return failure

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        outcome.found["traceback"] = "".join(traceback.format_exception(arguments.exc_value))

    errors.tell, threading.excepthook = told, in_thread
    try:
        yield
    finally:
        errors.tell, threading.excepthook = tell, hook


def _judge(
    outcome: Outcome, text: str, case: fuzz_cases.Case, work: Path, temporary: Path, before: set[Path]
) -> None:
    if "Traceback (most recent call last)" in text:
        outcome.found.setdefault("traceback", text[-3000:])
    wild = sorted(
        {
            character
            for character in text
            if not character.isprintable() and character not in TAME + errors.JOINERS
        }
    )
    if wild:
        outcome.found["control characters"] = f"{wild} in {text[:300]!r}"
    new = (
        {path.relative_to(work) for path in work.rglob("*")} - before - {Path(name) for name in case.outputs}
    )
    left = sorted(map(str, new)) + sorted(str(path.relative_to(temporary)) for path in temporary.rglob("*"))
    if left:
        outcome.found["leftover"] = ", ".join(left[:10])


def _cpu() -> float:
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


# --- children -----------------------------------------------------------------------------------------------


def _child(
    stock: fuzz_inputs.Stock,
    kinds: Sequence[str],
    seed: int,
    numbers: Sequence[int],
    told: IO[str],
    root: Path,
) -> None:
    """Runs cases one after the other, and says of each that it begins and what came of it."""
    quiet = os.open(root / "native.log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    for number in numbers:
        limit = int(_cpu()) + CPU_SECONDS + 5
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, resource.RLIM_INFINITY))
        folder = root / "case"
        shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps({"begins": number}), file=told, flush=True)
        try:
            outcome = run_case(stock, kinds, seed, number, folder)
        except Exception:  # a fault of this program
            outcome = Outcome("?", number, found={"crash": traceback.format_exc()})
        print(json.dumps(vars(outcome)), file=told, flush=True)


def run_batch(
    stock: fuzz_inputs.Stock, kinds: Sequence[str], seed: int, numbers: Sequence[int], root: Path
) -> Iterator[Outcome]:
    """Outcomes of the cases, in children; one that dies takes only the case it had begun with it."""
    left = list(numbers)
    while left:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.setsid()
            with os.fdopen(writing, "w") as told:
                _child(stock, kinds, seed, left, told, root)
                told.flush()
            os._exit(0)
        os.close(writing)
        begun: int | None = None
        try:
            for line in _lines(reading):
                report = json.loads(line)
                if "begins" in report:
                    begun = report["begins"]
                else:
                    left.remove(report["number"])
                    begun = None
                    yield Outcome(**report)
        finally:
            os.close(reading)
        status, hung = _ended(child)
        if begun is not None:
            left.remove(begun)
            (kind,) = Random(f"{seed} {begun}").choices(kinds, [fuzz_cases.KINDS[kind][1] for kind in kinds])
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            why = signal.Signals(number).name if number else f"exit {os.WEXITSTATUS(status)}"
            if hung:
                why = f"silent for {SILENCE_SECONDS} s"
            elif number == signal.SIGKILL:  # not by us: most likely by the system, which was out of memory
                why = "killed from outside"
            slow = hung or number == signal.SIGXCPU
            yield Outcome(kind, begun, found={"slow" if slow else "crash": why})
        elif left and (hung or not os.WIFEXITED(status) or os.WEXITSTATUS(status)):
            raise RuntimeError(f"a child died between cases ({status})")


def _ended(child: int) -> tuple[int, bool]:
    """The status of a child that has closed its pipe, and whether it hung and was ended here.

    Nothing of what it started goes on.
    """
    for _ in range(100):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    return (status, False) if done else (os.waitpid(child, 0)[1], True)


def _lines(descriptor: int) -> Iterator[str]:
    """Lines until the end, or until nothing has come for long.

    Read without a buffer of Python's: `select` does not know of lines that wait there.
    """
    rest = b""
    while select.select([descriptor], [], [], SILENCE_SECONDS)[0]:
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode() for line in lines)


# --- the whole ----------------------------------------------------------------------------------------------


def fuzz(cases: Sequence[int], kinds: Sequence[str], seed: int, *, report: Any = None) -> list[Outcome]:
    """Outcomes of all cases. report: hears of each."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        root = Path(name)
        (root / "stock").mkdir()
        stock = fuzz_inputs.made(root / "stock")
        for start in range(0, len(cases), BATCH):
            for outcome in run_batch(stock, kinds, seed, cases[start : start + BATCH], root):
                outcomes.append(outcome)
                if report is not None:
                    report(outcome)
    return outcomes


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line that tells all."""
    counts = Counter(name for outcome in outcomes for name in outcome.found)
    seconds = sum(outcome.seconds for outcome in outcomes)
    told = [f"{len(outcomes):,} cases", *(f"{counts[name]} {plural}" for name, plural in FINDINGS.items())]
    return f"{', '.join(told)}; {seconds / 60:.1f} min of processor time"


def by_kind(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for kind in fuzz_cases.KINDS:
        own = [outcome for outcome in outcomes if outcome.kind == kind]
        if own:
            codes = Counter(outcome.code for outcome in own)
            times = sorted(outcome.seconds for outcome in own)
            told = ", ".join(f"{count} × {code}" for code, count in codes.most_common())
            spent = f"{times[len(times) // 2]:.2f} s, at most {times[-1]:.1f} s"
            yield f"{kind:<9} {len(own):>6} cases; exit codes {told}; {spent}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=list(fuzz_cases.KINDS), default=list(fuzz_cases.KINDS))
    parser.add_argument("--case", type=int, help="run this one alone, in this process")
    parser.add_argument("--keep", type=Path, help="with --case: a new folder for its files")
    parser.add_argument("--verbose", action="store_true", help="tell what each case says")
    given = parser.parse_args()
    if given.case is not None:
        return _single(given)

    def report(outcome: Outcome) -> None:
        for name, what in outcome.found.items():
            again = f"--seed {given.seed} --kinds {outcome.kind} --case {outcome.number}"
            print(f"{name}: {again}\n{what}\n", flush=True)
        if given.verbose:
            print(
                outcome.kind,
                outcome.number,
                outcome.code,
                f"{outcome.seconds:.2f}",
                repr(outcome.said),
                flush=True,
            )
        if outcome.number % 500 == 499:
            print(f"… {outcome.number + 1}", flush=True)

    began = time.monotonic()
    outcomes = fuzz(range(given.first, given.first + given.cases), given.kinds, given.seed, report=report)
    print(*by_kind(outcomes), sep="\n")
    print(f"{summary(outcomes)}; {(time.monotonic() - began) / 60:.1f} min")
    return int(any(outcome.found for outcome in outcomes))


def _single(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        (Path(name) / "stock").mkdir()
        stock = fuzz_inputs.made(Path(name) / "stock")
        folder = given.keep or Path(name) / "case"
        outcome = run_case(stock, given.kinds, given.seed, given.case, folder)
        _, case = build(stock, given.kinds, given.seed, given.case, Path(name) / "again")
        print(*case.arguments)
        print(json.dumps(vars(outcome), indent=1))
        for what in outcome.found.values():
            print(what)
    return int(bool(outcome.found))


if __name__ == "__main__":
    raise SystemExit(main())
