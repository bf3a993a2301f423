"""The engine `codetalker`: speech moves the vertices of a head, by CodeTalker's discrete motion prior."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MeshError, OptionsError
from ...tracks import MotionSpace, MotionTrack, vertex_space
from ...tracks.rows import gathered
from ...wording import Place, Sentence, joined
from ..base import Check, Engine, Need, Report, has_module, packages

if TYPE_CHECKING:
    from ...audio import Speech
    from ...host import Host
    from ...mesh import Template
    from ...mesh.draw import MeshRenderer
    from ...options import Options
    from ..base import Renderer
    from .loading import CodeNetworks

PAGE = "https://github.com/Doubiiu/CodeTalker"


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
        if self.template is not None:
            return ()
        return (
            Sentence(
                "No mesh was given, so the motion is shown on a neutral head, which fits it roughly; "
                "give your own with {template}.",
                "template",
            ),
        )


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


def subject(source: Any, options: Options, check: Check) -> Head:
    """The head in `source` or in the option `template`; raises `OptionsError` for a picture."""
    from ...mesh import is_mesh_file, load_template

    check()
    given = source if isinstance(source, (str, Path)) and is_mesh_file(source) else None
    if source is not None and given is None:
        raise OptionsError(
            "The engine codetalker animates meshes: give a .ply, .obj or templates.pkl file in place of the "
            "picture, or none for a neutral head; for a portrait choose {engine} instant {lips} codetalker.",
            "engine",
            "lips",
        )
    if given is not None and options.template is not None:
        raise OptionsError(
            "Give the head's mesh once: in place of the picture, or as {template}.", "template"
        )
    path = given or options.template
    if path is None:
        return Head(None)
    return Head(load_template(path, options.person))


def with_faces(template: Template, models_dir: Path) -> Template:
    """The template with triangles, its own or those of a mesh among the weights; `MeshError` without any."""
    from ...checkpoints.places import bases
    from ...mesh import faces_among

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
        self.accepts, self.size, self.region = drawn.accepts, drawn.size, drawn.region

    def _drawing(self, space: MotionSpace) -> MeshRenderer:
        from ...mesh.draw import MeshRenderer

        if self._template is not None:
            return MeshRenderer(self._template, size=self._canvas)
        from ...mesh.retarget import figure_for

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

    def render(self, track: MotionTrack, *, check: Check | None = None) -> Generator[np.ndarray, None, None]:
        return self._drawn(track).render(track, check=check)


def motion(
    speech: Speech, frames: int, options: Options, renderer: Renderer | None, check: Check, report: Report
) -> MotionTrack:
    """Offsets of the head's vertices, `frames` rows at `options.fps`, from the networks' own rate."""
    from .query import predict

    head: HeadRenderer = renderer  # type: ignore[assignment]
    if options.idle is not None:
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
        check=check,
        report=report,
    )
    scale = np.float32(options.expression_scale)
    data = gathered((block * scale for block in blocks), head.space.dim)
    made_by = {
        "vertices": f"CodeTalker, {networks.name}, {'as published' if options.exact else 'any length'}",
        "manner": options.manner,
    }
    if options.manner_mix is not None:
        made_by |= {"manner_mix": options.manner_mix, "manner_share": options.manner_share}
    return (
        MotionTrack(head.space, float(networks.stage2.fps), data, made_by)
        .resampled(options.fps)
        .fitted(frames)
    )


CODETALKER = Engine(
    name="codetalker",
    summary="a talking head as a mesh; needs CodeTalker's published weights, or your own",
    space=None,
    composition={
        "vertices": "a discrete motion prior, queried by wav2vec2's features of the speech",
        "render": "shaded mesh",
    },
    needs=needs,
    motion=motion,
    renderer=HeadRenderer,
    renderer_key=lambda options: (options.face_model, options.canvas),
    subject=subject,
    needs_portrait=True,
)
