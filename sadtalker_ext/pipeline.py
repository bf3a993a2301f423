"""One portrait and speech become a talking-head video: the only module that knows all the stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engines import Actor, Engine, choose_engine
from .errors import AudioError, Named, OptionsError, TrackError
from .host import CancelToken, Host, Progress, ProgressCallback, Run, StandaloneHost
from .options import Options, knob_named, names
from .request import Request, Result, text_file
from .system import leftovers
from .system.caches import release as release
from .system.outputs import free_name
from .system.paths import would_replace
from .tracks import MotionTrack
from .version import __version__

if TYPE_CHECKING:
    import numpy as np

    from .audio import Speech
    from .request import PictureSource, SpeechSource

SOFTWARE = "sadtalker-ext"
HELD_S = 0.2  # by which a sound may be longer than its motion, whose last row then stands


def animate(
    picture: PictureSource | None,
    speech: SpeechSource | None = None,
    output: str | Path | None = None,
    options: Options | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    host: Host | None = None,
) -> Result:
    """Turn one portrait and speech into a talking-head video; arguments as those of `Request`.

    Raises a `SadTalkerError` whose text says what to do; nothing half-written stays.
    """
    request = Request(picture, speech, options=options or Options(), output=output)
    return perform(request, progress=progress, cancel=cancel, host=host)


def render_track(
    picture: PictureSource | None,
    track: MotionTrack,
    output: str | Path | None = None,
    options: Options | None = None,
    *,
    speech: SpeechSource | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    host: Host | None = None,
) -> Result:
    """Render a motion track on a portrait; with `speech` as soundtrack.

    Where the sound is shorter the track is cut, where it is longer the face goes on in quiet presence.

    The track is resampled to `options.fps`; without options it keeps its own rate where that can be shown.
    """
    request = Request(picture, speech, track=track, options=options, output=output)
    return perform(request, progress=progress, cancel=cancel, host=host)


def make_motion(
    speech: SpeechSource | None,
    options: Options | None = None,
    *,
    picture: PictureSource | None = None,
    text: str | None = None,
    voice: str | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    host: Host | None = None,
) -> MotionTrack:
    """The motion alone, to be saved, edited and rendered later; arguments as those of `Request`.

    picture: needed by engines whose motion depends on the face, such as sadtalker.
    """
    request = Request(picture, speech, text, voice, options=options or Options())
    return motion_of(request, _run(progress, cancel, host))


def motion_of(request: Request, run: Run) -> MotionTrack:
    """As `make_motion`, for a request; what there is to say goes into the notices of the run."""
    options = request.options or Options()
    run.notice(*options.notices)
    engine = choose_engine(options, run.host.models_dir(), source=request.picture)
    with speech_file(request, run) as request:
        speech = _listen(request, run)
        if request.picture is None and engine.animates == "pictures":
            actor = engine.open(None, options, run)  # the motion of some engines is anybody's
        else:
            actor = _open(engine, request, run)
        with closing(actor):
            return _move(actor, speech, run)


def perform(
    request: Request,
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    host: Host | None = None,
) -> Result:
    """Make the video that is asked for.

    Raises a `SadTalkerError` whose text says what to do; nothing half-written stays.
    """
    started, run = time.perf_counter(), _run(progress, cancel, host)
    request, track = _with_track(request)
    options = request.options
    assert options is not None
    run.notice(*options.notices)
    space = None if track is None else track.space
    engine = choose_engine(options, run.host.models_dir(), source=request.picture, space=space)
    if track is not None and not engine.plays(track.space):
        known = "tracks of vertices" if engine.space is None else f"{engine.space.name} tracks"
        raise TrackError(f"The engine {engine.name} renders {known}, not {track.space.name}.")
    path = _output(request, run)
    _check_enhancer(engine, options, run)
    with speech_file(request, run) as request:
        silent = track is not None and request.speech is None
        speech = None if silent else _listen(request, run)
        with closing(_open(engine, request, run)) as actor:
            if track is None:
                assert speech is not None
                track = _move(actor, speech, run)
            else:
                track = _fitted(track, speech, actor, run)
            if speech is not None:
                speech = speech.as_soundtrack()  # rendering takes long, and needs the memory more
            return _render(actor, track, speech, path, request, run, started)


def playable_fps(track: MotionTrack) -> float:
    """The track's own frame rate, or the nearest that a video can have."""
    knob = knob_named("fps")
    assert knob.low is not None
    assert knob.high is not None
    return min(knob.high, max(knob.low, track.fps))


