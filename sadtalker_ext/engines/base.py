"""What an engine is: a named composition of motion generators and a renderer, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import OptionsError
from ..host import Host
from ..tracks import MotionSpace, MotionTrack

if TYPE_CHECKING:
    import numpy as np

    from ..audio import Speech
    from ..options import Options

Check = Callable[[], None]
Report = Callable[[int, int], None]  # done, total


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


class Renderer(Protocol):
    """Turns a motion track into frames of one portrait.

    accepts: names of the motion spaces it understands. size: width and height of a frame in pixels.
    has_alpha: whether frames have a fourth channel. region: x0, y0, x1, y1 in pixels of a frame, outside
    which every frame equals the picture.
    """

    accepts: frozenset[str]
    size: tuple[int, int]
    has_alpha: bool
    region: tuple[int, int, int, int]

    def opening(self, track: MotionTrack) -> np.ndarray | None:
        """(T,) lip gap in face widths that the frames show; None where it is not known beforehand."""
        ...

    def render(
        self, track: MotionTrack, *, check: Callable[[], None] | None = None
    ) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3), or (H, W, 4) for a portrait with alpha, one a row of the track, in order.

        check: called between frames; whatever it raises ends the rendering.
        """
        ...


class Subject(Protocol):
    """What is animated: a portrait, or the mesh of a head.

    fingerprint: equal for equal subjects. notices: sentences worth showing.
    """

    @property
    def fingerprint(self) -> tuple[object, ...]: ...

    @property
    def notices(self) -> tuple[str, ...]: ...


def load_picture(source: Any, options: Options, check: Check) -> Subject:
    """The portrait in a picture, the face chosen by the options."""
    from ..face import load_portrait

    if source is None:
        raise OptionsError("No picture was given; give a portrait.")
    return load_portrait(
        source,
        face=options.face,
        face_at=options.face_at,
        points=options.points,
        detector=options.detector,
        check=check,
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


@dataclass(frozen=True, repr=False)
class Engine:
    """A named composition of motion generators and a renderer.

    space: of its motion; None: the vertices of whichever mesh it animates. needs(models_dir): what it uses.
    subject(source, options, check): what is animated, from what the user gives. renderer(subject, options,
    host): everything that depends on the subject alone, ready to render tracks. renderer_key(options): the
    options that shape it. motion(speech, frames, options, renderer, check, report): the motion track,
    `frames` rows; `renderer` is None where the motion alone is wanted and `needs_portrait` is False.
    """

    name: str
    summary: str
    space: MotionSpace | None
    composition: Mapping[str, str]
    needs: Callable[[Path], tuple[Need, ...]]
    motion: Callable[[Speech, int, Options, Renderer | None, Check, Report], MotionTrack]
    renderer: Callable[[Any, Options, Host], Renderer]
    renderer_key: Callable[[Options], tuple[object, ...]] = lambda options: ()
    subject: Callable[[Any, Options, Check], Subject] = load_picture
    needs_portrait: bool = False

    def __repr__(self) -> str:
        return f"<Engine {self.name}: {self.summary}>"

    @property
    def animates_meshes(self) -> bool:
        return self.space is None

    def plays(self, space: MotionSpace) -> bool:
        """Whether it can render motion in that space."""
        return space.vertices > 0 if self.space is None else space == self.space

    def missing(self, models_dir: Path) -> list[Need]:
        """Needs that must be met before the engine can run."""
        return [need for need in self.needs(models_dir) if not need.present and not need.optional]
