"""The options that the engine sadtalker alone reads."""

from __future__ import annotations

from ...options.knob import Knob

KNOBS: tuple[Knob, ...] = (
    Knob(
        "lip_gain", "float",
        "how far speech moves the face away from the picture's own expression; blinks stay as they are",
        default=1.0, title="Lip movement", low=0.0, high=2.0,
    ),
    Knob(
        "silence_gate", "bool", "let the mouth rest while nobody speaks",
        default=True, title="Rest in silence",
    ),
    Knob("pose_style", "int", "one of the learnt manners of moving the head", default=0, low=0, high=45),
    Knob(
        "ref_face", "path",
        "video, or motion file of this engine, whose whole face and head are followed (looped if short)",
        title="Face and head from a video", nullable=True, metavar="VIDEO", files="video",
    ),
    Knob(
        "crop", "choice",
        "what is drawn: the face within the whole picture (full; extfull: with more around it), the "
        "face alone (crop, extcrop), or the whole picture as a face (resize)",
        default="full", title="Picture part", shapes=("motion", "frames"),
        choices=("full", "extfull", "crop", "extcrop", "resize"),
    ),
    Knob(
        "size", "choice", "width and height, in pixels, of the face that is drawn",
        default="256", title="Face size", shapes=("motion", "frames"), choices=("256", "512"),
    ),
    Knob(
        "batch_size", "int", "frames that are drawn at once; 0: one on a CPU, 8 on a GPU",
        default=0, title="Frames at once", shapes=("frames",), low=0, high=64,
    ),
    Knob(
        "precision", "choice",
        "numbers of the neural face render; auto is float16 on a GPU and float32 on a CPU",
        default="auto", shapes=("frames",), choices=("auto", "float32", "bfloat16", "float16"),
    ),
    Knob(
        "turbo", "bool",
        "approximate: draw some frames and move them for those between, in half precision where the "
        "CPU has it",
        default=False, shapes=("frames",),
    ),
    Knob(
        "compile", "bool", "compile parts of the face render first, for long videos; needs a C++ compiler",
        default=False, shapes=("frames",),
    ),
)  # fmt: skip
