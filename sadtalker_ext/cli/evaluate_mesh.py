"""`sadtalker evaluate-mesh`: a predicted motion of a mesh and the true one into the published errors."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MeshError, OptionsError
from .console import show
from .flags import add_json

if TYPE_CHECKING:
    from ..evaluation.mesh_metrics import Clip
    from ..mesh import Template


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("predicted", metavar="PREDICTED", help="vertices of a motion, .npy, or a folder of them")
    add("truth", metavar="TRUTH", help="the true ones: .npy, or a folder with the same names")
    add("--template", metavar="T", required=True, help="the neutral face: .ply, .obj or templates.pkl")
    add(
        "--person",
        metavar="NAME",
        help="who of templates.pkl (default: from the files' names, SUBJECT_SENTENCE)",
    )
    add(
        "--lips",
        metavar="FILE",
        required=True,
        help="numbers of the lips' vertices: lve.txt or FLAME_masks.pkl",
    )
    add("--upper", metavar="FILE", help="those of the upper face, for FDD: fdd.txt or FLAME_masks.pkl")
    add(
        "--truth-every",
        type=int,
        metavar="N",
        default=1,
        help="compare with every N-th true frame: 2 for VOCASET's, which are 60 a second (default 1)",
    )
    add_json(parser, instead_of="a table")


def run(given: argparse.Namespace) -> int:
    from ..evaluation.mesh_metrics import measure
    from ..mesh.regions import LIPS, UPPER_FACE, read_region

    if given.truth_every < 1:
        raise OptionsError(f"--truth-every must be 1 or more, not {given.truth_every}.")
    templates = _templates(given.template)
    count = len(next(iter(templates.values())).vertices)
    lips = read_region(given.lips, count, LIPS)
    upper = None if given.upper is None else read_region(given.upper, count, UPPER_FACE)
    report = measure(_clips(given, templates), lips, upper)
    show(json.dumps(report.to_dict(), indent=2) if given.json else report.table())
    return 0


def _templates(path: str) -> dict[str, Template]:
    """By subject; a mesh is the template of everybody, under the name ""."""
    from ..mesh import load_template, load_templates
    from ..mesh.template import PICKLE_SUFFIXES

    if Path(path).suffix.lower() in PICKLE_SUFFIXES and Path(path).is_file():
        return load_templates(path)
    return {"": load_template(path)}


def _clips(given: argparse.Namespace, templates: dict[str, Template]) -> Iterator[Clip]:
    from ..evaluation.mesh_metrics import Clip, pairs, read_motion, subject_of

    for name, predicted, truth in pairs(Path(given.predicted), Path(given.truth)):
        subject = "" if "" in templates else given.person or subject_of(truth)
        if subject not in templates:
            wanted = f"no subject {subject!r} (for {truth.name})"
            raise MeshError(f"{given.template} has {wanted}; it has {', '.join(templates)}.")
        template = templates[subject].vertices
        yield Clip(name, read_motion(predicted), read_motion(truth, given.truth_every), template)
