"""The engine codetalker at work: speech moves the vertices of a head, by a discrete motion prior."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...audio import Speech
from ...checkpoints.places import bases
from ...errors import MeshError, OptionsError, Place, SadTalkerError, Sentence
from ...host import Check, Host, Run, nothing
from ...mesh import Template, faces_among, load_template, load_templates
from ...mesh.draw import MeshRenderer
from ...mesh.files import MESH_SUFFIXES
from ...mesh.retarget import COLUMN, figure_for
from ...options import Options
from ...tracks import MotionSpace, MotionTrack, vertex_space
from ...tracks.rows import gathered
from ..base import Actor, Look
from .weights import Stage, stages

if TYPE_CHECKING:
    from .loading import CodeNetworks

NEUTRAL = Sentence(
    "No mesh was given, so the motion is shown on a neutral head, which fits it roughly; give your own with "
    "{template}.",
    "template",
)


@dataclass(frozen=True)
class Head:
    """What speaks: a template of the user's, or, where there is none, our neutral head."""

    template: Template | None

    @property
    def vertices(self) -> int | None:
        """How many vertices the networks have to move; None: whichever they do."""
        return None if self.template is None else len(self.template.vertices)

    @cached_property
    def fingerprint(self) -> tuple[object, ...]:
        if self.template is None:
            return ("neutral",)
        faces = self.template.faces
        return hash(self.template.vertices.tobytes()), None if faces is None else hash(faces.tobytes())

    @property
    def notices(self) -> tuple[str, ...]:
        return () if self.template is not None else (NEUTRAL,)


def load_head(source: Any, options: Options, run: Run) -> Head:
    """The head in `source` or in the option `template`."""
    run.check()
    if source is not None and options.template is not None:
        raise OptionsError(
            "Give the head's mesh once: in place of the picture, or as {template}.", "template"
        )
    path = options.template if source is None else source
    return Head(None if path is None else load_template(path, options.person))


def look(options: Options, models_dir: Path) -> Look:
    """Whose heads the file in the option `template` holds, and which of the networks here moves them."""
    found = stages(models_dir)
    choices = {"face_model": tuple(found)}
    try:
        if options.template is None:
            return Look(_without_mesh(found, options.face_model), choices)
        path = Path(options.template)
        if path.suffix.lower() not in MESH_SUFFIXES:
            choices["person"] = tuple(load_templates(path))
        return Look(_described(path, options, models_dir, found, len(choices.get("person", ()))), choices)
    except SadTalkerError as error:
        return Look(choices=choices, problem=error)


def _described(
    path: Path, options: Options, models_dir: Path, found: Mapping[str, tuple[Stage, Stage]], people: int
) -> str:
    """What a mesh file holds; raises where the networks cannot move it, or it cannot be drawn."""
    from .loading import choose

    template = load_template(path, options.person)
    name, vertices = choose(models_dir, options.face_model, len(template.vertices))
    template.require(vertices, f"the face model {name}")
    with_faces(template, models_dir)
    whose = f"{people} heads" if people > 1 else "a head"
    manners = found[name][1].styles if name in found else 0
    ways = f" ({manners} manners of speaking, from 0)" if manners else ""
    return f"{path.name}: {whose} of {len(template.vertices):,} vertices, moved by the networks {name}{ways}."


def _without_mesh(found: Mapping[str, tuple[Stage, Stage]], name: str | None) -> str:
    chosen = found.get(name) if name else next(iter(found.values()), None)
    if chosen is not None and vertex_space(chosen[0].vertices).name not in COLUMN:
        raise MeshError(
            f"These networks move heads of {chosen[0].vertices:,} vertices, which the neutral head cannot "
            "show; give the mesh of such a head."
        )
    return "Without a mesh, a neutral head of our own shows the motion, which fits it roughly."


def with_faces(template: Template, models_dir: Path) -> Template:
    """The template with triangles, its own or those of a mesh among the weights; `MeshError` without any."""
    if template.faces is not None:
        return template
    folders = [folder for base in bases(models_dir) for folder in (base, base / "codetalker")]
    found = (faces_among(folder, len(template.vertices)) for folder in folders)
    faces = next((faces for faces in found if faces is not None), None)
    if faces is None:
        raise MeshError(
            "{path} has points, but no triangles to draw; put the .ply or .obj mesh of its topology, such as "
            "FLAME_sample.ply, beside it or into the folder for models.",
            Place(template.source),
        )
    return replace(template, faces=faces)


