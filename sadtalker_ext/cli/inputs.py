"""What a command line names, such as a picture, a text or a file to write, into what the stages take."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionsError, OutputError, TrackError
from ..host import StandaloneHost
from ..tracks import ARKIT

if TYPE_CHECKING:
    from ..options import Options

NAME_CHARACTERS = 30  # of the text that go into the names of files


@contextmanager
def speech_of(given: argparse.Namespace) -> Iterator[str | Path | None]:
    """The recording that was named, or the text that was given, spoken into a file that lives meanwhile.

    Raises `OptionsError` where the flags contradict each other, and what `audio.say.speak` raises.
    """
    if given.text is None:
        if given.voice is not None:
            raise OptionsError("--voice says who speaks --text; give a text too.")
        yield given.audio
        return
    if given.audio is not None:
        raise OptionsError("Give either AUDIO or --text, not both.")
    from ..audio import say

    with tempfile.TemporaryDirectory(prefix="sadtalker-", ignore_cleanup_errors=True) as folder:
        target = Path(folder) / f"{_stem(given.text)}.wav"
        yield say.speak(given.text, target, voice=given.voice, models_dir=StandaloneHost().models_dir())


def without_picture(given: argparse.Namespace, options: Options) -> None:
    """Where a mesh may be left out, one name alone is the speech's."""
    from ..pipeline import is_mesh

    alone = given.audio is None and given.text is None and options.idle is None
    meshes = options.engine == "codetalker" or (options.engine == "auto" and options.template is not None)
    if meshes and alone and not is_mesh(given.picture):
        given.picture, given.audio = None, given.picture


def track_target(name: str | None, options: Options, picture: str | None) -> Path | None:
    """Refuse a motion file that cannot be written before any work is done."""
    if name is None:
        return None
    from ..engines import choose_engine
    from ..pipeline import wants_mesh
    from ..tracks.files import check_track_output

    target = check_track_output(name, options.overwrite)
    engine = choose_engine(options.engine, mesh=wants_mesh(picture, options))
    if target.suffix.lower() == ".csv" and engine.space != ARKIT:
        raise TrackError(f"The motion of the engine {engine.name} cannot be written as .csv; choose .npz.")
    return target


def keep_inputs(target: str, *inputs: str | None) -> None:
    """Refuse a picture to be written over what the run reads, even with --overwrite."""
    from ..system.paths import same_file

    if any(given is not None and same_file(Path(target), Path(given)) for given in inputs):
        raise OutputError(f"{target} is one of the inputs; choose another name for what is written.")


def _stem(text: str) -> str:
    """The first words of a text, as they can stand in a file's name."""
    return "-".join(re.findall(r"\w+", text.casefold()))[:NAME_CHARACTERS].strip("-") or "speech"
