"""`sadtalker render`: a motion track and a portrait or a mesh into a video."""

from __future__ import annotations

import argparse

from ..options import names
from ..request import Request
from .flags import PICTURE_HELP, add_knobs, add_models_dir, add_output, add_track_fps, from_namespace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("picture", metavar="PICTURE", nargs="?", help=PICTURE_HELP)
    add("motion", metavar="TRACK", help="motion track: .npz or Live Link Face .csv")
    add("--audio", metavar="AUDIO", help="soundtrack: any audio or video file")
    add_track_fps(parser)
    add_output(parser)
    add_models_dir(parser)
    add_knobs(parser, only=names(lambda knob: knob.shapes != ("motion",)))


def run(given: argparse.Namespace) -> int:
    from ..pipeline import playable_fps
    from ..tracks.files import load_track
    from .console import make_video

    track = load_track(given.motion, fps=given.track_fps)
    if not hasattr(given, "fps"):
        given.fps = playable_fps(track)
    options = from_namespace(given)
    request = Request(given.picture, given.audio, track=track, options=options, output=given.output)
    return make_video(given, request)