class HeadRenderer:
    """A head prepared for speech: the networks that move it, loaded when first asked for, and its drawing."""

    has_alpha = False
    notices: tuple[str, ...] = ()

    def __init__(self, head: Head, options: Options, host: Host) -> None:
        """Raises `MeshError` or `WeightsError` where no networks fit the mesh."""
        from .loading import choose

        self.head = head
        self._models_dir, self._device = host.models_dir(), host.device()
        self._name, vertices = choose(self._models_dir, options.face_model, head.vertices)
        if head.template is not None:
            head.template.require(vertices, "the chosen face model")
        self.space = vertex_space(vertices)
        self._canvas = options.canvas
        self._template = head.template and with_faces(head.template, self._models_dir)
        drawn = self._drawing(self.space)
        self._drawings = {self.space.name: drawn}
        self.size, self.region, self.view = drawn.size, drawn.region, drawn.view

    def _drawing(self, space: MotionSpace) -> MeshRenderer:
        if self._template is not None:
            return MeshRenderer(self._template, size=self._canvas)
        return MeshRenderer(figure_for(space), size=self._canvas)

    def _drawn(self, track: MotionTrack) -> MeshRenderer:
        """The neutral head shows the motion of other networks, too, when it is rendered again."""
        space = self.space if self._template is not None else track.space
        if space.name not in self._drawings:
            self._drawings[space.name] = self._drawing(space)
        return self._drawings[space.name]

    @property
    def networks(self) -> CodeNetworks:
        from .loading import load_networks

        return load_networks(self._models_dir, self._name, self._device)

    def opening(self, track: MotionTrack) -> np.ndarray | None:
        return self._drawn(track).opening(track)

    def render(self, track: MotionTrack, *, check: Check = nothing) -> Generator[np.ndarray, None, None]:
        return self._drawn(track).render(track, check=check)


class CodeTalkerActor(Actor):
    """A head with the networks that move it."""

    engine = "codetalker"
    renderer: HeadRenderer

    @property
    def space(self) -> MotionSpace:  # type: ignore[override]
        return self.renderer.space

    def prepare(self) -> HeadRenderer:
        return HeadRenderer(self.subject, self.options, self.run.host)

    def motion(self, speech: Speech) -> MotionTrack:
        """Offsets of the head's vertices, rows at `options.fps`, from the networks' own rate."""
        from .query import predict

        options, run, frames = self.options, self.run, self.frames(speech)
        head = self.renderer
        if speech.is_idle:
            rest = MotionTrack.rest(1, options.fps, head.space)
            return replace(rest.fitted(frames), provenance={"vertices": "rest", "why": "nothing is said"})
        networks = head.networks
        second = options.manner_mix
        style = options.manner if second is None else (options.manner, second, options.manner_share)
        blocks = predict(
            networks.stage1,
            networks.stage2,
            speech.samples,
            style=style,
            exact=options.exact,
            check=run.check,
            report=run.stage("motion"),
        )
        scale = np.float32(options.expression_scale)
        data = gathered((block * scale for block in blocks), head.space.dim)
        made_by = {
            "vertices": f"CodeTalker, {networks.name}, {'as published' if options.exact else 'any length'}",
            "manner": options.manner,
        }
        if options.manner_mix is not None:
            made_by |= {"manner_mix": options.manner_mix, "manner_share": options.manner_share}
        track = MotionTrack(head.space, float(networks.stage2.fps), data, made_by)
        return track.resampled(options.fps).fitted(frames)

    def idle(self, frames: int, space: MotionSpace) -> MotionTrack:
        """The head sways, or where its mesh is not known, its brows move."""
        from ...audio import MIN_SECONDS, silence
        from ...mesh.presence import browing, swaying
        from ...motion import generate_head

        fps, seed = self.options.fps, self.options.seed
        quiet = silence(max(MIN_SECONDS, frames / fps))
        pose = generate_head(quiet, fps=fps, frames=frames, seed=seed, check=self.run.check)
        template = self.subject.template
        blocks = browing(space, pose) if template is None else swaying(template, pose)
        return MotionTrack(space, fps, gathered(blocks, space.dim), {"vertices": "quiet presence"})
