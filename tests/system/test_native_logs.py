"""Standard error is held back and given back, whoever else holds it back at that time."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from itertools import permutations

import pytest

from sadtalker_ext.system import interrupts, native_logs
from sadtalker_ext.system.native_logs import NOISE, quiet_stderr


def told(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What has come out on descriptor 2 since the last time."""
    return capfd.readouterr().err.splitlines()


@pytest.mark.parametrize("order", permutations(range(3)))
def test_whoever_leaves_first_stderr_is_given_back(
    capfd: pytest.CaptureFixture[str], order: tuple[int, ...]
) -> None:
    descriptors = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    silent = [quiet_stderr() for _ in order]
    for number, block in enumerate(silent):
        block.__enter__()
        os.write(2, b"in %d\n" % number)
    assert told(capfd) == []
    for number in order:
        silent[number].__exit__(None, None, None)
        os.write(2, b"out %d\n" % number)
    os.write(2, b"after\n")
    wanted = [f"in {number}" for number in range(3)] + [f"out {number}" for number in order] + ["after"]
    assert told(capfd) == wanted
    assert interrupts.error_descriptor == 2
    assert sys.platform != "linux" or len(os.listdir("/proc/self/fd")) == descriptors


def test_announcements_are_kept_back_and_messages_are_not(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        for noise in NOISE:
            os.write(2, b"W0000 " + noise + b" whatever\n")
        os.write(2, b"a real message\n")
        os.write(interrupts.error_descriptor, b"at once\n")
    assert told(capfd) == ["at once", "a real message"]


def test_after_a_failure_stderr_is_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), quiet_stderr(), quiet_stderr():
        raise KeyError
    os.write(2, b"after\n")
    assert told(capfd) == ["after"]


@pytest.mark.parametrize("missing", ["stderr", "descriptor"])
def test_where_it_cannot_be_held_back_the_work_goes_on(
    capfd: pytest.CaptureFixture[str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("Too many open files")

    if missing == "stderr":
        monkeypatch.setattr(sys, "stderr", None)
    else:
        monkeypatch.setattr(os, "dup", refuse)
    with quiet_stderr():
        os.write(2, b"within\n")
    monkeypatch.undo()
    with quiet_stderr():
        pass
    assert told(capfd) == ["within"]
    assert native_logs._silence._count == 0


def test_without_room_for_it_that_is_said(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "TemporaryFile", refuse)
        with pytest.raises(OSError, match="No space"), quiet_stderr():
            pass
    with quiet_stderr():
        os.write(2, b"within\n")
    assert told(capfd) == ["within"]


def test_stderr_comes_back_though_nobody_can_write_to_what_python_holds_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closing(io.StringIO):
        flushes = 0

        def flush(self) -> None:
            Closing.flushes += 1
            if Closing.flushes > 1:
                raise OSError(28, "No space left on device")

    before = os.fstat(2).st_ino
    monkeypatch.setattr(sys, "stderr", Closing())
    with quiet_stderr():
        assert os.fstat(2).st_ino != before
    assert os.fstat(2).st_ino == before
