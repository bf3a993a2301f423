"""The `sadtalker` command: animate, demo, motion, render, inspect, evaluate, engines, voices, models …"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from .. import errors
from ..errors import OutputError
from ..options import DRAWING_KNOBS, ENHANCING_KNOBS, HEAD_KNOBS, knobs
from ..version import __version__
from . import animate as animate_command
from . import denoise as denoise_command
from . import voices as say_command
from .flags import add_arguments, add_models_dir, weights_from

USER_MISTAKE = 2
EXIT_CODES = {errors.MISTAKE: USER_MISTAKE, errors.CANCELLED: 130}  # of all other failures: 1
RENDER_KNOBS = (
    *("engine", "start", "end", *animate_command.PORTRAIT_KNOBS, *DRAWING_KNOBS, *HEAD_KNOBS),
    *ENHANCING_KNOBS,
    *("fps", "crf", "preset", "overwrite"),
)
# What shapes frames, but no motion. Part and size of the picture do: the networks look at them.
FRAME_KNOBS = ("batch_size", "precision", "turbo", "compile", "canvas", *ENHANCING_KNOBS, "crf", "preset")

PORTRAIT = "the portrait: any picture, photo or drawing"
MESH = "with the engine codetalker the mesh of a head, .ply, .obj or templates.pkl, or nothing"


class _Parser(argparse.ArgumentParser):
    """Refuses a wrong command line in one sentence; the usage of all flags would bury it."""

    def error(self, message: str) -> NoReturn:
        sentence = message.removeprefix("argument ").replace(": must be ", " must be ", 1)
        self.exit(USER_MISTAKE, f"sadtalker: {sentence}; {self.prog} --help tells more.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 2 for a user's mistake, 130 for a cancel."""
    from .console import end_like_interrupt, open_streams

    open_streams()
    parser = build_parser()
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help()
        return 0
    previous = end_like_interrupt()
    try:
        _check_working_folder()
        run: Callable[[argparse.Namespace], int] = given.run
        with weights_from(getattr(given, "models_dir", None)):
            code = run(given)
        sys.stdout.flush()
        return code
    except (Exception, KeyboardInterrupt) as error:
        failure = errors.tell(error)
        if failure.kind == errors.FAULT:
            raise
        if isinstance(error, OSError):
            _drop_output()
        if failure.sentence:
            begin = "\n" if isinstance(error, KeyboardInterrupt) else ""
            print(f"{begin}sadtalker: {failure.sentence}", file=sys.stderr)
        return EXIT_CODES.get(failure.kind, 1)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _check_working_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:  # native libraries end the whole process there
        raise OutputError("The current folder does not exist any more; change into another one.") from error


