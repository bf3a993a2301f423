"""A WebUI's queue, progress, settings, device and folders as the surroundings of our runs."""

from __future__ import annotations

import datetime
import importlib
import ipaddress
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import OutputError, Place
from ..host import CancelToken, Host, Progress
from ..options import knob_named
from ..request import Result
from ..shell import PREVIEW_SECONDS, Meter, Settings, Work, preview
from ..shell.folders import numbered, show_folder
from ..shell.turn import call, take_turn
from ..system.paths import user_path
from .host_memory import checkpoint_away, hand_back

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

STEPS = 1000  # a run in the host's unit of progress, sampling steps
PREVIEW_PIXELS = 768  # longest side of a live preview
DEVICES = ("cpu", "cuda", "mps", "xpu")  # kinds of torch device that engines support
DEFAULT_OUTPUT = os.path.join("outputs", "sadtalker")  # below the host's data folder


def host_module(name: str) -> Any:
    """The host's module `modules.<name>`, as it is now: hosts replace parts of theirs while they run."""
    return importlib.import_module(f"modules.{name}")


def option(key: str, default: Any) -> Any:
    """The user's setting `key`, or `default` where the settings page could not be added."""
    return getattr(host_module("shared").opts, key, default)


def flag(name: str, default: Any = None) -> Any:
    """The value of a command-line flag, the host's or ours; `default` where the host knows no such flag."""
    return getattr(host_module("shared").cmd_opts, name, default)


