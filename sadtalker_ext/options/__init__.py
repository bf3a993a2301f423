"""The knobs that all engines share in one validated dataclass, to which each engine adds its own.

Flags, widgets, schema and metadata are made from the knobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, make_dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import Named, OptionsError, Sentence
from .knob import Knob, shown

DEFAULT_FPS = 25.0
# Those of the engines that have knobs of their own stand before the last.
SHARED_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "basic": "what to make",
        "motion": "how the head and face move",
        "face": "which face, and how it is found",
        "output": "the file that is written",
    }
)


def _knob(default: Any, kind: str, group: str, help: str, **facts: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "group": group, "help": help, **facts})


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Options:
    """All knobs of a run, validated on construction; raises `OptionsError` with a sentence."""

    # A table: of each knob its default, kind, group and help, then further facts.
    # fmt: off
    engine: str = _knob("auto", "choice", "basic",
        "which engine makes the video; auto takes the best one that is ready", shapes=("motion", "frames"),
        choices=("auto",))
    start: float = _knob(0.0, "float", "basic", "seconds of the recording to skip", title="Start at second",
        shapes=("speech",), low=0.0, high=86400.0)
    end: float | None = _knob(None, "float", "basic", "second of the recording to stop at (default: its end)",
        title="Stop at second", shapes=("speech",), low=0.0, high=86400.0, nullable=True)
    track: int | None = _knob(None, "int", "basic", "which audio track of a recording, by its number "
        "(default: its default one, or the first in which something can be heard)", title="Audio track",
        shapes=("speech",), low=1, high=999, nullable=True)
    idle: float | None = _knob(None, "float", "basic",
        "make this many seconds of quiet presence instead of speech", title="Idle seconds", low=0.2,
        high=3600.0, nullable=True, metavar="SECONDS")
    seed: int = _knob(0, "int", "basic", "random seed: the same seed gives the same video", low=0,
        high=2**32 - 1)
    lips: str = _knob("auto", "choice", "motion", "where lips come from: phones (recognised speech), visemes "
        "(a small network), the better of both, or codes (a vocabulary of movements)", title="Lips from",
        choices=("auto", "phones", "visemes", "codes"), renamed={"codetalker": "codes"})
    manner: int = _knob(0, "int", "motion", "manner of speaking, by number: of lips from codes 0 normal, 1 "
        "clear, 2 relaxed, 3 lively; of the engine codetalker a person of its corpus",
        title="Manner of speaking", low=0, high=99)
    manner_mix: int | None = _knob(None, "int", "motion", "a second manner that is mixed in",
        title="Second manner", low=0, high=99, nullable=True, metavar="N")
    manner_share: float = _knob(0.5, "float", "motion", "share of the second manner",
        title="Share of the second manner", low=0.0, high=1.0)
    expression_scale: float = _knob(1.0, "float", "motion", "how strongly lips and brows move",
        title="Expression", low=0.0, high=2.0)
    head_motion: float = _knob(1.0, "float", "motion", "how much the head moves", low=0.0, high=2.0)
    blink_rate: float = _knob(1.0, "float", "motion", "how often the eyes blink; 0 never", title="Blinks",
        low=0.0, high=3.0)
    gaze: float = _knob(1.0, "float", "motion", "how much the eyes wander; 0 keeps the picture's gaze",
        title="Eye movement", low=0.0, high=2.0)
    still: bool = _knob(False, "bool", "motion",
        "keep the head still (lips, blinks and a hint of sway remain)", title="Keep the head still")
    yaw: tuple[float, ...] | None = _knob(None, "ramp", "motion",
        "turn the head over time, in degrees: 0 20 -10 (positive: to the right)", title="Turn", low=-45.0,
        high=45.0, nullable=True, metavar="DEG")
    pitch: tuple[float, ...] | None = _knob(None, "ramp", "motion",
        "nod the head over time, in degrees (positive: chin up)", title="Nod", low=-45.0, high=45.0,
        nullable=True, metavar="DEG")
    roll: tuple[float, ...] | None = _knob(None, "ramp", "motion",
        "lean the head over time, in degrees (positive: clockwise)", title="Lean", low=-45.0, high=45.0,
        nullable=True, metavar="DEG")
    ref_pose: str | None = _knob(None, "path", "motion",
        "video, or motion file of the same engine, whose head motion is followed (looped if short)",
        title="Head motion from a video", nullable=True, metavar="VIDEO", files="video")
    ref_blink: str | None = _knob(None, "path", "motion",
        "video, or motion file of the engine instant, whose blinks are followed (looped if short)",
        title="Blinks from a video", nullable=True, metavar="VIDEO", files="video")
    face: int | None = _knob(None, "int", "face",
        "which of several faces, by its number in --preview-face (default: the largest)", shapes=("face",),
        low=1, high=999, nullable=True, metavar="N", in_picture=True)
    face_at: tuple[float, float] | None = _knob(None, "point", "face",
        "the face at this point of the picture, in pixels", shapes=("face",), nullable=True, metavar="X,Y",
        in_picture=True)
    points: tuple[tuple[float, float], ...] | None = _knob(None, "points", "face",
        "five points, in pixels, for a face that is not found: the eye on the picture's left, the eye on its "
        "right, nose tip, mouth corner on the left, mouth corner on the right", shapes=("face",),
        nullable=True, metavar="X,Y", in_picture=True)
    detector: str = _knob("auto", "choice", "face",
        "how faces are found; face-alignment downloads its weights on first use", title="Face finder",
        shapes=("face",), choices=("auto", "mediapipe", "face-alignment"))
    mouth: str = _knob("auto", "choice", "face",
        "whether lips move: talk, shut, or auto, which leaves a mouth alone that seems covered or lies "
        "outside the picture", shapes=("face",), choices=("auto", "talk", "shut"))
    enhancer: str = _knob("none", "choice", "output",
        "what restores the face in every frame: gfpgan, codeformer or restoreformer from your own weights, "
        "host, a WebUI's own restoration, or auto, that or whichever is there", shapes=("frames",),
        choices=("none", "auto", "gfpgan", "codeformer", "restoreformer", "host"))
    enhancer_strength: float = _knob(0.7, "float", "output",
        "how much of the restored face is taken; less keeps more of the rendered one", shapes=("frames",),
        low=0.0, high=1.0)
    upscale: str = _knob("1", "choice", "output",
        "how many times as large; what is still is enlarged once, by a network if its weights are there",
        shapes=("frames",), choices=("1", "2", "4"))
    fps: float = _knob(DEFAULT_FPS, "float", "output", "frames per second", title="Frames per second",
        shapes=("motion", "file"), low=1.0, high=60.0)
    crf: int = _knob(18, "int", "output", "quality of the video: smaller is better and larger",
        title="Quality (CRF)", shapes=("file",), low=0, high=51)
    preset: str = _knob("veryfast", "choice", "output", "effort of the encoder: slower makes smaller files",
        title="Encoder effort", shapes=("file",),
        choices=("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"))
    overwrite: bool = _knob(False, "bool", "output", "replace the output file if it exists",
        shapes=("motion", "file"), local=True)
    # fmt: on

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The knobs of the engines."""

    def __init__(self, engine: str = "auto", **values: Any) -> None:
        values["engine"] = engine
        unknown = sorted(set(values) - _knobs.keys())
        if unknown:
            raise TypeError(f"Options() got an unexpected keyword argument {unknown[0]!r}")
        notices = []
        for name, knob in _knobs.items():
            value = values.get(name, knob.default)
            object.__setattr__(self, name, knob.check(value))
            if knob.is_renamed(value):
                told = f"{{knob}} {value} is now called {knob.renamed[value]}."
                notices.append(Sentence(told, knob=Named(name)))
        object.__setattr__(self, "notices", tuple(notices))
        if self.end is not None and self.end <= self.start:
            told = f"{{end}} ({self.end:g} s) must be later than {{start}} ({self.start:g} s)."
            raise OptionsError(told, "end", "start")
        if sum(getattr(self, name) is not None for name in names(lambda knob: knob.in_picture)) > 1:
            told = "Give only one of {face}, {face_at} and {points}."
            raise OptionsError(told, "face", "face_at", "points")

    def __repr__(self) -> str:
        changed = (
            f"{name}={shown(getattr(self, name))}"
            for name, knob in _knobs.items()
            if getattr(self, name) != knob.default
        )
        return f"Options({', '.join(changed)})"

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, Options) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _knobs)

    def files(self) -> tuple[str, ...]:
        """The files that are read beside picture and speech."""
        named = (getattr(self, name) for name in names(lambda knob: knob.kind == "path"))
        return tuple(path for path in named if path is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, one per knob; `from_dict` reads them back."""

        def plain(value: Any) -> Any:
            return [plain(item) for item in value] if isinstance(value, tuple) else value

        return {name: plain(getattr(self, name)) for name in _knobs}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Options:
        """Options from a mapping by name; an unknown name raises `OptionsError`."""
        unknown = sorted(set(values) - _knobs.keys())
        if unknown:
            raise OptionsError(f"Unknown option {unknown[0]!r}; known options: {', '.join(sorted(_knobs))}.")
        return cls(**values)


_shared = tuple(Knob(name=entry.name, default=entry.default, **entry.metadata) for entry in fields(Options))
_engines: dict[str, tuple[Knob, ...]] = {}  # best first
_knobs: dict[str, Knob] = {}


def hand_in(engine: str, own: Iterable[Knob] = ()) -> None:
    """Make an engine's name a choice, and the knobs that it alone reads fields of `Options`.

    Raises `ValueError` for the name of a knob that there is already.
    """
    knobs = tuple(replace(knob, group=engine, engine=engine) for knob in own)
    taken = [knob.name for knob in knobs if hasattr(Options, knob.name)]
    if engine in _engines or taken:
        raise ValueError(f"There is {', '.join(taken) or engine} already.")
    _engines[engine] = knobs
    for knob in knobs:
        # What a field is to dataclasses.replace and its like, only dataclasses can make.
        (made,) = fields(make_dataclass("_Own", [(knob.name, object, field(default=knob.default))]))
        Options.__dataclass_fields__[knob.name] = made
        setattr(Options, knob.name, knob.default)
    _arrange()


def _arrange() -> None:
    """The knobs of all groups in order, and what `help(Options)` tells of them."""
    every = [*_shared, *(knob for own in _engines.values() for knob in own)]
    order = list(groups())
    every.sort(key=lambda knob: order.index(knob.group))
    _knobs.clear()
    _knobs.update((knob.name, knob) for knob in every)
    _knobs["engine"] = replace(_knobs["engine"], choices=("auto", *_engines))
    lines = [f"{knob.name}: {knob.help} ({knob.expected()}; default {knob.default})" for knob in knobs()]
    Options.__doc__ = "\n\n".join([_SUMMARY, *lines])


def groups() -> dict[str, str]:
    """The groups of knobs in order, by name, and what each is about."""
    *first, last = SHARED_GROUPS.items()
    own = [(name, f"the engine {name} alone") for name, knobs in _engines.items() if knobs]
    return dict([*first, *own, last])


def knobs() -> tuple[Knob, ...]:
    """All knobs, group by group."""
    return tuple(_knobs.values())


def knob_named(name: str) -> Knob:
    """The knob of that name; raises `KeyError`."""
    return _knobs[name]


def names(wanted: Callable[[Knob], bool] = lambda knob: True) -> tuple[str, ...]:
    """The names of the knobs of which that is true."""
    return tuple(name for name, knob in _knobs.items() if wanted(knob))


def options_schema() -> dict[str, Any]:
    """JSON schema of `Options.to_dict()`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Options",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: knob.schema() for name, knob in _knobs.items()},
    }


_SUMMARY = Options.__doc__ or ""
_arrange()
