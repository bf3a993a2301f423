"""What an engine is: how a subject and speech become motion, motion frames, and what that needs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import EngineError, OptionsError, SadTalkerError
from ..host import Check, Run, nothing
from ..options import Options, knobs
from ..options.knob import Knob
from ..system.caches import Kept
from ..tracks import MotionSpace, MotionTrack

if TYPE_CHECKING:
    import numpy as np

    from ..audio import Speech
    from ..checkpoints import Checkpoint
    from ..face import Portrait

PREPARED_KEPT = 2  # subjects that stay ready to be drawn between runs
Box = tuple[int, int, int, int]  # x0, y0, x1, y1


@dataclass(frozen=True)
class Need:
    """Something an engine uses: whether it is there, and how to get it.

    optional: the engine works without it; `remedy` then says what is gained. weights: the name under which
    `sadtalker models download` fetches it, or "". fault: what is wrong with the file that lies in its place,
    as "is cut off", or "".
    """

    name: str
    present: bool
    remedy: str
    optional: bool = False
    weights: str = ""
    fault: str = ""


def has_module(name: str) -> bool:
    """Whether a Python module is installed; it is not imported."""
    return find_spec(name) is not None


def packages() -> tuple[Need, ...]:
    """What every engine needs."""
    ffmpeg = has_module("imageio_ffmpeg") or bool(which("ffmpeg"))
    return (
        Need("torch", has_module("torch"), "pip install torch"),
        Need("safetensors", has_module("safetensors"), "pip install safetensors"),
        Need("Pillow", has_module("PIL"), "pip install Pillow"),
        Need("OpenCV", has_module("cv2"), "pip install opencv-python"),
        Need("imageio-ffmpeg", ffmpeg, "pip install imageio-ffmpeg"),
    )


def face_finders() -> tuple[Need, ...]:
    """What finds faces in pictures; without both, five points must be given."""
    return (
        Need(
            "mediapipe",
            has_module("mediapipe"),
            # Without --no-deps it would bring a second OpenCV over the one that is there.
            'pip install --no-deps "mediapipe>=0.10.5,<=0.10.21" (finds faces; without it, give five points)',
            optional=True,
        ),
        Need(
            "face-alignment",
            has_module("face_alignment"),
            "pip install face-alignment (a second face finder; downloads its weights on first use)",
            optional=True,
        ),
    )


def enhancers() -> tuple[Need, ...]:
    """What restores faces and enlarges pictures after any renderer."""
    return (
        Need(
            "spandrel",
            has_module("spandrel"),
            "pip install spandrel (restores faces and enlarges pictures with your own weights)",
            optional=True,
        ),
    )


class Subject(Protocol):
    """What is animated: a portrait, or the mesh of a head.

    fingerprint: equal for equal subjects. notices: sentences worth showing.
    """

    @property
    def fingerprint(self) -> tuple[object, ...]: ...
    @property
    def notices(self) -> tuple[str, ...]: ...


class Renderer(Protocol):
    """A subject ready to be drawn; turns a motion track into frames.

    size: width and height of a frame in pixels. has_alpha: whether frames have a fourth channel. region: x0,
    y0, x1, y1 in pixels of a frame, outside which every frame equals the picture. view: the part of the
    picture that a frame shows. notices: sentences worth showing.
    """

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def has_alpha(self) -> bool: ...
    @property
    def region(self) -> Box: ...
    @property
    def view(self) -> Box: ...
    @property
    def notices(self) -> tuple[str, ...]: ...

    def opening(self, track: MotionTrack) -> np.ndarray | None:
        """(T,) lip gap in face widths that the frames show; None where it is not known beforehand."""

    def render(self, track: MotionTrack, *, check: Check = nothing) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3 or 4), one a row of the track, in order.

        check: called between frames; whatever it raises ends the rendering.
        """


