"""What the tab and the REST API ask of the place they run in: a WebUI, or a server of our own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..host import CancelToken, Host, Progress, ProgressCallback

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from ..request import Request, Result

T = TypeVar("T")
Work = Callable[[ProgressCallback, CancelToken], T]

# Where each stage begins and ends on the way from 0 to 1; rendering takes longest.
STAGE_SHARES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"speech": (0.0, 0.03), "portrait": (0.03, 0.06), "motion": (0.06, 0.3), "render": (0.3, 1.0)}
)
STAGE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "speech": "Reading the speech",
        "portrait": "Looking at the face",
        "motion": "Listening",
        "render": "Rendering",
    }
)
PREVIEW_SECONDS = 0.4  # between two live previews; pages ask once or twice a second


@dataclass(frozen=True)
class Settings:
    """What the user set once for all runs.

    output_dir: results go in here. by_date: in a folder per day. device: a torch device, or "auto".
    keep_models: prepared portraits and weights stay in memory between runs. unload_checkpoint: the host's
    image model leaves the device while a video is made. downloads: weights may be fetched when asked for.
    """

    output_dir: Path
    by_date: bool = True
    engine: str = "auto"
    keep_models: bool = True
    unload_checkpoint: bool = False
    device: str = "auto"
    downloads: bool = True


class Shell(Protocol):
    """The surroundings of a run that a person or a program started through a page or the REST API."""

    name: str
    host: Host
    can_open_folders: bool  # the page is on the same machine as the files
    has_img2img: bool  # a picture can be sent on to the host's img2img
    latest: Result | None  # the newest finished video

    def settings(self) -> Settings:
        """The settings as they are now."""

    def run(self, task: str, work: Work[T], cancel: CancelToken | None = None) -> T:
        """Wait for the queue's turn and return what `work(progress, cancel)` returns.

        task: an id like "task(abc)", by which the page asks for progress. Interrupting, or cancelling
        `cancel`, makes the work raise `Cancelled`; memory is handed back afterwards, as the settings say.
        """

    def dismiss(self, task: str) -> None:
        """Tell a page that waits for the task that it is over: it was refused, and never came to `run`."""

    def interrupt(self) -> None:
        """Stop the task that runs now."""

    def output_file(self, stem: str, suffix: str = ".mp4") -> Path:
        """A free, numbered name in the folder for results, which is made if need be.

        Raises `OutputError` where that folder cannot be written.
        """

    def open_folder(self, path: Path) -> None:
        """Show the file's folder in the desktop's file manager."""


def placed(shell: Shell, request: Request) -> Request:
    """The request with a place for its video: in the shell's folder for results, where it names none."""
    if request.output is not None:
        return request
    named = next((given for given in (request.picture, request.speech) if isinstance(given, Path)), None)
    return replace(request, output=shell.output_file(named.stem if named else "talking", request.suffix))


class Meter:
    """Progress events into one number that never falls, a line of text, and the latest frame.

    fraction: 0..1. text: what is done now. frame: uint8 (H, W, 3 or 4) or None. eta: seconds left, or None
    before the first frame: what comes before depends on the machine more than on the work.
    """

    def __init__(self) -> None:
        self.fraction = 0.0
        self.text = ""
        self.frame: np.ndarray | None = None
        self._drawn = 0.0  # share of the frames
        self._drawn_at_first = 0.0
        self._drawing_since: float | None = None

    def __call__(self, progress: Progress) -> None:
        begin, end = STAGE_SHARES[progress.stage]
        part = progress.done / progress.total if progress.total else 0.0
        self.fraction = max(self.fraction, begin + (end - begin) * min(1.0, part))
        if progress.stage == "render":
            self._drawn = part
            if self._drawing_since is None and progress.done > 0:
                self._drawing_since = time.monotonic()
                self._drawn_at_first = part
        counted = progress.stage == "render" and progress.total
        self.text = STAGE_WORDS[progress.stage] + (f" {progress.done}/{progress.total}" if counted else "")
        if progress.frame is not None:
            self.frame = progress.frame

    @property
    def eta(self) -> float | None:
        drawn = self._drawn - self._drawn_at_first
        if self._drawing_since is None or drawn <= 0.0:
            return None
        return (time.monotonic() - self._drawing_since) * (1.0 - self._drawn) / drawn


def preview(frame: np.ndarray, side: int) -> Image.Image:
    """A small RGB copy of a frame, uint8 (H, W, 3 or 4). side: most pixels of its longer side."""
    from PIL import Image

    picture = Image.fromarray(frame).convert("RGB")
    picture.thumbnail((side, side))
    return picture
