"""What a server has and knows as plain JSON values: version, engines, weight files, options, faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engines import ENGINES
from ..errors import worded
from ..options import knob_named, options_schema
from ..options.presets import PRESETS
from ..shell import Shell
from ..version import __version__
from .intake import FORMATS, check_picture, open_knobs
from .limits import Limits
from .words import REQUEST

if TYPE_CHECKING:
    from ..engines.base import Need
    from ..face import Face

API_VERSION = 1


def version_document(shell: Shell, limits: Limits) -> dict[str, Any]:
    """Name and version, where it runs, and what may be sent."""
    return {
        "software": "sadtalker-ext",
        "version": __version__,
        "api": API_VERSION,
        "host": shell.name,
        "formats": list(FORMATS),
        "limits": limits.to_dict(),
    }


def engine_rows(shell: Shell) -> list[dict[str, Any]]:
    """Each engine: whether it is ready, what it needs, and how to get what is missing."""
    folder = shell.host.models_dir()
    return [
        {
            "name": engine.name,
            "ready": not engine.missing(folder),
            "summary": engine.summary,
            "composition": dict(engine.composition),
            "needs": [_need(need) for need in engine.needs(folder)],
        }
        for engine in ENGINES.values()
    ]


def _need(need: Need) -> dict[str, Any]:
    told = worded(need.remedy, REQUEST)
    return {"name": need.name, "present": need.present, "optional": need.optional, "remedy": told}


def model_rows(shell: Shell) -> list[dict[str, Any]]:
    """Each weight file that engines may use, and its state here; names of folders are kept back."""
    from ..checkpoints import CATALOG, status

    folder = shell.host.models_dir()
    return [
        {
            **{name: getattr(checkpoint, name) for name in ("id", "file", "engine", "use", "optional")},
            "state": found.state,
            "bytes": found.size,
            "published_bytes": checkpoint.size,
            "note": worded(found.note, REQUEST),
            "licence": checkpoint.licence,
            "page": checkpoint.page,
        }
        for checkpoint, found in ((checkpoint, status(checkpoint, folder)) for checkpoint in CATALOG)
    ]


def job_options_schema() -> dict[str, Any]:
    """JSON schema of the options of a job, and the presets with what they set."""
    schema = options_schema()
    properties = {name: schema["properties"][name] for name in open_knobs()}
    presets = {name: dict(values) for name, values in PRESETS.items()}
    return {**schema, "properties": properties, "x-presets": presets}


def find_faces_in(path: Path, detector: str | None, limits: Limits) -> dict[str, Any]:
    """The faces of a picture, largest first, in pixels of the picture as it was sent (upright).

    Raises a `SadTalkerError`: no picture, too large, or no face finder.
    """
    from ..face import find_in, load_picture

    knob = knob_named("detector")
    chosen = knob.check(detector or knob.default)
    check_picture(path, limits)
    picture, faces = find_in(load_picture(path), detector=chosen, thorough=True)
    scale = 1 / picture.scale
    return {
        "width": round(picture.width * scale),
        "height": round(picture.height * scale),
        "faces": [_face_row(number, face, scale) for number, face in enumerate(faces, start=1)],
        "notices": [worded(notice, REQUEST) for notice in picture.notices],
    }


def _face_row(number: int, face: Face, scale: float) -> dict[str, Any]:
    from ..face.topology import FIVE_POINTS

    points = [face.landmarks[list(group), :2].mean(0) * scale for group in FIVE_POINTS]
    return {
        "number": number,
        "box": [round(edge * scale, 1) for edge in face.box],
        "size": round(face.size * scale, 1),
        "points": [[round(float(x), 1), round(float(y), 1)] for x, y in points],
        "score": round(face.score, 4),
        "source": face.source,
    }