class Listener(Protocol):
    """Speech in pieces into motion, as soon as it is known."""

    def push(self, samples: np.ndarray) -> MotionTrack | None:
        """Hear the next samples, mono float32 at 16 kHz; returns the rows that are ready now, if any."""

    def finish(self) -> MotionTrack | None:
        """The rows that are left when the speech has ended."""


class Actor(ABC):
    """A subject that can speak: speech into motion, motion into frames.

    subject: None where the motion alone is wanted, of engines whose motion does not depend on it. What
    depends on the subject alone is prepared when it is first needed, and kept for the next run.
    """

    engine: str  # its name
    space: MotionSpace

    def __init__(self, subject: Any, options: Options, run: Run) -> None:
        self.subject, self.options, self.run = subject, options, run

    @abstractmethod
    def prepare(self) -> Renderer:
        """Everything that depends on the subject and on the options of `shaping_key` alone."""

    @abstractmethod
    def motion(self, speech: Speech) -> MotionTrack:
        """The motion of a whole speech at `options.fps`, `self.frames(speech)` rows."""

    def idle(self, frames: int, space: MotionSpace) -> MotionTrack:
        """Quiet presence, `frames` rows at `options.fps`: what goes on when a motion has ended.

        space: of that motion, which the engine plays.
        """
        from ..audio import MIN_SECONDS, silence

        return self.motion(silence(max(MIN_SECONDS, frames / self.options.fps))).fitted(frames)

    def listen(self) -> Listener:
        """For speech that comes in pieces; raises `EngineError` where the engine cannot."""
        raise EngineError(f"The engine {self.engine} needs the whole speech before it begins.")

    def shown(self, track: MotionTrack) -> MotionTrack:
        """What of a track this subject can show, as a track."""
        return track

    def draw(
        self, track: MotionTrack, onto: Iterable[np.ndarray] | None = None
    ) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3 or 4), one a row of the track, in order.

        onto: as many frames of the same size, to be drawn into in the place of the picture's own; what
        moves is drawn over them. Raises `EngineError` where the engine cannot do that.
        """
        portrait = self.portrait
        if onto is None:
            return self.renderer.render(track, check=self.run.check)
        if portrait is None or self.size != (portrait.width, portrait.height):
            raise EngineError(
                f"The engine {self.engine} fills whole frames; it cannot draw onto others here."
            )
        return self._drawn_onto(self.renderer.render(track, check=self.run.check), onto, portrait)

    def close(self) -> None:
        """Let go of the subject; what is kept for the next run stays."""
        self.subject = None
        self.__dict__.pop("renderer", None)

    @cached_property
    def renderer(self) -> Renderer:
        """What draws the subject, prepared now or in an earlier run."""
        if self.subject is None:
            raise OptionsError(f"The motion of the engine {self.engine} depends on the face; give a picture.")
        host = self.run.host
        key = (
            *shaping_key(self.engine, self.options),
            host.device(),
            str(host.models_dir()),
            self.subject.fingerprint,
        )
        return _prepared.get(key, self.prepare)

    @property
    def portrait(self) -> Portrait | None:
        """The picture and the face in it; None where something else is animated."""
        return None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a frame, in pixels."""
        return self.renderer.size

    @property
    def has_alpha(self) -> bool:
        """Whether frames have a fourth channel."""
        return self.renderer.has_alpha

    @property
    def region(self) -> Box:
        """The part of a frame, in its pixels, outside which every frame equals the picture."""
        return self.renderer.region

    @property
    def view(self) -> Box:
        """The part of the picture, in its pixels, that a frame shows."""
        return self.renderer.view

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences worth showing about how frames are drawn."""
        return self.renderer.notices

    def opening(self, track: MotionTrack) -> np.ndarray | None:
        """(T,) lip gap in face widths that the frames show; None where it is not known beforehand."""
        return self.renderer.opening(track)

    def frames(self, speech: Speech) -> int:
        """How many frames show a speech."""
        return max(1, math.ceil(speech.duration * self.options.fps - 1e-6))

    def _drawn_onto(
        self, frames: Generator[np.ndarray, None, None], onto: Iterable[np.ndarray], portrait: Portrait
    ) -> Generator[np.ndarray, None, None]:
        import numpy as np

        x0, y0, x1, y1 = self.region
        still = portrait.image if portrait.alpha is None else np.dstack([portrait.image, portrait.alpha])
        rest = still[y0:y1, x0:x1]
        with closing(frames):
            for frame, below in zip(frames, onto, strict=True):
                drawn, here = below.copy(), frame[y0:y1, x0:x1]
                moved = (here != rest).any(axis=2)
                channels = min(drawn.shape[2], here.shape[2])
                drawn[y0:y1, x0:x1][moved, :channels] = here[moved][:, :channels]
                yield drawn


_prepared: Kept[Renderer] = Kept(PREPARED_KEPT)


def shaping_key(engine: str, options: Options) -> tuple[object, ...]:
    """What of the options decides how a subject is prepared for an engine."""
    return engine, *(getattr(options, knob.name) for knob in shaping_knobs(engine))


def shaping_knobs(engine: str) -> list[Knob]:
    """The knobs that decide how a subject is prepared.

    Of the shared ones those of the group output come after the engine, and which face it is, and which
    engine, stand in the key already.
    """
    own = (knob for knob in knobs() if knob.engine == engine and {"face", "frames"} & set(knob.shapes))
    shared = (knob for knob in knobs() if not knob.engine and "frames" in knob.shapes)
    return [*own, *(knob for knob in shared if knob.group != "output" and knob.name != "engine")]


@dataclass(frozen=True)
class Look:
    """What an engine finds in the files that its own knobs name.

    sentence: what it is and what can be done with it. choices: values worth offering, by the name of a knob.
    problem: why it cannot be used, or None.
    """

    sentence: str = ""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: SadTalkerError | None = None


@dataclass(frozen=True, repr=False)
class Engine:
    """One way from a subject and speech to frames.

    animates: "pictures", or what else is animated; a page asks for a picture and a face in it only where it
    is pictures. source: what it takes in place of a picture, in words. space: of its motion; None: the
    vertices of whichever mesh it animates. needs(models_dir): what it uses. refusal(source, options): why it
    cannot animate what the user gives, None where it can. subject(source, options, run): what is animated,
    from what the user gives. open(subject, options, run): the actor. knobs: those that it alone reads. reads:
    names of the shared ones that shape face, motion and frames and that it reads; None: all (the group basic,
    and what has a part in the file, is read by every engine). weights: files that it can use. look(options,
    models_dir): what is in the files that its knobs name.
    """

    name: str
    summary: str
    space: MotionSpace | None
    composition: Mapping[str, str]
    needs: Callable[[Path], tuple[Need, ...]]
    open: Callable[[Any, Options, Run], Actor]
    subject: Callable[[Any, Options, Run], Subject]
    refusal: Callable[[Any, Options], SadTalkerError | None]
    animates: str = "pictures"
    source: str = ""
    knobs: tuple[Knob, ...] = ()
    reads: tuple[str, ...] | None = None
    weights: tuple[Checkpoint, ...] = ()
    look: Callable[[Options, Path], Look] | None = None

    def __repr__(self) -> str:
        return f"Engine({self.name}: {self.summary})"

    def plays(self, space: MotionSpace) -> bool:
        """Whether it can render motion in that space."""
        return space.vertices > 0 if self.space is None else space == self.space

    def uses(self, knob: Knob) -> bool:
        """Whether it reads a knob."""
        if knob.engine:
            return knob.engine == self.name
        shaping = {"face", "motion", "frames"} & set(knob.shapes) and knob.group not in ("basic",)
        return self.reads is None or not shaping or "file" in knob.shapes or knob.name in self.reads

    def missing(self, models_dir: Path) -> list[Need]:
        """Needs that must be met before the engine can run."""
        return [need for need in self.needs(models_dir) if not need.present and not need.optional]