@contextmanager
def speech_file(request: Request, run: Run) -> Iterator[Request]:
    """The request with its text spoken into a file, which lives meanwhile."""
    if request.text is None:
        if request.voice is not None:
            raise OptionsError("{voice} says who speaks {text}; give a text too.", "voice", "text")
        yield request
        return
    if request.speech is not None:
        raise OptionsError("Give either a recording or {text}, not both.", "text")
    if request.options is not None and request.options.idle is not None:
        raise OptionsError("Give either speech or {idle}, not both.", "idle")
    from .audio.say import speak

    with leftovers.folder() as folder:
        target, models_dir = folder / text_file(request.text), run.host.models_dir()
        spoken = speak(request.text, target, voice=request.voice, models_dir=models_dir, check=run.check)
        yield replace(request, speech=spoken, text=None, voice=None)


def _run(progress: ProgressCallback | None, cancel: CancelToken | None, host: Host | None) -> Run:
    return Run(host or StandaloneHost(), (cancel or CancelToken()).check, progress or (lambda _: None))


def _with_track(request: Request) -> tuple[Request, MotionTrack | None]:
    """The motion that is to be rendered again, and the request with options that suit it."""
    track = request.track
    if isinstance(track, (str, Path)):
        from .tracks import load_track

        track = load_track(track)
    options = request.options or (Options() if track is None else Options(fps=playable_fps(track)))
    return replace(request, options=options), track


def _output(request: Request, run: Run) -> Path:
    from .video import check_output

    run.check()
    options = request.options or Options()
    output, folder = request.output, run.host.output_dir()
    if output is None:
        output = folder / free_name(folder, request.picture_name, request.speech_name, suffix=request.suffix)
    path = check_output(output, options.overwrite)
    if any(would_replace(path, given) for given in request.files()):
        raise OptionsError(f"The output {path.name} is one of the inputs; choose another name.")
    return path


def _check_enhancer(engine: Engine, options: Options, run: Run) -> None:
    """Refuse an enhancer that is not there, or not for what is animated, before the long work."""
    from .enhance import look_up, wanted

    if wanted(options) and not engine.uses(knob_named("enhancer")):
        told = "{enhancer} and {upscale} are for portraits; for a mesh set {canvas}."
        raise OptionsError(told, "enhancer", "upscale", "canvas")
    if options.enhancer != "none":
        look_up(options.enhancer, run.host.models_dir(), _restoration(run.host) is not None)


def _restoration(host: Host) -> Callable[[np.ndarray], np.ndarray] | None:
    """The host's own face restoration, which only some have."""
    asked = getattr(host, "face_restoration", None)
    return None if asked is None else asked()


def _listen(request: Request, run: Run) -> Speech:
    from .audio import load_speech, silence

    options = request.options or Options()
    run.report(Progress("speech", 0, 1))
    if options.idle is not None:
        if request.speech is not None:
            raise OptionsError("Give either speech or {idle}, not both.", "idle")
        speech = silence(options.idle)
    elif request.speech is None:
        told = "No speech was given; give an audio or video file, or {idle}."
        raise AudioError(told, Named("idle", "SECONDS"))
    else:
        speech = load_speech(
            request.speech, start=options.start, end=options.end, track=options.track, check=run.check
        )
        run.notice(*speech.notices)
    run.report(Progress("speech", 1, 1))
    return speech


