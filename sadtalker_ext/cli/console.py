"""The progress of a run into a bar on the terminal, and its result into a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import cleaned
from ..system import interrupts

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from tqdm import tqdm

    from ..host import Progress
    from ..request import Request, Result

STAGE_TITLES = {
    "speech": "listening",
    "portrait": "looking at the face",
    "motion": "making the motion",
    "render": "rendering",
}
BAR = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} frames, {rate_fmt}, {remaining} left"
SHORT_BAR = "{desc} {percentage:3.0f}% |{bar}| {remaining} left"


def open_streams() -> None:
    """Make the standard streams take any text: a closed one swallows it, a narrow one replaces letters."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # Takes the lowest free number, which is this one; else the next file that is opened would
            # get it, and messages of native libraries would be written into that file.
            os.open(os.devnull, os.O_RDWR)
        stream = getattr(sys, name)
        if stream is None:  # closed from the start, or a windowed program
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


class ProgressBar:
    """Shows `Progress` on standard error: the stage by name, then frames, frames/s and time left."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None
        self._stage = ""

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.close()
            self._bar = None
            interrupts.line_is_open = False

    def __call__(self, progress: Progress) -> None:
        if not self._quiet:
            with suppress(OSError, ValueError):  # that nobody hears of it must not end the work
                self._show(progress)

    def _show(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self.__exit__()
            self._stage = progress.stage
            if progress.stage != "render":
                print(f"{STAGE_TITLES[progress.stage]} …", file=sys.stderr)
        if progress.total > 1:
            if self._bar is None:
                from tqdm import tqdm

                self._bar = tqdm(
                    total=progress.total,
                    desc=STAGE_TITLES[progress.stage],
                    bar_format=BAR if progress.stage == "render" else SHORT_BAR,
                    unit=" frames",
                    file=sys.stderr,
                    dynamic_ncols=True,
                    mininterval=0.1 if sys.stderr.isatty() else 10.0,
                )
                interrupts.line_is_open = True
            self._bar.update(progress.done - self._bar.n)


def show(text: str) -> None:
    """Lines on standard output, whatever is in them: a file's name or contents cannot steer a terminal."""
    print(cleaned(text, len(text), lines=True), flush=True)


def show_notices(notices: Iterable[str]) -> None:
    """Sentences worth showing, on standard error."""
    with suppress(OSError, ValueError):
        for notice in notices:
            print(f"note: {cleaned(notice)}", file=sys.stderr)


def make_video(given: argparse.Namespace, request: Request, save_motion: Path | None = None) -> int:
    """Make it under a bar, write its motion too if asked, and describe what was made; the exit code."""
    from ..pipeline import perform

    with ProgressBar(quiet=given.quiet) as report:
        result = perform(request, progress=report)
    if save_motion is not None:
        from ..tracks.files import save_track

        save_track(result.track, save_motion, overwrite=result.options.overwrite)
    if not given.quiet:
        show_notices(result.notices)
        show(_description(result))
    return 0


def _description(result: Result) -> str:
    """One line about a finished video."""
    ratio = result.duration / result.elapsed if result.elapsed > 0 else 0.0
    return (
        f"{result.path}: {result.duration:.1f} s of video at {result.fps:g} frames/s, "
        f"made in {result.elapsed:.1f} s ({ratio:.1f}× real time) by the engine {result.engine}"
    )
