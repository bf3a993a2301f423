"""Runs of a page of our own, one after the other, with their progress; and that page without a WebUI."""

from __future__ import annotations

import base64
import gc
import io
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import Cancelled, OutputError, Place
from ..host import CancelToken, Host, Progress, StandaloneHost
from ..request import Result
from ..shell import PREVIEW_SECONDS, Meter, Settings, Work, preview
from ..shell.folders import numbered, show_folder
from ..shell.turn import call
from ..system.caches import release
from ..system.paths import user_path

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

OUTPUT_FOLDER = "sadtalker-outputs"  # below the current folder
TASKS_REMEMBERED = 200  # finished ones, so that a reloaded page learns that its task is over
PREVIEW_PIXELS = 512  # longest side of a live preview
PREVIEW_QUALITY = 80  # of its JPEG
WAIT_SECONDS = 0.1  # between looks for a cancelled task while it waits in the queue


class ServerHost(StandaloneHost):
    """The standalone host with the device and the folders that `sadtalker serve` was started with."""

    name = "server"

    def __init__(self, output_dir: Path, models_dir: Path | None = None, device: str = "auto") -> None:
        self._output_dir = output_dir
        self._models_dir = models_dir
        self._device = device

    def device(self) -> str:
        return super().device() if self._device == "auto" else self._device

    def models_dir(self) -> Path:
        return self._models_dir or super().models_dir()

    def output_dir(self) -> Path:
        return self._output_dir


class Task:
    """A run and how far it is. preview: the latest frame as JPEG; preview_number grows with each."""

    def __init__(self, name: str, token: CancelToken) -> None:
        self.name = name
        self.token = token
        self.meter = Meter()
        self.active = False
        self.completed = False
        self.preview: bytes | None = None
        self.preview_number = 0
        self._previewed = -PREVIEW_SECONDS

    def __call__(self, progress: Progress) -> None:
        """Take note of a step of the run."""
        self.meter(progress)
        now = time.monotonic()
        if progress.frame is not None and now - self._previewed >= PREVIEW_SECONDS:
            self._previewed = now
            self.preview = _jpeg(progress.frame)
            self.preview_number += 1


def _jpeg(frame: np.ndarray) -> bytes:
    file = io.BytesIO()
    preview(frame, PREVIEW_PIXELS).save(file, "JPEG", quality=PREVIEW_QUALITY)
    return file.getvalue()


