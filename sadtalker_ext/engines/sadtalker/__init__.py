"""The engine `sadtalker`: ExpNet's expressions and PoseVAE's head motion, drawn by a neural face render."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import Named, Sentence
from ...host import Run
from ...options import Options
from ...tracks import BFM
from ..base import Actor, Engine, Need, enhancers, face_finders, packages
from ..portraits import load_picture, meshes_refused
from .catalog import WEIGHTS
from .knobs import KNOBS


def needs(models_dir: Path) -> tuple[Need, ...]:
    from ...checkpoints import UNREADABLE, by_name, status
    from .weights import SIZES, complete

    def weights(id: str) -> Need:
        found = status(by_name(id), models_dir)
        fault = "" if found.usable else found.note.removeprefix(f"{found.path} ").rstrip(".")
        if found.state == UNREADABLE:  # it may be good
            return Need(by_name(id).file, False, f"{fault}; see that it can be read")
        remedy = Sentence("{download}", Named("download", id))
        return Need(by_name(id).file, found.usable, remedy, weights=id, fault=fault)

    def networks(size: int) -> Need:
        package = weights(f"sadtalker-{size}")
        if package.present or not complete(models_dir, size):
            return package
        return Need(f"older files in the place of {package.name}", True, "")

    sizes = [size for size in SIZES if complete(models_dir, size)] or SIZES[:1]
    return (
        *packages(),
        *map(networks, sizes),
        weights("mapping-109"),
        weights("mapping-229"),
        *face_finders(),
        *enhancers(),
    )


def open_actor(subject: Any, options: Options, run: Run) -> Actor:
    from .actor import SadTalkerActor

    return SadTalkerActor(subject, options, run)


SADTALKER = Engine(
    name="sadtalker",
    summary="a neural 3D-aware face render; needs SadTalker's published weights, and a GPU to be quick",
    space=BFM,
    composition={
        "lips": "ExpNet, or a code prior of your own",
        "pose": "PoseVAE",
        "eyes": "scheduled blinks through ExpNet",
        "render": "3D-aware face render (face-vid2vid with SPADE)",
    },
    needs=needs,
    open=open_actor,
    subject=load_picture,
    refusal=meshes_refused,
    knobs=KNOBS,
    weights=WEIGHTS,
)
