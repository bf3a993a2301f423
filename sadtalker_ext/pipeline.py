"""One portrait and speech become a talking-head video: the only module that knows all the stages."""

from __future__ import annotations

import math
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engines import Engine, Subject, choose_engine
from .errors import AudioError, OptionsError, TrackError
from .host import CancelToken, Host, Progress, ProgressCallback, StandaloneHost
from .options import FILE_KNOBS, Options, knobs
from .system.outputs import free_name
from .system.paths import would_replace
from .tracks import MotionSpace, MotionTrack
from .version import __version__
from .wording import Named

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from PIL import Image

    from .audio import Speech
    from .engines.base import Renderer

    PictureSource = str | Path | Image.Image | np.ndarray
    SpeechSource = str | Path | tuple[np.ndarray, int] | tuple[int, np.ndarray]

RENDERERS_KEPT = 2  # prepared portraits that stay in memory between runs
SOFTWARE = "sadtalker-ext"


@dataclass(frozen=True)
class Result:
    """A finished video: where it is, what made it and how long that took.

    duration: seconds of video. elapsed: seconds of work. notices: sentences worth showing.
    """

    path: Path
    frames: int
    fps: float
    duration: float
    elapsed: float
    engine: str
    options: Options
    track: MotionTrack
    metadata: Mapping[str, Any]
    notices: tuple[str, ...]


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
    """Turn one portrait and speech into a talking-head video.

    picture: a file, a PIL image or uint8 (H, W, 3 or 4); for the engine codetalker a mesh file, or None for a
    neutral head. speech: an audio or video file, or
    (samples (N,) or (N, channels), rate); None with `options.idle`. output: .mp4, .webm, .gif or a
    folder for PNG frames; None names a new .mp4 in the host's output folder.
    Raises a `SadTalkerError` whose text says what to do; nothing half-written stays.
    """
    run = _Run(options, progress, cancel, host, mesh=wants_mesh(picture, options))
    path = run.check_output(output, picture, speech)
    run.check_enhancer()
    heard = run.load_speech(speech)
    subject = run.load_subject(picture)
    track = run.make_motion(heard, subject)
    heard = heard.as_soundtrack()  # rendering takes long, and needs the memory more
    return run.render(subject, track, heard, path, picture, speech)


def make_motion(
    speech: SpeechSource | None,
    options: Options | None = None,
    *,
    picture: PictureSource | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    host: Host | None = None,
) -> MotionTrack:
    """The motion alone, to be saved, edited and rendered later; arguments as for `animate`.

    picture: needed by engines whose motion depends on the face, such as sadtalker.
    """
    run = _Run(options, progress, cancel, host, mesh=wants_mesh(picture, options))
    heard = run.load_speech(speech)
    wanted = picture is not None or run.engine.animates_meshes
    return run.make_motion(heard, run.load_subject(picture) if wanted else None)


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
    """Render a motion track on a portrait; with `speech` as soundtrack, cut or held to its length.

    The track is resampled to `options.fps`; without options it keeps its own rate where that can be shown.
    """
    run = _Run(options or Options(fps=playable_fps(track)), progress, cancel, host, track.space)
    if not run.engine.plays(track.space):
        known = "tracks of vertices" if run.engine.space is None else f"{run.engine.space.name} tracks"
        raise TrackError(f"The engine {run.engine.name} renders {known}, not {track.space.name}.")
    path = run.check_output(output, picture, speech)
    run.check_enhancer()
    heard = None if speech is None else run.load_speech(speech)
    subject = run.load_subject(picture)
    track = track.resampled(run.options.fps)
    if heard is not None:
        track = track.fitted(run.frames(heard))
        heard = heard.as_soundtrack()
    return run.render(subject, track, heard, path, picture, speech)


def is_mesh(source: PictureSource | None) -> bool:
    """Whether what is to be animated is the file of a mesh."""
    from .mesh import is_mesh_file

    return isinstance(source, (str, Path)) and is_mesh_file(source)


def wants_mesh(source: PictureSource | None, options: Options | None) -> bool:
    """Whether a mesh is to be animated: that was given in place of the picture, or alone, as `template`."""
    return is_mesh(source) or (source is None and options is not None and options.template is not None)


