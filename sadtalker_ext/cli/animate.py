"""`sadtalker animate`: a portrait and speech into a talking-head video."""

from __future__ import annotations

import argparse

from ..engines import needs_no_picture
from ..errors import OptionsError
from ..options import Options
from .console import show
from .flags import add_inputs, add_options, add_output, from_namespace
from .inputs import is_silent, keep_inputs, request_of, track_target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_inputs(parser)
    add_output(parser)
    told = "write a picture of the faces found (without AUDIO: only that)"
    parser.add_argument("--preview-face", metavar="PNG", help=told)
    parser.add_argument("--save-motion", metavar="FILE", help="also write the motion, as .npz or .csv")
    add_options(parser)


def run(given: argparse.Namespace) -> int:
    from ..video import check_output
    from .console import make_video

    options = from_namespace(given)
    request = request_of(given, options)
    if request.picture is None and (given.preview_face is not None or not needs_no_picture(options)):
        raise OptionsError("No picture was given; give a portrait.")
    track = track_target(given.save_motion, request)
    if given.output is not None:
        check_output(given.output, options.overwrite)
    if given.preview_face is not None:
        keep_inputs(given.preview_face, *request.files())
        _preview_face(given.picture, given.preview_face, options)
        if is_silent(request):
            return 0
    return make_video(given, request, track)


def _preview_face(picture: str, target: str, options: Options) -> None:
    from ..face import check_picture_output, load_portrait, save_preview

    check_picture_output(target, options.overwrite)
    portrait = load_portrait(
        picture,
        face=options.face,
        face_at=options.face_at,
        points=options.points,
        detector=options.detector,
        all_faces=True,
    )
    path = save_preview(portrait, target, overwrite=options.overwrite)
    count = len(portrait.faces)
    show(f"{path}: {count} {'face' if count == 1 else 'faces'} found")
