"""`sadtalker export`: a motion track into a file that other programs read."""

from __future__ import annotations

import argparse

from .console import show
from .flags import add_quiet, add_track_fps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("track", metavar="TRACK", help="motion track: .npz or Live Link Face .csv")
    add(
        "output",
        metavar="OUT",
        help="what to write: .glb (animated glTF), .npy (vertices of every frame), or a folder whose name "
        "ends in obj/ or ply/ (a mesh a frame), such as talk_obj/",
    )
    add(
        "--template",
        metavar="MESH",
        help="the mesh that a vertex motion moves: .ply, .obj or templates.pkl (default: a neutral head)",
    )
    add("--person", metavar="NAME", help="whose face of templates.pkl (default: the first)")
    add("--fps", type=float, metavar="N", help="frames per second to write (default: the track's)")
    add_track_fps(parser)
    add("--overwrite", action="store_true", help="replace what exists already")
    add_quiet(parser)


def run(given: argparse.Namespace) -> int:
    from ..errors import OptionsError
    from ..host import Progress
    from ..mesh import load_template
    from ..mesh.export import check_export, export_track
    from ..tracks.files import load_track
    from .console import ProgressBar

    check_export(given.output, given.overwrite)
    if given.person is not None and given.template is None:
        raise OptionsError("--person says whose face of a templates.pkl; give that file with --template.")
    template = None if given.template is None else load_template(given.template, given.person)
    track = load_track(given.track, fps=given.track_fps)
    with ProgressBar(quiet=given.quiet) as bar:
        made = export_track(
            track,
            given.output,
            template=template,
            fps=given.fps,
            overwrite=given.overwrite,
            report=lambda done, total: bar(Progress("render", done, total)),
        )
    if not given.quiet:
        shapes = f", {made.shapes} shapes" if made.shapes else ""
        error = f", at most {made.largest_error:.2%} of the head's width off" if made.largest_error else ""
        show(f"{made.path}: {made.frames} frames of {made.vertices:,} vertices{shapes}{error}")
    return 0
