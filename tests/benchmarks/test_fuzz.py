"""Damaged inputs of every kind, the same in every run; and that the fuzzer sees what it is there to see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sadtalker_ext import cli

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cases run in forked children")
CASES = range(60)


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Any]:
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import fuzz

        yield fuzz


@pytest.fixture(scope="module")
def stock(fuzz: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import fuzz_inputs

    return fuzz_inputs.made(tmp_path_factory.mktemp("stock"))


def outcomes(fuzz: Any, stock: Any, folder: Path, numbers: range = CASES, kinds: Any = None) -> list[Any]:
    import fuzz_cases

    return list(fuzz.run_batch(stock, kinds or list(fuzz_cases.KINDS), 11, numbers, folder))


def test_nothing_is_found() -> None:
    # In a process of its own: what other tests have loaded and started here does not survive a fork.
    command = [sys.executable, str(BENCHMARKS / "fuzz.py"), "--seed", "11", "--cases", str(len(CASES))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CASES)} cases, 0 tracebacks, 0 crashes, 0 leftovers" in done.stdout


def test_a_case_can_be_made_again(fuzz: Any, stock: Any, tmp_path: Path) -> None:
    import fuzz_cases

    def files(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    for number in range(40):
        one, other = tmp_path / f"{number}a", tmp_path / f"{number}b"
        for folder in (one, other):
            folder.mkdir()
        kind, _ = fuzz.build(stock, list(fuzz_cases.KINDS), 5, number, one)
        assert fuzz.build(stock, [kind], 5, number, other)[0] == kind
        assert files(one) == files(other)


def test_what_once_broke_is_drawn(fuzz: Any, stock: Any, tmp_path: Path) -> None:
    """A pipe in the second place of a command line, keys of one hash, shapes of digits alone."""
    import fuzz_formats
    import fuzz_mutations

    pipes = 0
    for number in range(150):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, case = fuzz.build(stock, ["places"], 1, number, folder)
        pipes += Path(case.arguments[2]).is_fifo()
    assert pipes > 0
    assert fuzz_mutations._colliding in fuzz_mutations.BOMBS
    assert any("1" * 40 in shape for shape in fuzz_formats.SHAPES)


def faulty(number: int, arguments: list[str]) -> int:
    """A command line with a fault of its own for each case."""
    if number == 1:
        os.kill(os.getpid(), signal.SIGUSR1)
    if number == 2:
        raise RecursionError
    if number == 3:
        print("\x1b[31mred")
    if number == 4:
        tempfile.mkstemp()
    if number == 5:
        Path(arguments[0], ".x.partial-1").touch()
    if number == 6:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    return 0


def test_faults_are_seen(fuzz: Any, stock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fuzz_cases

    def build(rng: Random, stock: Any, folder: Path) -> Any:
        return fuzz_cases.Case([str(folder)])

    monkeypatch.setattr(fuzz_cases, "KINDS", {"made": (build, 1)})
    monkeypatch.setattr(fuzz, "run_case", numbered(fuzz.run_case, monkeypatch))
    found = outcomes(fuzz, stock, tmp_path, range(8), ["made"])
    assert [sorted(outcome.found) for outcome in found] == [
        [], ["crash"], ["traceback"], ["control characters"], ["leftover"], ["leftover"], ["traceback"], [],
    ]  # fmt: skip
    assert found[1].found == {"crash": "SIGUSR1"}


def hanging(number: int, arguments: list[str]) -> int:
    """The third case hangs, the fifth is killed, as by a system without memory."""
    if number == 2:
        signal.pause()
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_a_hang_is_told_of_the_case_that_hangs(
    fuzz: Any, stock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fuzz_cases

    def build(rng: Random, stock: Any, folder: Path) -> Any:
        return fuzz_cases.Case([str(folder)])

    monkeypatch.setattr(fuzz_cases, "KINDS", {"made": (build, 1)})
    monkeypatch.setattr(fuzz, "SILENCE_SECONDS", 2)
    monkeypatch.setattr(fuzz, "run_case", numbered(fuzz.run_case, monkeypatch, hanging))
    found = outcomes(fuzz, stock, tmp_path, range(7), ["made"])
    assert [outcome.number for outcome in found] == list(range(7))
    assert [outcome.found for outcome in found] == [
        {}, {}, {"slow": "silent for 2 s"}, {}, {"crash": "killed from outside"}, {}, {},
    ]  # fmt: skip


def test_lines_that_come_at_once_are_all_seen(fuzz: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the writer is silent, with the pipe still open."""
    monkeypatch.setattr(fuzz, "SILENCE_SECONDS", 0.2)
    reading, writing = os.pipe()
    try:
        os.write(writing, b"one\ntwo\nthree\nunfinish")
        assert list(fuzz._lines(reading)) == ["one", "two", "three"]
    finally:
        os.close(reading)
        os.close(writing)


def numbered(run_case: Any, monkeypatch: pytest.MonkeyPatch, act: Any = faulty) -> Any:
    def run(stock: Any, kinds: Any, seed: int, number: int, folder: Path) -> Any:
        monkeypatch.setattr(cli, "main", lambda arguments: act(number, arguments))
        return run_case(stock, kinds, seed, number, folder)

    return run
