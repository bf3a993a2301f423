"""The engine `instant`: lips, head and eyes by small models and procedures, drawn by warping the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...host import Run
from ...options import Options
from ...tracks import ARKIT
from ..base import Actor, Engine, Need, enhancers, face_finders, has_module, packages
from ..portraits import load_picture, meshes_refused


def needs(models_dir: Path) -> tuple[Need, ...]:
    phones = Need(
        "pocketsphinx",
        has_module("pocketsphinx"),
        "pip install pocketsphinx (better lips: it recognises the sounds of speech)",
        optional=True,
    )
    return (*packages(), phones, *face_finders(), *enhancers())


def open_actor(subject: Any, options: Options, run: Run) -> Actor:
    from .actor import InstantActor

    return InstantActor(subject, options, run)


INSTANT = Engine(
    name="instant",
    summary="warps the picture itself; no download, real time on a CPU, photos and drawings alike",
    space=ARKIT,
    composition={
        "lips": "recognised phones or VisemeNet, mixed with signal processing; or a prior over codes",
        "pose": "procedural, follows the prosody",
        "eyes": "procedural blinks, gaze and brows",
        "render": "mesh warp of the picture",
    },
    needs=needs,
    open=open_actor,
    subject=load_picture,
    refusal=meshes_refused,
)
