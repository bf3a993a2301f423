"""The tab's mesh that is to speak: what is in the file, whose heads there are, and what can move them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..errors import MeshError
from . import compat, knob_panel
from .notes import explain, note
from .words import PageWords

if TYPE_CHECKING:
    from ..engines.codetalker.weights import Stage
    from ..mesh import Template
    from ..shell import Shell

NO_PORTRAIT = (
    "The engine codetalker animates the mesh of a head, or a neutral head of our own: no portrait is needed. "
    "For a portrait choose another engine."
)
NEUTRAL = "Without a mesh, a neutral head of our own shows the motion, which fits it roughly."
UNREADABLE = PageWords("The mesh cannot be read ({error}); export it anew.")


def build_instead() -> Any:
    """What is said in the place of the portrait where none is wanted."""
    return compat.component(
        gr.HTML, note(NO_PORTRAIT), elem_id="sadtalker_no_portrait", label="No portrait", visible=False
    )


def connect(shell: Shell, blocks: gr.Blocks, panel: knob_panel.KnobPanel) -> None:
    """Whenever a mesh comes or the page opens, say what is in it, and fill the lists."""
    template, person, networks = (panel.components[name] for name in ("template", "person", "face_model"))

    def looked(value: Any, before: str | None, name: str | None) -> list[Any]:
        found = stages_of(shell)
        people, sentence = look(shell.host.models_dir(), found, compat.file_path(value), name or None)
        chosen = before if before in people else ""
        return [compat.update(choices=["", *people], value=chosen), sentence]

    def opened() -> Any:
        return compat.update(choices=["", *stages_of(shell)])

    for event in (template.change, networks.change):
        compat.listen(event, looked, [template, person, networks], [person, panel.head], queue=False)
    compat.on_load(blocks, opened, [], [networks])
    compat.on_load(blocks, looked, [template, person, networks], [person, panel.head])


def stages_of(shell: Shell) -> Mapping[str, tuple[Stage, Stage]]:
    """The face models that are here, by name."""
    from ..engines.codetalker.weights import stages

    return stages(shell.host.models_dir())


def look(
    models_dir: Path, found: Mapping[str, tuple[Stage, Stage]], path: Path | None, name: str | None
) -> tuple[list[str], str]:
    """The persons of a mesh file, and a note (HTML) on what the file is and what can move it; never raises.

    found: face models by name, as `checkpoints.codetalker.stages` gives them. path: None where no mesh is
    given. name: of the face model that was chosen.
    """
    people: list[str] = []
    try:
        if path is None:
            return people, note(_without_mesh(found, name))
        from ..engines.codetalker import with_faces
        from ..engines.codetalker.loading import choose
        from ..mesh import load_template, load_templates
        from ..mesh.files import MESH_SUFFIXES

        if path.suffix.lower() not in MESH_SUFFIXES:
            people = list(load_templates(path))
        template = load_template(path)
        chosen, vertices = choose(models_dir, name, len(template.vertices))
        template.require(vertices, f"the face model {chosen}")
        with_faces(template, models_dir)
        return people, note(_described(path, template, people, chosen, found))
    except Exception as error:  # a listener that raises shows a bare "Error"
        return people, explain(error, UNREADABLE)


def _without_mesh(found: Mapping[str, tuple[Stage, Stage]], name: str | None) -> str:
    from ..mesh.retarget import COLUMN
    from ..tracks import vertex_space

    chosen = found.get(name) if name else next(iter(found.values()), None)
    if chosen is not None and vertex_space(chosen[0].vertices).name not in COLUMN:
        raise MeshError(
            f"These networks move heads of {chosen[0].vertices:,} vertices, which the neutral head cannot "
            "show; give the mesh of such a head."
        )
    return NEUTRAL


def _described(
    path: Path,
    template: Template,
    people: list[str],
    chosen: str,
    found: Mapping[str, tuple[Stage, Stage]],
) -> str:
    whose = f"{len(people)} heads" if len(people) > 1 else "a head"
    manners = found[chosen][1].styles if chosen in found else 0
    ways = f" ({manners} manners of speaking, from 0)" if manners else ""
    return (
        f"{path.name}: {whose} of {len(template.vertices):,} vertices, moved by the networks {chosen}{ways}."
    )
