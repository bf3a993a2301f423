"""Runs the speech recogniser in child processes: both roads at once, and the program stays responsive.

pocketsphinx keeps Python's interpreter lock while it decodes, seconds at a time, so threads would neither run
beside it nor notice a cancel. A child reads pieces of speech from its standard input and answers each with a
line of JSON on its standard output.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..host import Check, Report, nothing
from ..system import processes
from ..system.caches import Kept
from ..system.mapped import forget
from ..system.paths import ROOT
from . import phones as recogniser
from .phones import Phone, Transcript

LOGGER = logging.getLogger(__name__)
ROADS = {"words": recogniser.words_of_piece, "phones": recogniser.phones_of_piece}
HEADER = struct.Struct("<16sdq")  # road, start in seconds, number of samples
CHILD = f"import sys; from {__name__} import answer; answer(sys.stdin.buffer, sys.stdout.buffer)"
LONG_S = 1.0  # shorter speech is recognised here: starting a child takes longer
MOST_CHILDREN = 4
POLL_S = 0.05  # between two looks at whether the run was cancelled
KEY_BLOCK = 1 << 20  # samples
KEPT = 4  # recordings whose recognition is remembered, for the next picture or the next try

Job = tuple[str, float, "np.ndarray"]
_remembered: Kept[tuple[Transcript, Transcript]] = Kept(KEPT)


def recognise(
    samples: np.ndarray, *, check: Check = nothing, progress: Report = nothing
) -> tuple[Transcript, Transcript]:
    """What `recognise_words` and `decode_phones` give, computed side by side and remembered.

    samples: float32 (N,) mono 16 kHz. check: called often; what it raises ends the recognition at once.
    progress: called with the pieces done and their number. Raises `DependencyError` without pocketsphinx.
    """
    recogniser.require()
    return _remembered.get(_key(samples), lambda: _recognised(samples, check, progress))


def _key(samples: np.ndarray) -> bytes:
    digest = blake2b(digest_size=16)
    for start in range(0, len(samples), KEY_BLOCK):
        digest.update(samples[start : start + KEY_BLOCK].data)
        forget(samples)
    return digest.digest()


def _recognised(samples: np.ndarray, check: Check, progress: Report) -> tuple[Transcript, Transcript]:
    pieces = list(recogniser.pieces(samples, check))
    jobs: list[Job] = [(road, start, piece) for road in ROADS for start, piece in pieces]
    # A program that carries Python inside itself has no interpreter to start.
    interpreter = "python" in Path(sys.executable or "").name.lower() and not getattr(sys, "frozen", False)
    if len(samples) < LONG_S * recogniser.SAMPLE_RATE or not interpreter:
        heard = [_here(job, check) for job in jobs]
    else:
        heard = _Children(jobs, progress).run(check)
    return recogniser.join(heard[: len(pieces)]), recogniser.join(heard[len(pieces) :])


def _here(job: Job, check: Check = nothing) -> Transcript:
    road, start, piece = job
    check()
    return ROADS[road](piece, start)


class _Children:
    """Jobs shared out to child processes; a job that a child cannot do is done here."""

    def __init__(self, jobs: list[Job], progress: Report) -> None:
        self._jobs = jobs
        self._waiting = deque(range(len(jobs)))
        self._heard: dict[int, Transcript] = {}
        self._progress = progress

    def run(self, check: Check) -> list[Transcript]:
        count = min(os.cpu_count() or 1, len(self._jobs), MOST_CHILDREN)
        children: list[subprocess.Popen[bytes]] = []
        threads: list[threading.Thread] = []
        reported = 0
        try:
            for _ in range(count):
                if (child := start_child()) is not None:
                    children.append(child)
                    threads.append(threading.Thread(target=self._serve, args=(child,), daemon=True))
                    threads[-1].start()
            while alive := [thread for thread in threads if thread.is_alive()]:
                check()
                alive[0].join(POLL_S)
                if len(self._heard) > reported:
                    reported = len(self._heard)
                    self._progress(reported, len(self._jobs))
        finally:
            self._waiting.clear()
            for child in children:
                processes.end(child)
            for thread in threads:
                with suppress(RuntimeError):  # it could not be started
                    thread.join()
        for number, job in enumerate(self._jobs):
            if number not in self._heard:
                LOGGER.info("recognising a piece of speech here: no child process answered")
                self._heard[number] = _here(job, check)
        return [self._heard[number] for number in range(len(self._jobs))]

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        # The jobs of a child that is lost stay undone here; `run` does them.
        with suppress(OSError, ValueError, IndexError, KeyError), process:
            while True:
                number = self._waiting.popleft()
                road, start, piece = self._jobs[number]
                process.stdin.write(HEADER.pack(road.encode(), start, len(piece)))
                process.stdin.write(piece.data)
                process.stdin.flush()
                forget(piece)
                self._heard[number] = unpacked(process.stdout.readline())


def start_child() -> subprocess.Popen[bytes] | None:
    """A process that answers pieces (see `answer`), or None where no interpreter can be started."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    try:
        return processes.start(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
    except OSError:
        return None


def _packed(heard: Transcript) -> bytes:
    rows = [[phone.name, phone.start, phone.end, phone.posterior, phone.score] for phone in heard.phones]
    return json.dumps({"text": heard.text, "phones": rows}).encode() + b"\n"


def unpacked(line: bytes) -> Transcript:
    """What a line of an answer says."""
    answer = json.loads(line)
    phones = (Phone(sys.intern(name), *row) for name, *row in answer["phones"])
    return Transcript(tuple(phones), answer["text"])


def answer(source: BinaryIO, target: BinaryIO) -> None:
    """Recognise pieces read from `source` until it ends; one line of JSON each to `target`."""
    while len(header := source.read(HEADER.size)) == HEADER.size:
        road, start, count = HEADER.unpack(header)
        piece = np.frombuffer(source.read(4 * count), np.float32)
        target.write(_packed(ROADS[road.rstrip(b"\0").decode()](piece, start)))
        target.flush()
