"""What a command line names, such as a picture, a text or a file to write, into what the stages take."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..engines import ENGINES, choose_engine, needs_no_picture
from ..errors import OutputError, TrackError
from ..options import Options
from ..request import Request
from ..tracks import ARKIT
from .mixups import RECORDING, check_inputs, kind_of, without_speech


def request_of(given: argparse.Namespace, options: Options, *, picture_needed: bool = True) -> Request:
    """The request that the arguments of `flags.add_inputs` and `flags.add_output` make.

    Where the picture may be left out, one name alone is the speech's.
    """
    named = (given.picture, given.audio, given.text, given.voice)
    request = Request(*named, options=options, output=given.output)
    alone = replace(request, picture=None, speech=given.picture)
    silent = is_silent(request) and given.picture is not None
    if silent and needs_no_picture(options) and _is_no_subject(given.picture, options):
        return alone
    check_inputs(given.picture, given.audio)
    if silent and getattr(given, "preview_face", None) is None:
        problem = without_speech(given.picture)
        if problem is not None and not picture_needed and kind_of(given.picture) == RECORDING:
            return alone
        if problem is not None:
            raise problem
    return request


def is_silent(request: Request) -> bool:
    """Whether nothing is to be said, or kept silent about."""
    options = request.options or Options()
    return request.speech is None and request.text is None and options.idle is None


def track_target(name: str | None, request: Request) -> Path | None:
    """Refuse a motion file that cannot be written before any work is done."""
    if name is None:
        return None
    from ..tracks.files import check_track_output

    options = request.options or Options()
    target = check_track_output(name, options.overwrite)
    engine = choose_engine(options, source=request.picture)
    if target.suffix.lower() == ".csv" and engine.space != ARKIT:
        raise TrackError(f"The motion of the engine {engine.name} cannot be written as .csv; choose .npz.")
    return target


def keep_inputs(target: str, *inputs: str | Path | None) -> None:
    """Refuse a picture to be written over what the run reads, even with --overwrite."""
    from ..system.paths import same_file

    if any(given is not None and same_file(Path(target), Path(given)) for given in inputs):
        raise OutputError(f"{target} is one of the inputs; choose another name for what is written.")


def _is_no_subject(name: str | None, options: Options) -> bool:
    """Whether a name is that of a recording: no engine that needs no picture animates it."""
    able = (engine for engine in ENGINES.values() if engine.animates != "pictures")
    return name is not None and all(engine.refusal(name, options) is not None for engine in able)
