"""The shell of `sadtalker serve`: runs one after the other, their progress, nothing left behind."""

from __future__ import annotations

import base64
import io
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sadtalker_ext.errors import Cancelled, OutputError, PictureError
from sadtalker_ext.host import CancelToken, Progress
from sadtalker_ext.server.standalone import StandaloneShell

A, B, C = "task(a)", "task(b)", "task(c)"
SECONDS = 30  # until something that hangs fails


@pytest.fixture
def shell(tmp_path: Path) -> StandaloneShell:
    return StandaloneShell(tmp_path / "results", tmp_path / "models", device="cpu")


class Run(threading.Thread):
    """A run in a thread of its own; `ended` gives its result or raises its error."""

    def __init__(
        self, shell: StandaloneShell, task: str, work: Any, cancel: CancelToken | None = None
    ) -> None:
        super().__init__(daemon=True)
        self._call = lambda: shell.run(task, work, cancel)
        self.start()

    def run(self) -> None:
        try:
            self._outcome: tuple[Any, BaseException | None] = (self._call(), None)
        except BaseException as error:
            self._outcome = (None, error)

    def ended(self) -> Any:
        self.join(SECONDS)
        assert not self.is_alive(), "it hangs"
        made, error = self._outcome
        if error is not None:
            raise error
        return made


class Busy:
    """Work that goes on until it is told to end or is cancelled."""

    def __init__(self) -> None:
        self.begun, self.end = threading.Event(), threading.Event()

    def __call__(self, progress: Any, cancel: CancelToken) -> str:
        progress(Progress("speech", 1, 1))
        self.begun.set()
        while not self.end.wait(0.01):
            cancel.check()
        return "made"


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_runs_follow_one_another_in_the_order_they_came(shell: StandaloneShell) -> None:
    works = [Busy(), Busy(), Busy()]
    runs = []
    for task, work in zip((A, B, C), works, strict=True):
        runs.append(Run(shell, task, work))
        wait_until(lambda task=task: shell.progress(task)["active"] or shell.progress(task)["queued"])
    works[0].begun.wait(SECONDS)
    assert shell.progress(A)["active"]
    assert shell.progress(B)["textinfo"] == "In queue: 1/2"
    assert shell.progress(C)["textinfo"] == "In queue: 2/2"
    assert not works[1].begun.is_set()
    for run, work in zip(runs, works, strict=True):
        work.begun.wait(SECONDS)
        work.end.set()
        assert run.ended() == "made"
    assert [shell.progress(task)["completed"] for task in (A, B, C)] == [True] * 3


def test_a_task_nobody_knows_is_neither_running_nor_finished(shell: StandaloneShell) -> None:
    told = shell.progress("task(unknown)")
    assert (told["active"], told["queued"], told["completed"]) == (False, False, False)


def test_interrupt_stops_the_running_task_only(shell: StandaloneShell) -> None:
    first, second = Busy(), Busy()
    one = Run(shell, A, first)
    first.begun.wait(SECONDS)
    other = Run(shell, B, second)
    wait_until(lambda: shell.progress(B)["queued"])
    shell.interrupt()
    with pytest.raises(Cancelled):
        one.ended()
    second.begun.wait(SECONDS)
    second.end.set()
    assert other.ended() == "made"
    assert shell.progress(A)["completed"]
    shell.interrupt()  # nothing runs: nothing happens


def test_a_waiting_task_can_be_cancelled_and_never_begins(shell: StandaloneShell) -> None:
    first, second, token = Busy(), Busy(), CancelToken()
    one = Run(shell, A, first)
    first.begun.wait(SECONDS)
    other = Run(shell, B, second, token)
    wait_until(lambda: shell.progress(B)["queued"])
    token.cancel()
    with pytest.raises(Cancelled):
        other.ended()
    assert not second.begun.is_set()
    first.end.set()
    assert one.ended() == "made"


def test_a_failed_run_leaves_the_queue_free(shell: StandaloneShell) -> None:
    def fail(progress: Any, cancel: CancelToken) -> None:
        raise PictureError("no")

    with pytest.raises(PictureError):
        shell.run(A, fail)
    assert shell.progress(A)["completed"]
    assert shell.run(B, lambda progress, cancel: 7) == 7


def test_a_refused_task_is_over(shell: StandaloneShell) -> None:
    shell.dismiss(A)
    assert shell.progress(A)["completed"]
    assert not shell.progress(B)["completed"]


def test_progress_has_a_picture_for_who_has_not_seen_it(shell: StandaloneShell) -> None:
    from PIL import Image

    seen: list[dict[str, Any]] = []

    def work(progress: Any, cancel: CancelToken) -> None:
        progress(Progress("render", 1, 4, np.full((64, 96, 4), 200, np.uint8)))
        progress(Progress("render", 2, 4))
        seen.append(shell.progress(A, 0))
        seen.append(shell.progress(A, seen[0]["id_live_preview"]))
        seen.append(shell.progress(A))

    shell.run(A, work)
    first, again, without = seen
    assert first["progress"] == pytest.approx(0.3 + 0.7 / 2)
    assert first["eta"] > 0
    assert first["textinfo"] == "Rendering 2/4"
    kind, _, data = first["live_preview"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (96, 64)
    assert again["live_preview"] is None
    assert without["live_preview"] is None


def test_after_closing_nothing_runs_or_begins(shell: StandaloneShell) -> None:
    first, second = Busy(), Busy()
    runs = [Run(shell, A, first)]
    first.begun.wait(SECONDS)
    runs.append(Run(shell, B, second))
    wait_until(lambda: shell.progress(B)["queued"])
    shell.close()
    for run in runs:
        with pytest.raises(Cancelled):
            run.ended()
    assert shell.wait_until_idle(SECONDS)
    assert not second.begun.is_set()
    with pytest.raises(Cancelled, match="stopping"):
        shell.run(C, Busy())


def test_results_get_numbers_in_a_folder_made_when_needed(shell: StandaloneShell) -> None:
    first = shell.output_file("face: one/two")
    assert first.parent == shell.settings().output_dir
    assert first.name.startswith("00000-face")
    first.touch()
    assert shell.output_file("face", ".gif").name == "00001-face.gif"


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shell = StandaloneShell(tmp_path / "file" / "results")
    with pytest.raises(OutputError, match="--output-dir"):
        shell.output_file("face")


def test_the_latest_video_is_remembered(shell: StandaloneShell, demo_portrait: Path) -> None:
    from sadtalker_ext.options import Options
    from sadtalker_ext.pipeline import perform
    from sadtalker_ext.request import Request
    from sadtalker_ext.shell import placed

    request = Request(demo_portrait, options=Options(idle=0.2))

    def work(progress: Any, cancel: CancelToken) -> Any:
        return perform(placed(shell, request), progress=progress, cancel=cancel, host=shell.host)

    made = shell.run(A, work)
    assert shell.latest is made
    assert made.path.parent == shell.settings().output_dir
    assert made.path.stat().st_size > 0


def test_a_server_far_away_opens_no_folders(tmp_path: Path) -> None:
    shell = StandaloneShell(tmp_path, local=False)
    assert not shell.can_open_folders
    with pytest.raises(OutputError):
        shell.open_folder(tmp_path)
