"""`sadtalker animate`: a portrait and speech into a talking-head video."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import OptionsError
from .flags import (
    PORTRAIT_KNOBS,
    VIDEO_HELP,
    add_inputs,
    add_knobs,
    add_models_dir,
    add_output,
    from_namespace,
)
from .inputs import keep_inputs, speech_of, track_target, without_picture

if TYPE_CHECKING:
    from ..options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_inputs(parser)
    add_output(parser, VIDEO_HELP)
    parser.add_argument(
        "--preview-face", metavar="PNG", help="write a picture of the faces found (without AUDIO: only that)"
    )
    parser.add_argument("--save-motion", metavar="FILE", help="also write the motion, as .npz or .csv")
    add_models_dir(parser)
    add_knobs(parser)


def run(given: argparse.Namespace) -> int:
    from .. import pipeline
    from ..video import check_output
    from .console import make_video

    options = from_namespace(given)
    without_picture(given, options)
    _require_picture(given, options)
    track = track_target(given.save_motion, options, given.picture)
    if given.output is not None:
        check_output(given.output, options.overwrite)
    if given.preview_face is not None:
        keep_inputs(given.preview_face, given.picture, given.audio, *options.files())
        _preview_face(given.picture, given.preview_face, options)
        if given.audio is None and given.text is None and options.idle is None:
            return 0
    with speech_of(given) as speech:
        return make_video(
            given,
            lambda report: pipeline.animate(given.picture, speech, given.output, options, progress=report),
            track,
        )


def _require_picture(given: argparse.Namespace, options: Options) -> None:
    """Say before the work that a portrait is missing; only a mesh may be left out."""
    from ..pipeline import wants_mesh

    meshes = options.engine == "codetalker" or wants_mesh(None, options)
    if given.picture is None and (given.preview_face is not None or not meshes):
        raise OptionsError("No picture was given; give a portrait.")


def _preview_face(picture: str, target: str, options: Options) -> None:
    from ..face import check_picture_output, load_portrait, save_preview

    check_picture_output(target, options.overwrite)
    chosen = {name: getattr(options, name) for name in PORTRAIT_KNOBS}
    portrait = load_portrait(picture, **chosen, all_faces=True)
    path = save_preview(portrait, target, overwrite=options.overwrite)
    count = len(portrait.faces)
    print(f"{path}: {count} {'face' if count == 1 else 'faces'} found")
