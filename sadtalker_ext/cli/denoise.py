"""`sadtalker motion --denoise TRACK`: a jittery motion track into a clean one."""

from __future__ import annotations

import argparse

from ..errors import OptionsError
from ..host import StandaloneHost
from .flags import from_namespace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flag, for a command that writes a motion track."""
    parser.add_argument(
        "--denoise",
        metavar="TRACK",
        help="instead of PICTURE and AUDIO: clean this motion track (.npz or Live Link Face .csv) of jitter",
    )


def run(given: argparse.Namespace) -> int:
    """Write the track `given.denoise`, cleaned, to `given.output`; returns the exit code."""
    from ..motion.denoise import denoised
    from ..tracks.files import check_track_output, load_track, save_track

    if given.picture is not None or given.audio is not None or given.text is not None:
        raise OptionsError("--denoise takes a motion track alone; leave out the picture and the speech.")
    options = from_namespace(given)
    target = check_track_output(given.output, options.overwrite)
    track = denoised(load_track(given.denoise), StandaloneHost().models_dir())
    save_track(track, target, overwrite=options.overwrite)
    if not given.quiet:
        print(f"{target}: {len(track)} frames at {track.fps:g} frames/s in the {track.space.name} space")
    return 0
