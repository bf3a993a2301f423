"""`sadtalker demo`: the portrait and speech that come with the program into a video."""

from __future__ import annotations

import argparse

from ..options import names
from ..request import Request
from ..system.paths import ASSETS
from .flags import add_options, add_output, from_namespace

DEMO = ASSETS / "demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_output(parser, "video to write", default="talking.mp4")
    add_options(parser, only=names(lambda knob: knob.group != "face"))


def run(given: argparse.Namespace) -> int:
    from .console import make_video

    options = from_namespace(given)
    portrait, speech = DEMO / "portrait.png", None if options.idle is not None else DEMO / "speech.wav"
    return make_video(given, Request(portrait, speech, options=options, output=given.output))
