"""The engine `codetalker`: speech moves the vertices of a head, by CodeTalker's discrete motion prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import OptionsError, Place, SadTalkerError, Sentence, joined
from ...host import Run
from ...options import Options
from ..base import Actor, Engine, Look, Need, Subject, has_module, packages
from .catalog import PAGE, WEIGHTS
from .knobs import KNOBS


def needs(models_dir: Path) -> tuple[Need, ...]:
    from .weights import available, problems

    pairs = available(models_dir)
    files = "vocaset_stage1.pth.tar and vocaset_stage2.pth.tar (or biwi_…)"
    folder = Place(models_dir, "the folder for models")
    remedy = Sentence("put {files} from {page} into {path}", folder, files=files, page=PAGE)
    if not pairs:
        remedy = joined(problems(models_dir), ". ") or remedy
    return (
        *packages(),
        Need("transformers", has_module("transformers"), "pip install transformers"),
        Need("networks (" + ", ".join(pairs) + ")" if pairs else "networks", bool(pairs), remedy),
        Need(
            "trimesh",
            has_module("trimesh"),
            "pip install trimesh (reads and writes .ply meshes; .obj needs nothing)",
            optional=True,
        ),
    )


def refusal(source: Any, options: Options) -> SadTalkerError | None:
    """It takes the file of a mesh; nothing at all only where that, or the engine itself, was asked for."""
    from ...mesh import is_mesh_file

    if source is None and (options.engine == CODETALKER.name or options.template is not None):
        return None
    if isinstance(source, (str, Path)) and is_mesh_file(source):
        return None
    return OptionsError(
        "The engine codetalker animates meshes: {a_mesh_instead}; for a portrait choose {engine} instant "
        "{lips} codes.",
        "a_mesh_instead",
        "engine",
        "lips",
    )


def load_head(source: Any, options: Options, run: Run) -> Subject:
    from . import actor

    return actor.load_head(source, options, run)


def open_actor(subject: Any, options: Options, run: Run) -> Actor:
    from .actor import CodeTalkerActor

    return CodeTalkerActor(subject, options, run)


def look(options: Options, models_dir: Path) -> Look:
    from . import actor

    return actor.look(options, models_dir)


CODETALKER = Engine(
    name="codetalker",
    summary="a talking head as a mesh; needs CodeTalker's published weights, or your own",
    space=None,
    composition={
        "vertices": "a discrete motion prior, queried by wav2vec2's features of the speech",
        "render": "shaded mesh",
    },
    needs=needs,
    open=open_actor,
    subject=load_head,
    refusal=refusal,
    animates="meshes",
    source="the mesh of a head, .ply, .obj or templates.pkl, or nothing",
    knobs=KNOBS,
    reads=("manner", "manner_mix", "manner_share", "expression_scale"),
    weights=WEIGHTS,
    look=look,
)