class WebUIHost:
    """What a run asks of the WebUI: device and folders."""

    name = "webui"

    def device(self) -> str:
        """The device set by the user, else the host's; the CPU where engines cannot use the host's."""
        wanted = str(option("sadtalker_device", "auto") or "auto").strip()
        if wanted != "auto" and is_usable(wanted):
            return wanted
        on_cpu = flag("use_cpu") or []
        if "all" in on_cpu or "sadtalker" in on_cpu:
            return "cpu"
        found = str(host_module("devices").get_optimal_device())
        return found if is_usable(found) else "cpu"

    def models_dir(self) -> Path:
        """`--sadtalker-models-path`, else SadTalker among the host's models."""
        named = flag("sadtalker_models_path")
        return user_path(named) if named else Path(host_module("paths").models_path).absolute() / "SadTalker"

    def output_dir(self) -> Path:
        return output_folder()

    def face_restoration(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """The restoration chosen in the host's settings, uint8 (H, W, 3) to the same; None without one."""
        if not getattr(host_module("shared"), "face_restorers", None):
            return None
        return lambda image: host_module("face_restoration").restore_faces(image)


def is_usable(device: str) -> bool:
    kind, _, number = device.partition(":")
    if kind not in DEVICES:
        return False
    if kind == "cpu":
        return True
    import torch

    backend = torch.backends.mps if kind == "mps" else getattr(torch, kind, None)
    if backend is None or not backend.is_available():
        return False
    return not number or (number.isdigit() and (kind == "mps" or int(number) < backend.device_count()))


def output_folder() -> Path:
    """The folder for results as the settings name it; relative names are below the host's data folder."""
    named = str(option("sadtalker_output_dir", "") or "").strip() or DEFAULT_OUTPUT
    # SD.Next's data folder can be "", the current one.
    return Path(host_module("paths").data_path).absolute() / user_path(named)


class HostToken(CancelToken):
    """Cancelled by its own `cancel`, by the caller's token, and by the host's Interrupt and Skip buttons."""

    def __init__(self, other: CancelToken | None = None) -> None:
        super().__init__()
        self._other = other

    @property
    def asked(self) -> bool:
        """Whether this task was cancelled, whatever the task that runs in the host now."""
        return super().cancelled or (self._other is not None and self._other.cancelled)

    @property
    def cancelled(self) -> bool:
        return self.asked or interrupted() or bool(getattr(host_module("shared").state, "skipped", False))


def interrupted() -> bool:
    """Whether the user asked the host to stop all that it does now."""
    state = host_module("shared").state
    return bool(getattr(state, "interrupted", False) or getattr(state, "stopping_generation", False))


class HostProgress:
    """Progress events into the host's state, from which its page draws bar, text, ETA and live preview.

    job, jobs: which of how many videos this is. prefix: what the text begins with.
    """

    def __init__(self, job: int = 0, jobs: int = 1, prefix: str = "") -> None:
        self.meter = Meter()
        self._prefix = prefix
        self._previewed = -PREVIEW_SECONDS
        state = host_module("shared").state
        state.job_count, state.job_no = jobs, job
        state.sampling_steps, state.sampling_step = STEPS, 0
        state.textinfo = prefix + "Preparing"

    def __call__(self, progress: Progress) -> None:
        self.meter(progress)
        state = host_module("shared").state
        state.sampling_step = round(self.meter.fraction * STEPS)
        state.textinfo = self._prefix + self.meter.text
        now = time.monotonic()
        if progress.frame is not None and now - self._previewed >= PREVIEW_SECONDS and _previews_wanted():
            self._previewed = now
            state.assign_current_image(preview(progress.frame, PREVIEW_PIXELS))


def _previews_wanted() -> bool:
    # Every -1 steps means: not before the end.
    return bool(option("live_previews_enable", True)) and option("show_progress_every_n_steps", 1) != -1


class WebUIShell:
    """The surroundings of runs inside a WebUI; see `shell.Shell`. latest: the newest finished video."""

    has_img2img = True

    def __init__(self) -> None:
        self.name = _host_name()
        self.host: Host = WebUIHost()
        self.can_open_folders = not flag("hide_ui_dir_config", False) and not _is_remote()
        self.latest: Result | None = None
        self._entered: list[HostToken] = []
        self._running: list[HostToken] = []

    def settings(self) -> Settings:
        engine = str(option("sadtalker_engine", "auto"))
        known = knob_named("engine").choices
        return Settings(
            output_dir=output_folder(),
            by_date=bool(option("sadtalker_by_date", True)),
            engine=engine if engine in known else "auto",
            keep_models=bool(option("sadtalker_keep_models", True)),
            unload_checkpoint=bool(option("sadtalker_unload_checkpoint", False)),
            device=str(option("sadtalker_device", "auto") or "auto"),
            downloads=not flag("sadtalker_no_download", False),
        )

    def run(self, task: str, work: Work[T], cancel: CancelToken | None = None) -> T:
        """See `shell.Shell.run`; the queue is the host's own, so image generation waits too."""
        token = HostToken(cancel)
        tasks = host_module("progress")
        with self._listed(self._entered, token), ExitStack() as turn:
            tasks.add_task_to_queue(task)
            try:
                take_turn(host_module("call_queue").queue_lock, lambda: token.asked, turn)
            except BaseException:
                tasks.pending_tasks.pop(task, None)
                tasks.finish_task(task)
                raise
            with _running_state(task), self.prepared(token):
                return self.call(work, HostProgress(), token)

    @contextmanager
    def prepared(self, token: HostToken) -> Iterator[None]:
        """Memory for our work, which `interrupt` reaches; for who holds the host's queue."""
        settings = self.settings()
        away = checkpoint_away if settings.unload_checkpoint and self.host.device() != "cpu" else nullcontext
        with self._listed(self._running, token):
            token.check()
            try:
                with away():
                    yield
            finally:
                hand_back(settings.keep_models)

    def call(self, work: Work[T], progress: HostProgress, token: HostToken) -> T:
        """What the work returns, when prepared; raises `Cancelled` soon, even if the work cannot look."""

        def report(step: Progress) -> None:
            token.check()  # what was left behind says nothing any more
            progress(step)

        made = call(lambda: work(report, token), token)
        if isinstance(made, Result):
            self.latest = made
        return made

    def dismiss(self, task: str) -> None:
        """See `shell.Shell.dismiss`."""
        host_module("progress").finish_task(task)

    def interrupt(self) -> None:
        """Stop our task that runs now, else those of ours that wait; what others run is left alone."""
        for token in list(self._running) or list(self._entered):
            token.cancel()

    def output_file(self, stem: str, suffix: str = ".mp4") -> Path:
        folder = output_folder()
        if self.settings().by_date:
            folder /= datetime.date.today().isoformat()
        return numbered(folder, stem, suffix)

    def open_folder(self, path: Path) -> None:
        """Show the folder of `path`; raises `OutputError` where that is not allowed or there is no way to."""
        if not self.can_open_folders:
            raise OutputError("Folders can be opened only where the WebUI runs on this computer.")
        folder = path if path.is_dir() else path.parent
        if not folder.is_dir():
            raise OutputError("The folder {path} does not exist any more.", Place(folder, "of the server"))
        show_folder(folder)

    @contextmanager
    def _listed(self, tokens: list[HostToken], token: HostToken) -> Iterator[None]:
        tokens.append(token)
        try:
            yield
        finally:
            tokens.remove(token)


_shell: WebUIShell | None = None


def the_shell() -> WebUIShell:
    """The surroundings of every run inside this host, made on first use and kept over Reload UI."""
    global _shell
    if _shell is None:
        _shell = WebUIShell()
    return _shell


def _host_name() -> str:
    from importlib.util import find_spec

    if hasattr(host_module("shared"), "native"):
        return "SD.Next"
    if find_spec("modules_forge") is None:
        return "AUTOMATIC1111"
    return "reForge" if find_spec("ldm_patched") else "Forge"


def _is_remote() -> bool:
    """Whether the page may be open on another computer than this one."""
    if flag("listen", False) or flag("share", False) or flag("ngrok"):
        return True
    server = flag("server_name")
    if not server or server == "localhost":
        return False
    try:
        return not ipaddress.ip_address(server).is_loopback
    except ValueError:
        return True


@contextmanager
def _running_state(task: str) -> Iterator[None]:
    """The host's state says that `task` runs; afterwards, whatever happened, that nothing does."""
    shared, tasks = host_module("shared"), host_module("progress")
    try:
        shared.state.begin(task)
        tasks.start_task(task)
        yield
    finally:
        tasks.pending_tasks.pop(task, None)
        tasks.finish_task(task)
        state = shared.state
        try:
            state.end()
        finally:
            for name in ("skipped", "interrupted", "stopping_generation"):
                if hasattr(state, name):
                    setattr(state, name, False)
            state.job, state.job_count, state.textinfo = "", 0, None