def playable_fps(track: MotionTrack) -> float:
    """The track's own frame rate, or the nearest that a video can have."""
    knob = next(knob for knob in knobs() if knob.name == "fps")
    assert knob.low is not None
    assert knob.high is not None
    return min(knob.high, max(knob.low, track.fps))


def release() -> None:
    """Forget prepared portraits, networks and recognised speech, so that the host gets their memory back."""
    from .motion import forget

    _renderers.clear()
    forget()
    for room in ("render.face3d.networks", "enhance.choice", "motion.code_networks", "motion.code_lips"):
        loaded = sys.modules.get(f"{__package__}.{room}")
        if loaded is not None:
            loaded.release()


# Prepared portraits, most recently used last; the key holds everything that shaped them.
_renderers: OrderedDict[tuple[object, ...], Renderer] = OrderedDict()


class _Run:
    """One run's options, engine and callbacks, and the stages in terms of them."""

    def __init__(
        self,
        options: Options | None,
        progress: ProgressCallback | None,
        cancel: CancelToken | None,
        host: Host | None,
        space: MotionSpace | None = None,
        *,
        mesh: bool = False,
    ) -> None:
        """space: of the motion where that is given. mesh: whether a mesh is animated."""
        self.options = options or Options()
        self.report = progress or (lambda _: None)
        self.check = (cancel or CancelToken()).check
        self.host = host or StandaloneHost()
        self.engine: Engine = choose_engine(self.options.engine, self.host.models_dir(), space, mesh=mesh)
        self.started = time.perf_counter()

    def check_output(
        self, output: str | Path | None, picture: PictureSource | None, speech: SpeechSource | None
    ) -> Path:
        from .video import check_output

        self.check()
        if output is None:
            output = self.host.output_dir() / free_name(self.host.output_dir(), _name(picture), _name(speech))
        path = check_output(output, self.options.overwrite)
        for given in (picture, speech, *self.options.files()):
            if isinstance(given, (str, Path)) and would_replace(path, Path(given)):
                raise OptionsError(f"The output {path.name} is one of the inputs; choose another name.")
        return path

    def check_enhancer(self) -> None:
        """Refuse an enhancer that is not there, or not for a mesh, before the long work."""
        from .enhance import wanted

        if self.engine.animates_meshes and wanted(self.options):
            raise OptionsError(
                "{enhancer} and {upscale} are for portraits; for a mesh set {canvas}.",
                "enhancer",
                "upscale",
                "canvas",
            )
        if self.options.enhancer != "none":
            from .enhance import look_up

            look_up(self.options.enhancer, self.host.models_dir(), self.restoration() is not None)

    def restoration(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """The host's own face restoration, which only some have."""
        asked = getattr(self.host, "face_restoration", None)
        return None if asked is None else asked()

    def load_speech(self, source: SpeechSource | None) -> Speech:
        from .audio import load_speech, silence

        options = self.options
        self.report(Progress("speech", 0, 1))
        if options.idle is not None:
            if source is not None:
                raise OptionsError("Give either speech or {idle}, not both.", "idle")
            speech = silence(options.idle)
        elif source is None:
            raise AudioError(
                "No speech was given; give an audio or video file, or {idle}.", Named("idle", "SECONDS")
            )
        else:
            speech = load_speech(source, start=options.start, end=options.end, check=self.check)
        self.report(Progress("speech", 1, 1))
        return speech

    def load_subject(self, source: PictureSource | None) -> Subject:
        self.report(Progress("portrait", 0, 1))
        subject = self.engine.subject(source, self.options, self.check)
        self.report(Progress("portrait", 1, 1))
        return subject

    def frames(self, speech: Speech) -> int:
        return max(1, math.ceil(speech.duration * self.options.fps - 1e-6))

    def make_motion(self, speech: Speech, subject: Subject | None) -> MotionTrack:
        self.report(Progress("motion", 0, 1))
        renderer = None
        if self.engine.needs_portrait:
            if subject is None:
                raise OptionsError(
                    f"The motion of the engine {self.engine.name} depends on the face; give a picture."
                )
            renderer = self.prepare(subject)
            self.check()
        track = self.engine.motion(
            speech,
            self.frames(speech),
            self.options,
            renderer,
            self.check,
            lambda done, total: self.report(Progress("motion", done, total)),
        )
        self.report(Progress("motion", 1, 1))
        return track

    def prepare(self, subject: Subject) -> Renderer:
        key = (
            self.engine.name,
            self.engine.renderer_key(self.options),
            self.host.device(),
            str(self.host.models_dir()),
            subject.fingerprint,
        )
        renderer = _renderers.pop(key, None) or self.engine.renderer(subject, self.options, self.host)
        _renderers[key] = renderer
        while len(_renderers) > RENDERERS_KEPT:
            _renderers.popitem(last=False)
        return renderer

    def enhanced(self, renderer: Renderer, subject: Subject) -> Renderer:
        """The renderer with the enhancers around it that were asked for."""
        from .enhance import build, wanted
        from .face import Portrait

        if not wanted(self.options):
            return renderer
        assert isinstance(subject, Portrait)  # see check_enhancer
        return build(
            renderer,
            subject,
            self.options,
            self.host.models_dir(),
            self.host.device(),
            self.restoration(),
            self.check,
        )

    def render(
        self,
        subject: Subject,
        track: MotionTrack,
        speech: Speech | None,
        path: Path,
        picture: PictureSource | None,
        sound: SpeechSource | None,
    ) -> Result:
        from .video import VideoWriter

        self.report(Progress("render", 0, len(track)))
        renderer = self.enhanced(self.prepare(subject), subject)
        self.check()
        metadata = self.describe(subject, track, renderer, picture, sound)
        writer = VideoWriter(
            path,
            width=renderer.size[0],
            height=renderer.size[1],
            fps=track.fps,
            frames=len(track),
            soundtrack=speech,
            metadata=metadata,
            crf=self.options.crf,
            preset=self.options.preset,
            overwrite=self.options.overwrite,
            alpha=renderer.has_alpha,
            check=self.check,
        )
        with writer, closing(renderer.render(track, check=self.check)) as frames:
            for number, frame in enumerate(frames, start=1):
                writer.write(frame)
                self.report(Progress("render", number, len(track), frame))
                self.check()
        return Result(
            path=writer.path,
            frames=len(track),
            fps=track.fps,
            duration=track.duration,
            elapsed=time.perf_counter() - self.started,
            engine=self.engine.name,
            options=self.options,
            track=track,
            metadata=metadata,
            notices=(*subject.notices, *getattr(renderer, "notices", ()), *writer.notices),
        )

    def describe(
        self,
        subject: Subject,
        track: MotionTrack,
        renderer: Renderer,
        picture: PictureSource | None,
        sound: SpeechSource | None,
    ) -> dict[str, Any]:
        """The metadata document: everything needed to make the same video again, no folder names."""
        from .tracks.trace import encode_opening

        opening = renderer.opening(track)
        options = self.options.to_dict()
        del options["overwrite"]
        for name in FILE_KNOBS:
            options[name] = options[name] and Path(options[name]).name
        return {
            "software": SOFTWARE,
            "version": __version__,
            "engine": self.engine.name,
            "options": options,
            "seed": self.options.seed,
            "device": self.host.device(),
            "picture": _name(picture),
            "speech": _name(sound),
            "face": _face_in_frame(subject, renderer),
            "region": list(renderer.region),
            "motion": dict(track.provenance),
            "lips": None if opening is None else encode_opening(opening, track.fps),
        }


def _face_in_frame(subject: Subject, renderer: Renderer) -> list[int] | None:
    """The box of a portrait's face as it lies in a frame, which may show a part, or be larger."""
    from .face import Portrait

    if not isinstance(subject, Portrait):
        return None
    view = getattr(renderer, "view", (0, 0, subject.width, subject.height))
    return [
        round((float(edge) - view[axis]) * renderer.size[axis] / (view[axis + 2] - view[axis]))
        for edge, axis in zip(subject.face.box, (0, 1, 0, 1), strict=True)
    ]


def _name(source: object) -> str | None:
    return Path(source).name if isinstance(source, (str, Path)) else None
