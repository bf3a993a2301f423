"""Recognition in child processes: the same as here, cancelled at once, not lost with a child."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pocketsphinx")

from sadtalker_ext.audio import load_speech
from sadtalker_ext.errors import Cancelled
from sadtalker_ext.motion import phones, recognition
from sadtalker_ext.system import caches, processes
from sadtalker_ext.system.paths import ROOT

SECONDS = 5.0


@pytest.fixture(scope="module")
def samples(demo_speech: Path) -> np.ndarray:
    return load_speech(demo_speech, end=SECONDS).samples


@pytest.fixture(autouse=True)
def nothing_remembered():
    caches.release()
    yield
    caches.release()


def test_children_hear_what_we_hear_and_say_how_far_they_are(samples, monkeypatch):
    monkeypatch.setattr(recognition, "_here", lambda *_: pytest.fail("no child answered"))
    seen: list[tuple[int, int]] = []
    heard = recognition.recognise(samples, progress=lambda done, total: seen.append((done, total)))
    assert heard == (phones.recognise_words(samples), phones.decode_phones(samples))
    assert all(total == 2 for _, total in seen)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_the_same_speech_is_heard_once(samples, monkeypatch):
    first = recognition.recognise(samples)
    monkeypatch.setattr(recognition, "_Children", None)
    assert recognition.recognise(samples) is first
    caches.release()
    with pytest.raises(TypeError):
        recognition.recognise(samples)


@pytest.mark.parametrize("program", ["", "/no/such/python", "photo-editor"])
def test_without_an_interpreter_it_is_done_here(samples, monkeypatch, program):
    monkeypatch.setattr(recognition.sys, "executable", program)
    assert recognition.recognise(samples)[1] == phones.decode_phones(samples)


def test_what_a_lost_child_leaves_is_done_here(samples, monkeypatch):
    monkeypatch.setattr(recognition, "CHILD", "import sys; sys.stdin.buffer.read(24); print('what?')")
    assert recognition.recognise(samples)[1] == phones.decode_phones(samples)


def test_a_cancel_ends_the_children_at_once(samples, monkeypatch):
    monkeypatch.setattr(recognition, "CHILD", "import time; time.sleep(60)")
    children = []
    start = recognition.start_child
    monkeypatch.setattr(recognition, "start_child", lambda: children.append(start()) or children[-1])
    began = time.monotonic()

    def check() -> None:
        if children and time.monotonic() > began + 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        recognition.recognise(samples, check=check)
    assert children
    assert all(child.poll() is not None for child in children)


COMMAND = """
import sys
sys.argv[:] = ["sadtalker"]
import sadtalker_ext
from sadtalker_ext.motion import recognition
recognition.CHILD = "import time; time.sleep(300)"  # in the middle of a piece
children = [recognition.start_child() for _ in range(2)]
print(*(child.pid for child in children), flush=True)
children[0].stdout.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_a_command_that_is_ended_leaves_no_children():
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    children = [int(number) for number in command.stdout.readline().split()]
    try:
        assert len(children) == 2
        command.terminate()
        assert command.wait(60) == 130
        assert all(processes.is_gone(child, processes.UNKNOWN) for child in children)
    finally:
        for number in (command.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def test_a_start_that_is_interrupted_leaves_no_children(samples, monkeypatch):
    started = []
    start = recognition.start_child

    def interrupted():
        if started:
            raise KeyboardInterrupt
        started.append(start())
        return started[0]

    monkeypatch.setattr(recognition, "CHILD", "import time; time.sleep(300)")
    monkeypatch.setattr(recognition.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(recognition, "start_child", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recognition.recognise(samples)
    assert started[0].poll() is not None


def test_a_child_answers_each_piece_with_a_line():
    piece = np.zeros(8000, np.float32)
    request = recognition.HEADER.pack(b"phones", 1.5, len(piece)) + piece.tobytes()
    answers = io.BytesIO()
    recognition.answer(io.BytesIO(request * 2), answers)
    lines = answers.getvalue().splitlines()
    assert len(lines) == 2
    assert recognition.unpacked(lines[0]) == phones.phones_of_piece(piece, 1.5)
