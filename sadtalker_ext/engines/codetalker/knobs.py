"""The options that the engine codetalker alone reads."""

from __future__ import annotations

from ...options.knob import Knob

KNOBS: tuple[Knob, ...] = (
    Knob(
        "template", "path",
        "head mesh that speaks: a .ply or .obj file, or templates.pkl (default: the picture, if it is "
        "one of these, else a neutral head of our own)",
        title="Head mesh", shapes=("face",), nullable=True, metavar="MESH", files="mesh",
    ),
    Knob(
        "person", "text", "whose head in templates.pkl (default: the first)",
        title="Person in the mesh file", shapes=("face",), nullable=True, metavar="NAME", within="template",
    ),
    Knob(
        "face_model", "text",
        "which pair of networks: vocaset, biwi or the name of your own (default: one that fits the mesh)",
        title="Networks", shapes=("face", "motion"), nullable=True, metavar="NAME",
    ),
    Knob(
        "exact", "bool",
        "compute as the published program does: slow, and for 20 seconds (vocaset) or 24 (biwi) at most",
        default=False, title="Exactly as published",
    ),
    Knob(
        "canvas", "int", "width and height of the video in pixels",
        default=512, title="Video size", shapes=("frames",), low=64, high=2048,
    ),
)  # fmt: skip
