"""`sadtalker render`: a motion track and a portrait or a mesh into a video."""

from __future__ import annotations

import argparse

from ..options import DRAWING_KNOBS, ENHANCING_KNOBS, HEAD_KNOBS
from .flags import (
    PICTURE_HELP,
    PORTRAIT_KNOBS,
    VIDEO_HELP,
    add_knobs,
    add_models_dir,
    add_output,
    add_track_fps,
    from_namespace,
)

RENDER_KNOBS = (
    *("engine", "start", "end", *PORTRAIT_KNOBS, *DRAWING_KNOBS, *HEAD_KNOBS),
    *ENHANCING_KNOBS,
    *("fps", "crf", "preset", "overwrite"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", metavar="PICTURE", nargs="?", help=PICTURE_HELP)
    parser.add_argument("track", metavar="TRACK", help="motion track: .npz or Live Link Face .csv")
    parser.add_argument("--audio", metavar="AUDIO", help="soundtrack: any audio or video file")
    add_track_fps(parser)
    add_output(parser, VIDEO_HELP)
    add_models_dir(parser)
    add_knobs(parser, only=RENDER_KNOBS)


def run(given: argparse.Namespace) -> int:
    from ..pipeline import playable_fps, render_track
    from ..tracks.files import load_track
    from .console import make_video

    track = load_track(given.track, fps=given.track_fps)
    if not hasattr(given, "fps"):
        given.fps = playable_fps(track)
    options = from_namespace(given)
    return make_video(
        given,
        lambda report: render_track(
            given.picture, track, given.output, options, speech=given.audio, progress=report
        ),
    )