def _open(engine: Engine, request: Request, run: Run) -> Actor:
    """The actor for what is to be animated."""
    options = request.options or Options()
    run.report(Progress("portrait", 0, 1))
    subject = engine.subject(request.picture, options, run)
    run.notice(*subject.notices)
    run.report(Progress("portrait", 1, 1))
    return engine.open(subject, options, run)


def _move(actor: Actor, speech: Speech, run: Run) -> MotionTrack:
    run.report(Progress("motion", 0, 1))
    track = actor.motion(speech)
    run.report(Progress("motion", 1, 1))
    return track


def _fitted(track: MotionTrack, speech: Speech | None, actor: Actor, run: Run) -> MotionTrack:
    """The track at the video's rate, as long as its soundtrack: cut, or going on in quiet presence."""
    track = track.resampled(actor.options.fps)
    if speech is None:
        return track
    frames = actor.frames(speech)
    left = frames - len(track)
    moves, sounds = track.duration, speech.duration
    if left < -1:
        run.notice(f"The motion lasts {moves:.1f} s; it ends with the sound, {sounds:.1f} s.")
    if left < HELD_S * track.fps:
        return track.fitted(frames)
    ends = f"The motion ends after {round(moves, 1):g} s, the sound after {round(sounds, 1):g} s"
    run.notice(f"{ends}; from there on the face is quietly present.")
    return track.continued(actor.idle(left, track.space))


def _render(
    actor: Actor,
    track: MotionTrack,
    speech: Speech | None,
    path: Path,
    request: Request,
    run: Run,
    started: float,
) -> Result:
    from .enhance import enhanced
    from .video import VideoWriter

    track = actor.shown(track)
    run.report(Progress("render", 0, len(track)))
    options, host = actor.options, run.host
    drawing = enhanced(actor, options, host.models_dir(), host.device(), _restoration(host), run.check)
    run.check()
    metadata = _described(actor, drawing, track, request, run)
    writer = VideoWriter(
        path,
        width=drawing.size[0],
        height=drawing.size[1],
        fps=track.fps,
        frames=len(track),
        soundtrack=speech,
        metadata=metadata,
        crf=options.crf,
        preset=options.preset,
        overwrite=options.overwrite,
        alpha=drawing.has_alpha,
        check=run.check,
    )
    with writer, closing(drawing.draw(track)) as frames:
        for number, frame in enumerate(frames, start=1):
            writer.write(frame)
            run.report(Progress("render", number, len(track), frame))
            run.check()
    run.notice(*actor.notices, *drawing.notices, *writer.notices)
    return Result(
        path=writer.path,
        frames=len(track),
        fps=track.fps,
        duration=track.duration,
        elapsed=time.perf_counter() - started,
        engine=actor.engine,
        options=options,
        track=track,
        metadata=metadata,
        notices=tuple(run.notices),
    )


def _described(actor: Actor, drawing: Any, track: MotionTrack, request: Request, run: Run) -> dict[str, Any]:
    """The metadata document: everything needed to make the same video again, no folder names."""
    from .tracks.trace import encode_opening

    opening = drawing.opening(track)
    options = actor.options.to_dict()
    del options["overwrite"]
    for name in names(lambda knob: knob.kind == "path"):
        options[name] = options[name] and Path(options[name]).name
    return {
        "software": SOFTWARE,
        "version": __version__,
        "engine": actor.engine,
        "options": options,
        "seed": actor.options.seed,
        "device": run.host.device(),
        "picture": request.picture_name,
        "speech": request.speech_name,
        "face": _face_in_frame(actor, drawing),
        "region": list(drawing.region),
        "motion": dict(track.provenance),
        "lips": None if opening is None else encode_opening(opening, track.fps),
    }


def _face_in_frame(actor: Actor, drawing: Any) -> list[int] | None:
    """The box of a portrait's face as it lies in a frame, which may show a part, or be larger."""
    if actor.portrait is None:
        return None
    view = drawing.view
    return [
        round((float(edge) - view[axis]) * drawing.size[axis] / (view[axis + 2] - view[axis]))
        for edge, axis in zip(actor.portrait.face.box, (0, 1, 0, 1), strict=True)
    ]
