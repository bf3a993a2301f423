"""The commands animate, demo, motion and render: from parsed arguments to a file that is written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionsError, OutputError, TrackError
from ..system.paths import ASSETS
from ..tracks import ARKIT
from . import denoise as denoise_command
from . import voices as say_command
from .flags import from_namespace

if TYPE_CHECKING:
    from ..face import Portrait
    from ..options import Options

DEMO = ASSETS / "demo"
PORTRAIT_KNOBS = ("face", "face_at", "points", "detector")


def animate(given: argparse.Namespace) -> int:
    from .. import pipeline
    from ..video import check_output

    options = from_namespace(given)
    _without_picture(given, options)
    _require_picture(given, options)
    tracks = _track_target(given.save_motion, options, given.picture)
    if given.output is not None:
        check_output(given.output, options.overwrite)
    if given.preview_face is not None:
        keep_inputs(given.preview_face, given.picture, given.audio, *options.files())
        _preview_face(given.picture, given.preview_face, options)
        if given.audio is None and given.text is None and options.idle is None:
            return 0
    with say_command.speech_of(given) as speech:
        return _make(
            given,
            lambda report: pipeline.animate(given.picture, speech, given.output, options, progress=report),
            tracks,
        )


def demo(given: argparse.Namespace) -> int:
    from .. import pipeline

    options = from_namespace(given)
    portrait, speech = DEMO / "portrait.png", None if options.idle is not None else DEMO / "speech.wav"
    return _make(
        given, lambda report: pipeline.animate(portrait, speech, given.output, options, progress=report)
    )


def render(given: argparse.Namespace) -> int:
    from ..pipeline import playable_fps, render_track
    from ..tracks.files import load_track

    track = load_track(given.track, fps=given.track_fps)
    if not hasattr(given, "fps"):
        given.fps = playable_fps(track)
    options = from_namespace(given)
    return _make(
        given,
        lambda report: render_track(
            given.picture, track, given.output, options, speech=given.audio, progress=report
        ),
    )


def _make(given: argparse.Namespace, work: Callable[[Any], Any], save_motion: Path | None = None) -> int:
    from .console import ProgressBar, describe_result

    with ProgressBar(quiet=given.quiet) as report:
        result = work(report)
    if save_motion is not None:
        from ..tracks.files import save_track

        save_track(result.track, save_motion, overwrite=result.options.overwrite)
    if not given.quiet:
        for notice in result.notices:
            print(f"note: {notice}", file=sys.stderr)
        print(describe_result(result))
    return 0


def keep_inputs(target: str, *inputs: str | None) -> None:
    """Refuse a picture to be written over what the run reads, even with --overwrite."""
    from ..system.paths import same_file

    if any(given is not None and same_file(Path(target), Path(given)) for given in inputs):
        raise OutputError(f"{target} is one of the inputs; choose another name for what is written.")


def _without_picture(given: argparse.Namespace, options: Options) -> None:
    """Where a mesh may be left out, one name alone is the speech's."""
    from ..pipeline import is_mesh

    alone = given.audio is None and given.text is None and options.idle is None
    meshes = options.engine == "codetalker" or (options.engine == "auto" and options.template is not None)
    if meshes and alone and not is_mesh(given.picture):
        given.picture, given.audio = None, given.picture


def _require_picture(given: argparse.Namespace, options: Options) -> None:
    """Say before the work that a portrait is missing; only a mesh may be left out."""
    from ..pipeline import wants_mesh

    meshes = options.engine == "codetalker" or wants_mesh(None, options)
    if given.picture is None and (given.preview_face is not None or not meshes):
        raise OptionsError("No picture was given; give a portrait.")


def _track_target(name: str | None, options: Options, picture: str | None) -> Path | None:
    """Refuse a motion file that cannot be written before any work is done."""
    if name is None:
        return None
    from ..engines import choose_engine
    from ..pipeline import wants_mesh
    from ..tracks.files import check_track_output

    target = check_track_output(name, options.overwrite)
    engine = choose_engine(options.engine, mesh=wants_mesh(picture, options))
    if target.suffix.lower() == ".csv" and engine.space != ARKIT:
        raise TrackError(f"The motion of the engine {engine.name} cannot be written as .csv; choose .npz.")
    return target


def motion(given: argparse.Namespace) -> int:
    from ..pipeline import make_motion
    from ..tracks.files import save_track
    from .console import ProgressBar

    if given.denoise is not None:
        return denoise_command.run(given)
    options = from_namespace(given)
    _without_picture(given, options)
    target = _track_target(given.output, options, given.picture)
    assert target is not None
    with say_command.speech_of(given) as speech, ProgressBar(quiet=given.quiet) as report:
        track = make_motion(speech, options, picture=given.picture, progress=report)
    save_track(track, target, overwrite=options.overwrite)
    if not given.quiet:
        print(f"{target}: {len(track)} frames at {track.fps:g} frames/s in the {track.space.name} space")
    return 0


def _load_portrait(picture: str, options: Options, *, all_faces: bool = False) -> Portrait:
    from ..face import load_portrait

    return load_portrait(
        picture, **{name: getattr(options, name) for name in PORTRAIT_KNOBS}, all_faces=all_faces
    )


def _preview_face(picture: str, target: str, options: Options) -> None:
    from ..face import check_picture_output, save_preview

    check_picture_output(target, options.overwrite)
    portrait = _load_portrait(picture, options, all_faces=True)
    path = save_preview(portrait, target, overwrite=options.overwrite)
    count = len(portrait.faces)
    print(f"{path}: {count} {'face' if count == 1 else 'faces'} found")