def _drop_output() -> None:
    """Send what is still to be printed nowhere, so that the interpreter's end does not fail on it too."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="sadtalker",
        description="Turn one portrait and speech into a talking-head video.",
        epilog="sadtalker COMMAND --help tells more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"sadtalker {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        added.set_defaults(run=run)
        return added

    animate = command(
        "animate", animate_command.animate, "make a talking-head video from a portrait and speech"
    )
    _add_inputs(animate)
    _add_output(animate, "video to write: .mp4, .webm, .gif, or a folder name ending in / for PNG frames")
    animate.add_argument(
        "--preview-face", metavar="PNG", help="write a picture of the faces found (without AUDIO: only that)"
    )
    animate.add_argument("--save-motion", metavar="FILE", help="also write the motion, as .npz or .csv")
    add_models_dir(animate)
    add_arguments(animate)

    demo = command(
        "demo", animate_command.demo, "make a video from the portrait and speech that come with the program"
    )
    _add_output(demo, "video to write", default="talking.mp4")
    add_models_dir(demo)
    add_arguments(demo, only=[knob.name for knob in knobs() if knob.group != "face"])

    motion = command("motion", animate_command.motion, "make the motion alone, to edit and render later")
    _add_inputs(motion)
    denoise_command.add_arguments(motion)
    _add_output(
        motion, "motion track to write: .npz, or .csv as Live Link Face writes it", default="track.npz"
    )
    add_models_dir(motion)
    add_arguments(motion, only=[knob.name for knob in knobs() if knob.name not in FRAME_KNOBS])

    render = command("render", animate_command.render, "render a motion track on a portrait or a mesh")
    render.add_argument("picture", metavar="PICTURE", nargs="?", help=f"{PORTRAIT}; {MESH}")
    render.add_argument("track", metavar="TRACK", help="motion track: .npz or Live Link Face .csv")
    render.add_argument("--audio", metavar="AUDIO", help="soundtrack: any audio or video file")
    render.add_argument(
        "--track-fps", type=float, metavar="FPS", help="frame rate of a .csv without usable times"
    )
    _add_output(render, "video to write: .mp4, .webm, .gif, or a folder name ending in / for PNG frames")
    add_models_dir(render)
    add_arguments(render, only=RENDER_KNOBS)

    inspect = command("inspect", _inspect, "tell what made a video, from its metadata")
    inspect.add_argument("video", metavar="VIDEO")
    inspect.add_argument("--json", action="store_true", help="print the whole metadata document")

    evaluate = command("evaluate", _evaluate, "measure how well lips follow speech in a video")
    evaluate.add_argument("video", metavar="VIDEO")
    evaluate.add_argument(
        "--picture", metavar="PICTURE", help="source picture, to compare what is outside the face"
    )
    evaluate.add_argument(
        "--track", metavar="TRACK", help="motion that was commanded (default: the metadata's)"
    )
    evaluate.add_argument("--sheet", metavar="PNG", help="also write a contact sheet of the video")
    evaluate.add_argument("--overwrite", action="store_true", help="replace the contact sheet if it exists")
    evaluate.add_argument("--json", action="store_true", help="print JSON instead of a table")

    from . import evaluate_mesh as evaluate_mesh_command

    evaluate_mesh = command(
        "evaluate-mesh",
        evaluate_mesh_command.run,
        "measure a predicted motion of a mesh against the true one",
    )
    evaluate_mesh_command.add_arguments(evaluate_mesh)

    engines = command("engines", _engines, "list engines: what is ready, what is missing and how to get it")
    engines.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_models_dir(engines)

    voices = command("voices", _voices, "list the voices that can speak --text")
    voices.add_argument("language", metavar="LANGUAGE", nargs="?", help="only those of it, such as en or de")
    voices.add_argument("--json", action="store_true", help="print JSON instead of text")

    models = command("models", _models, "list weight files: what is there, what is missing; download them")
    models.add_argument(
        "action", nargs="?", choices=("list", "download", "verify"), default="list", help="(default list)"
    )
    models.add_argument("names", nargs="*", metavar="NAME", help="which files: names as the list shows them")
    models.add_argument("--all", action="store_true", help="every file that an engine needs")
    add_models_dir(models)
    models.add_argument("--json", action="store_true", help="print JSON instead of text")
    models.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")

    from . import export as export_command

    export = command(
        "export", export_command.run, "write a motion for other programs: glTF, meshes, vertices"
    )
    export_command.add_arguments(export)

    from . import train as train_command

    train = command("train", train_command.run, "train an engine's networks on a corpus of one's own")
    train_command.add_commands(train)

    from . import serve as serve_command

    serve = command("serve", serve_command.run, "show the page in a browser, and offer the REST API")
    serve_command.add_arguments(serve)
    return parser


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", metavar="PICTURE", nargs="?", help=f"{PORTRAIT}; {MESH}")
    parser.add_argument("audio", metavar="AUDIO", nargs="?", help="the speech: any audio or video file")
    say_command.add_arguments(parser)


def _add_output(parser: argparse.ArgumentParser, help: str, default: str | None = None) -> None:
    note = f" (default {default})" if default else " (default: named after the inputs, in this folder)"
    parser.add_argument("-o", "--output", metavar="OUT", default=default, help=help + note)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")


def _inspect(given: argparse.Namespace) -> int:
    from ..errors import VideoError
    from ..video import read_metadata
    from .console import describe_metadata

    metadata = read_metadata(given.video)
    if not metadata:
        raise VideoError(
            f"{given.video} holds no description of how it was made; it was not made by sadtalker."
        )
    print(json.dumps(metadata, indent=2, ensure_ascii=False) if given.json else describe_metadata(metadata))
    return 0


def _evaluate(given: argparse.Namespace) -> int:
    from ..evaluation import contact_sheet, evaluate
    from ..tracks.files import load_track

    track = None if given.track is None else load_track(given.track)
    if given.sheet is not None:
        from ..face import check_picture_output, save_picture

        animate_command.keep_inputs(given.sheet, given.video, given.picture)
        check_picture_output(given.sheet, given.overwrite)
        save_picture(contact_sheet(given.video), given.sheet, overwrite=given.overwrite)
    report = evaluate(given.video, track=track, picture=given.picture)
    print(json.dumps(report.to_dict(), indent=2) if given.json else report.table())
    return 0


def _engines(given: argparse.Namespace) -> int:
    from ..engines import ENGINES
    from ..host import StandaloneHost
    from .console import describe_engine

    folder = StandaloneHost().models_dir()
    if given.json:
        rows = [
            {
                "name": engine.name,
                "ready": not engine.missing(folder),
                "summary": engine.summary,
                "composition": dict(engine.composition),
                "needs": [vars(need) for need in engine.needs(folder)],
            }
            for engine in ENGINES.values()
        ]
        print(json.dumps(rows, indent=2))
    else:
        print("\n\n".join(describe_engine(engine, folder) for engine in ENGINES.values()))
    return 0


def _voices(given: argparse.Namespace) -> int:
    print(say_command.listing(given.language, as_json=given.json))
    return 0


def _models(given: argparse.Namespace) -> int:
    from ..host import StandaloneHost
    from . import models as models_command

    folder = StandaloneHost().models_dir()
    if given.action == "list":
        rows = models_command.rows(folder) if given.json else None
        print(models_command.table(folder) if rows is None else json.dumps(rows, indent=2))
        return 0
    work = models_command.fetch if given.action == "download" else models_command.check
    for checkpoint in models_command.chosen(given.action, given.names, given.all):
        path = work(checkpoint, folder, quiet=given.quiet)
        if not given.quiet:
            print(f"{checkpoint.file}: {path or 'missing'}")
    return 0
