"""One request of a page or a program into a finished video, by the pipeline."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..host import CancelToken, ProgressCallback
from ..options import Options
from ..pipeline import Result, animate, render_track
from ..tracks import MotionTrack
from . import Shell

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be made.

    picture: a file, a PIL image, or None where a mesh is animated. speech: a recording; or text: spoken by
    `voice` (see `audio.say`); or neither, with `options.idle`. track: this motion is rendered instead of a
    new one. output: where to; None is the shell's folder for results. suffix: the kind of file there.
    """

    picture: Path | Image.Image | None
    options: Options
    speech: Path | None = None
    text: str | None = None
    voice: str | None = None
    track: MotionTrack | None = None
    output: Path | None = None
    suffix: str = ".mp4"


def perform(shell: Shell, request: Request, progress: ProgressCallback, cancel: CancelToken) -> Result:
    """Make the video; to be called by `shell.run`. Raises a `SadTalkerError` whose text says what to do."""
    with tempfile.TemporaryDirectory(prefix="sadtalker-", ignore_cleanup_errors=True) as folder:
        speech = request.speech
        if speech is None and request.text is not None:
            from ..audio.say import speak

            speech = speak(
                request.text,
                Path(folder) / "speech.wav",
                voice=request.voice,
                models_dir=shell.host.models_dir(),
                check=cancel.check,
            )
        output = request.output or shell.output_file(_stem(request), request.suffix)
        if request.track is not None:
            return render_track(
                request.picture,
                request.track,
                output,
                request.options,
                speech=speech,
                progress=progress,
                cancel=cancel,
                host=shell.host,
            )
        return animate(
            request.picture,
            speech,
            output,
            request.options,
            progress=progress,
            cancel=cancel,
            host=shell.host,
        )


def _stem(request: Request) -> str:
    named = request.picture if isinstance(request.picture, Path) else request.speech
    return named.stem if named is not None else "talking"
