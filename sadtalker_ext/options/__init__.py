"""Every knob in one validated dataclass; CLI flags, UI widgets, API schema and metadata come from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from ..errors import OptionsError
from .knob import Knob

GROUPS: dict[str, str] = {
    "basic": "what to make",
    "motion": "how the head and face move",
    "face": "which face, and how it is found",
    "sadtalker": "the engine sadtalker alone",
    "codetalker": "the engine codetalker alone",
    "output": "the file that is written",
}
ENGINE_GROUPS = ("sadtalker", "codetalker")  # whose knobs the engine of that name alone reads
DEFAULT_FPS = 25.0
# Knobs of the group output that change the frames themselves.
ENHANCING_KNOBS = ("enhancer", "enhancer_strength", "upscale")
VIDEO_KNOBS = ("ref_pose", "ref_face", "ref_blink")  # each names a video that is followed
FILE_KNOBS = (*VIDEO_KNOBS, "template")  # each names a file that is read
# What a mesh's motion is shown on, and how large.
HEAD_KNOBS = ("template", "person", "face_model", "canvas")
# Knobs of the group sadtalker that shape the picture, not the motion.
DRAWING_KNOBS = ("crop", "size", "batch_size", "precision", "turbo", "compile")


def _knob(default: Any, kind: str, group: str, help: str, **extra: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "group": group, "help": help, **extra})


@dataclass(frozen=True)
class Options:
    """All knobs of a run, validated on construction; raises `OptionsError` with a sentence."""

    engine: str = _knob(
        "auto",
        "choice",
        "basic",
        "which engine makes the video; auto takes the best one that is ready",
        choices=("auto", "sadtalker", "instant", "codetalker"),
    )
    start: float = _knob(0.0, "float", "basic", "seconds of the recording to skip", low=0.0, high=86400.0)
    end: float | None = _knob(
        None,
        "float",
        "basic",
        "second of the recording to stop at (default: its end)",
        low=0.0,
        high=86400.0,
        nullable=True,
    )
    idle: float | None = _knob(
        None,
        "float",
        "basic",
        "make this many seconds of quiet presence instead of speech",
        low=0.2,
        high=3600.0,
        nullable=True,
        metavar="SECONDS",
    )
    seed: int = _knob(
        0, "int", "basic", "random seed: the same seed gives the same video", low=0, high=2**32 - 1
    )
    lips: str = _knob(
        "auto",
        "choice",
        "motion",
        "where lips come from: phones (recognised speech), visemes (a small network), the better of both, or "
        "codetalker (a vocabulary of movements)",
        choices=("auto", "phones", "visemes", "codetalker"),
    )
    manner: int = _knob(
        0,
        "int",
        "motion",
        "manner of speaking, by number: of lips from codetalker 0 normal, 1 clear, 2 relaxed, 3 lively; of "
        "the engine codetalker a person of its corpus",
        low=0,
        high=99,
    )
    manner_mix: int | None = _knob(
        None,
        "int",
        "motion",
        "a second manner that is mixed in",
        low=0,
        high=99,
        nullable=True,
        metavar="N",
    )
    manner_share: float = _knob(0.5, "float", "motion", "share of the second manner", low=0.0, high=1.0)
    expression_scale: float = _knob(
        1.0, "float", "motion", "how strongly lips and brows move", low=0.0, high=2.0
    )
    lip_gain: float = _knob(
        1.0,
        "float",
        "sadtalker",
        "how far speech moves the face away from the picture's own expression; blinks stay as they are",
        low=0.0,
        high=2.0,
    )
    silence_gate: bool = _knob(True, "bool", "sadtalker", "let the mouth rest while nobody speaks")
    pose_style: int = _knob(
        0, "int", "sadtalker", "one of the learnt manners of moving the head", low=0, high=45
    )
    head_motion: float = _knob(1.0, "float", "motion", "how much the head moves", low=0.0, high=2.0)
    blink_rate: float = _knob(1.0, "float", "motion", "how often the eyes blink; 0 never", low=0.0, high=3.0)
    gaze: float = _knob(
        1.0, "float", "motion", "how much the eyes wander; 0 keeps the picture's gaze", low=0.0, high=2.0
    )
    still: bool = _knob(
        False, "bool", "motion", "keep the head still (lips, blinks and a hint of sway remain)"
    )
    yaw: tuple[float, ...] | None = _knob(
        None,
        "ramp",
        "motion",
        "turn the head over time, in degrees: 0 20 -10 (positive: to the right)",
        low=-45.0,
        high=45.0,
        nullable=True,
        metavar="DEG",
    )
    pitch: tuple[float, ...] | None = _knob(
        None,
        "ramp",
        "motion",
        "nod the head over time, in degrees (positive: chin up)",
        low=-45.0,
        high=45.0,
        nullable=True,
        metavar="DEG",
    )
    roll: tuple[float, ...] | None = _knob(
        None,
        "ramp",
        "motion",
        "lean the head over time, in degrees (positive: clockwise)",
        low=-45.0,
        high=45.0,
        nullable=True,
        metavar="DEG",
    )
    ref_pose: str | None = _knob(
        None,
        "path",
        "motion",
        "video, or motion file of the same engine, whose head motion is followed (looped if short)",
        nullable=True,
        metavar="VIDEO",
    )
    ref_face: str | None = _knob(
        None,
        "path",
        "sadtalker",
        "video, or motion file of this engine, whose whole face and head are followed (looped if short)",
        nullable=True,
        metavar="VIDEO",
    )
    ref_blink: str | None = _knob(
        None,
        "path",
        "motion",
        "video, or motion file of the engine instant, whose blinks are followed (looped if short)",
        nullable=True,
        metavar="VIDEO",
    )
    face: int | None = _knob(
        None,
        "int",
        "face",
        "which of several faces, by its number in --preview-face (default: the largest)",
        low=1,
        high=999,
        nullable=True,
        metavar="N",
    )
    face_at: tuple[float, float] | None = _knob(
        None,
        "point",
        "face",
        "the face at this point of the picture, in pixels",
        nullable=True,
        metavar="X,Y",
    )
    points: tuple[tuple[float, float], ...] | None = _knob(
        None,
        "points",
        "face",
        "five points, in pixels, for a face that is not found: the eye on the picture's left, the eye on its "
        "right, nose tip, mouth corner on the left, mouth corner on the right",
        nullable=True,
        metavar="X,Y",
    )
    detector: str = _knob(
        "auto",
        "choice",
        "face",
        "how faces are found; face-alignment downloads its weights on first use",
        choices=("auto", "mediapipe", "face-alignment"),
    )
    crop: str = _knob(
        "full",
        "choice",
        "sadtalker",
        "what is drawn: the face within the whole picture (full; extfull: with more around it), the face "
        "alone (crop, extcrop), or the whole picture as a face (resize)",
        choices=("full", "extfull", "crop", "extcrop", "resize"),
    )
    size: str = _knob(
        "256",
        "choice",
        "sadtalker",
        "width and height, in pixels, of the face that is drawn",
        choices=("256", "512"),
    )
    batch_size: int = _knob(
        0, "int", "sadtalker", "frames that are drawn at once; 0: one on a CPU, 8 on a GPU", low=0, high=64
    )
    precision: str = _knob(
        "auto",
        "choice",
        "sadtalker",
        "numbers of the neural face render; auto is float16 on a GPU and float32 on a CPU",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    turbo: bool = _knob(
        False,
        "bool",
        "sadtalker",
        "approximate: draw some frames and move them for those between, in half precision where the CPU "
        "has it",
    )
    compile: bool = _knob(
        False,
        "bool",
        "sadtalker",
        "compile parts of the face render first, for long videos; needs a C++ compiler",
    )
    template: str | None = _knob(
        None,
        "path",
        "codetalker",
        "head mesh that speaks: a .ply or .obj file, or templates.pkl (default: the picture, if it is one of "
        "these, else a neutral head of our own)",
        nullable=True,
        metavar="MESH",
    )
    person: str | None = _knob(
        None,
        "text",
        "codetalker",
        "whose head in templates.pkl (default: the first)",
        nullable=True,
        metavar="NAME",
    )
    face_model: str | None = _knob(
        None,
        "text",
        "codetalker",
        "which pair of networks: vocaset, biwi or the name of your own (default: one that fits the mesh)",
        nullable=True,
        metavar="NAME",
    )
    exact: bool = _knob(
        False,
        "bool",
        "codetalker",
        "compute as the published program does: slow, and for 20 seconds (vocaset) or 24 (biwi) at most",
    )
    canvas: int = _knob(
        512, "int", "codetalker", "width and height of the video in pixels", low=64, high=2048
    )
    enhancer: str = _knob(
        "none",
        "choice",
        "output",
        "what restores the face in every frame: gfpgan, codeformer or restoreformer from your own weights, "
        "host, a WebUI's own restoration, or auto, that or whichever is there",
        choices=("none", "auto", "gfpgan", "codeformer", "restoreformer", "host"),
    )
    enhancer_strength: float = _knob(
        0.7,
        "float",
        "output",
        "how much of the restored face is taken; less keeps more of the rendered one",
        low=0.0,
        high=1.0,
    )
    upscale: str = _knob(
        "1",
        "choice",
        "output",
        "how many times as large; what is still is enlarged once, by a network if its weights are there",
        choices=("1", "2", "4"),
    )
    fps: float = _knob(DEFAULT_FPS, "float", "output", "frames per second", low=1.0, high=60.0)
    crf: int = _knob(
        18, "int", "output", "quality of the video: smaller is better and larger", low=0, high=51
    )
    preset: str = _knob(
        "veryfast",
        "choice",
        "output",
        "effort of the encoder: slower makes smaller files",
        choices=("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"),
    )
    overwrite: bool = _knob(False, "bool", "output", "replace the output file if it exists")

    def __post_init__(self) -> None:
        for knob in knobs():
            object.__setattr__(self, knob.name, knob.check(getattr(self, knob.name)))
        if self.end is not None and self.end <= self.start:
            raise OptionsError(
                "{end} ({last:g} s) must be later than {start} ({first:g} s).",
                "end",
                "start",
                last=self.end,
                first=self.start,
            )
        if sum(value is not None for value in (self.face, self.face_at, self.points)) > 1:
            raise OptionsError(
                "Give only one of {face}, {face_at} and {points}.", "face", "face_at", "points"
            )

    def files(self) -> tuple[str, ...]:
        """The files that are read beside picture and speech."""
        named = (getattr(self, name) for name in FILE_KNOBS)
        return tuple(path for path in named if path is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, one per knob; `from_dict` reads them back."""

        def plain(value: Any) -> Any:
            return [plain(item) for item in value] if isinstance(value, tuple) else value

        return {knob.name: plain(getattr(self, knob.name)) for knob in knobs()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, ignore_unknown: bool = False) -> Options:
        """Options from a mapping by name; an unknown name raises `OptionsError` unless told to ignore it."""
        known = {knob.name for knob in knobs()}
        unknown = sorted(set(values) - known)
        if unknown and not ignore_unknown:
            raise OptionsError(f"Unknown option {unknown[0]!r}; known options: {', '.join(sorted(known))}.")
        return cls(**{name: value for name, value in values.items() if name in known})


def _to_knob(entry: Field[Any]) -> Knob:
    assert entry.default is not MISSING
    return Knob(name=entry.name, default=entry.default, **entry.metadata)


def knobs() -> tuple[Knob, ...]:
    """All knobs in the order in which they are declared."""
    return _KNOBS


_KNOBS = tuple(_to_knob(entry) for entry in fields(Options))


def options_schema() -> dict[str, Any]:
    """JSON schema of `Options.to_dict()`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Options",
        "type": "object",
        "additionalProperties": False,
        "properties": {knob.name: knob.schema() for knob in knobs()},
    }