class StandaloneShell:
    """The surroundings of runs on a page of our own; see `shell.Shell`. latest: the newest finished video.

    output_dir: where results go; None is `sadtalker-outputs` below the current folder. models_dir: where
    weights are; None is the user's cache. local: the page is on the same computer as the server.
    """

    name = "standalone"
    has_img2img = False

    def __init__(
        self,
        output_dir: str | Path | None = None,
        models_dir: str | Path | None = None,
        *,
        device: str = "auto",
        downloads: bool = True,
        local: bool = True,
    ) -> None:
        folder = user_path(output_dir or OUTPUT_FOLDER).absolute()
        weights = None if models_dir is None else user_path(models_dir).absolute()
        self.host: Host = ServerHost(folder, weights, device)
        self.can_open_folders = local
        self.latest: Result | None = None
        self._settings = Settings(output_dir=folder, by_date=False, device=device, downloads=downloads)
        self._turn = threading.Condition()
        self._queue: list[Task] = []  # the first one runs
        self._working = 0  # threads that work, those left behind included
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._closed = False

    def settings(self) -> Settings:
        return self._settings

    def run(self, task: str, work: Work[T], cancel: CancelToken | None = None) -> T:
        """See `shell.Shell.run`; tasks run in the order in which they came."""
        entry = Task(task, cancel or CancelToken())
        with self._place(entry):
            with self._turn:
                while self._queue[0] is not entry and not entry.token.cancelled:
                    self._turn.wait(WAIT_SECONDS)
                entry.token.check()
                entry.active = True
            try:
                made = call(lambda: self._counted(work, entry), entry.token)
            finally:
                self._hand_back()
        if isinstance(made, Result):
            self.latest = made
        return made

    def dismiss(self, task: str) -> None:
        """See `shell.Shell.dismiss`."""
        with self._turn:
            self._note_finished(task)

    def interrupt(self) -> None:
        """Stop the task that runs now."""
        with self._turn:
            if self._queue:
                self._queue[0].token.cancel()

    def _counted(self, work: Work[T], entry: Task) -> T:
        def report(step: Progress) -> None:
            entry.token.check()  # what was left behind says nothing any more
            entry(step)

        with self._turn:
            self._working += 1
        try:
            return work(report, entry.token)
        finally:
            with self._turn:
                self._working -= 1
                self._turn.notify_all()

    def output_file(self, stem: str, suffix: str = ".mp4") -> Path:
        folder = self._settings.output_dir
        try:
            return numbered(folder, stem, suffix)
        except OutputError as error:
            told = "The folder for results, {path}, cannot be used; {output_dir}."
            raise OutputError(told, "output_dir", Place(folder, "kept by the server")) from error

    def open_folder(self, path: Path) -> None:
        if not self.can_open_folders:
            raise OutputError("Folders can be opened only where the server runs on this computer.")
        show_folder(path if path.is_dir() else path.parent)

    def progress(self, task: str, last_preview: int | None = None) -> dict[str, Any]:
        """How far a task is, in the fields of the WebUI's own `/internal/progress`.

        last_preview: number of the live preview shown already; None where none is wanted.
        """
        with self._turn:
            names = [entry.name for entry in self._queue]
            entry = self._queue[names.index(task)] if task in names else None
            answer: dict[str, Any] = {
                "active": entry is not None and entry.active,
                "queued": entry is not None and not entry.active,
                "completed": entry is None and task in self._finished,
                "progress": None,
                "eta": None,
                "textinfo": "Waiting …",
                "live_preview": None,
                "id_live_preview": last_preview if last_preview is not None else -1,
            }
            if entry is None:
                return answer
            if not entry.active:
                answer["textinfo"] = f"In queue: {names.index(task)}/{len(names) - 1}"
                return answer
            meter = entry.meter
            answer.update(progress=meter.fraction, eta=meter.eta, textinfo=meter.text or "Preparing")
            if last_preview is not None and entry.preview and entry.preview_number != last_preview:
                encoded = base64.b64encode(entry.preview).decode("ascii")
                answer["live_preview"] = f"data:image/jpeg;base64,{encoded}"
                answer["id_live_preview"] = entry.preview_number
            return answer

    def close(self) -> None:
        """Cancel everything that runs or waits; later runs are refused."""
        with self._turn:
            self._closed = True
            for entry in self._queue:
                entry.token.cancel()
            self._turn.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Whether nothing runs any more, within that time."""
        with self._turn:
            return self._turn.wait_for(lambda: not (self._queue or self._working), timeout=seconds)

    @contextmanager
    def _place(self, entry: Task) -> Iterator[None]:
        """In the queue while the block runs; finished afterwards, whatever happened."""
        with self._turn:
            if self._closed:
                raise Cancelled("The server is stopping; nothing was written.")
            self._queue.append(entry)
            self._finished.pop(entry.name, None)
        try:
            yield
        finally:
            with self._turn:
                self._queue.remove(entry)
                self._note_finished(entry.name)
                self._turn.notify_all()

    def _note_finished(self, task: str) -> None:
        self._finished[task] = None
        while len(self._finished) > TASKS_REMEMBERED:
            self._finished.popitem(last=False)

    def _hand_back(self) -> None:
        """Unused memory of the device goes back to it."""
        if not self._settings.keep_models:
            release()
        kind = self.host.device().partition(":")[0]
        backend = getattr(sys.modules.get("torch"), kind, None)
        if kind != "cpu" and backend is not None:
            gc.collect()
            backend.empty_cache()
