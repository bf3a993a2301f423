"""What a server has and knows as plain JSON values: version, engines, weight files, options, faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..engines import ENGINES
from ..errors import worded
from ..options import knob_named, options_schema
from ..options.presets import PRESETS
from ..shell import Shell
from ..version import __version__
from .intake import FORMATS, check_picture, open_knobs
from .limits import Limits
from .words import REQUEST

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
            "needs": [
                {
                    "name": n.name,
                    "present": n.present,
                    "optional": n.optional,
                    "remedy": worded(n.remedy, REQUEST),
                }
                for n in engine.needs(folder)
            ],
        }
        for engine in ENGINES.values()
    ]


def model_rows(shell: Shell) -> list[dict[str, Any]]:
    """Each weight file that engines may use, and its state here; names of folders are kept back."""
    from ..checkpoints import CATALOG, status

    folder = shell.host.models_dir()
    rows = []
    for checkpoint in CATALOG:
        found = status(checkpoint, folder)
        rows.append(
            {
                "id": checkpoint.id,
                "file": checkpoint.file,
                "engine": checkpoint.engine,
                "use": checkpoint.use,
                "optional": checkpoint.optional,
                "state": found.state,
                "bytes": found.size,
                "published_bytes": checkpoint.size,
                "note": worded(found.note, REQUEST),
                "licence": checkpoint.licence,
                "page": checkpoint.page,
            }
        )
    return rows


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
    from ..face import find_faces, load_picture
    from ..face.topology import FIVE_POINTS

    knob = knob_named("detector")
    chosen = knob.check(detector or knob.default)
    check_picture(path, limits)
    picture = load_picture(path)
    scale = 1 / picture.scale
    rows = []
    for number, face in enumerate(find_faces(picture.image, detector=chosen, thorough=True), start=1):
        points = [face.landmarks[list(group), :2].mean(0) * scale for group in FIVE_POINTS]
        rows.append(
            {
                "number": number,
                "box": [round(edge * scale, 1) for edge in face.box],
                "size": round(face.size * scale, 1),
                "points": [[round(float(x), 1), round(float(y), 1)] for x, y in points],
                "score": round(face.score, 4),
                "source": face.source,
            }
        )
    return {
        "width": round(picture.width * scale),
        "height": round(picture.height * scale),
        "faces": rows,
        "notices": [worded(notice, REQUEST) for notice in picture.notices],
    }
