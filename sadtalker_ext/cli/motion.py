"""`sadtalker motion`: speech, or a jittery track, into a motion track to edit and render later."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionsError
from ..host import StandaloneHost
from ..options import names
from .console import show
from .flags import add_inputs, add_options, add_output, from_namespace
from .inputs import request_of, track_target

if TYPE_CHECKING:
    from ..options import Options
    from ..tracks import MotionTrack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_inputs(parser)
    parser.add_argument(
        "--denoise",
        metavar="TRACK",
        help="instead of PICTURE and AUDIO: clean this motion track (.npz or Live Link Face .csv) of jitter",
    )
    add_output(parser, "motion track to write: .npz, or .csv as Live Link Face writes it", "track.npz")
    add_options(parser, only=names(lambda knob: not set(knob.shapes) <= {"frames", "file"}))


def run(given: argparse.Namespace) -> int:
    from ..tracks.files import save_track

    options = from_namespace(given)
    make = _motion if given.denoise is None else _clean_motion
    track, target = make(given, options)
    save_track(track, target, overwrite=options.overwrite)
    if not given.quiet:
        show(f"{target}: {len(track)} frames at {track.fps:g} frames/s in the {track.space.name} space")
    return 0


def _motion(given: argparse.Namespace, options: Options) -> tuple[MotionTrack, Path]:
    """What the speech moves, and the file to write it to."""
    from ..host import Run
    from ..pipeline import motion_of
    from .console import ProgressBar, show_notices

    request = request_of(given, options, picture_needed=False)
    target = track_target(given.output, request)
    assert target is not None
    with ProgressBar(quiet=given.quiet) as report:
        run = Run(report=report)
        track = motion_of(request, run)
    if not given.quiet:
        show_notices(run.notices)
    return track, target


def _clean_motion(given: argparse.Namespace, options: Options) -> tuple[MotionTrack, Path]:
    """The track `given.denoise` without its jitter, and the file to write it to."""
    from ..motion.denoise import denoised
    from ..tracks.files import check_track_output, load_track

    if given.picture is not None or given.audio is not None or given.text is not None:
        raise OptionsError("--denoise takes a motion track alone; leave out the picture and the speech.")
    target = check_track_output(given.output, options.overwrite)
    return denoised(load_track(given.denoise), StandaloneHost().models_dir()), target
