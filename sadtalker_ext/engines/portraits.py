"""Pictures into portraits, for the engines that animate them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, OptionsError, SadTalkerError
from ..host import Run
from ..options import Options, knobs
from .base import Actor

if TYPE_CHECKING:
    from ..face import Portrait


class PortraitActor(Actor):
    """An actor whose subject is a portrait."""

    @property
    def portrait(self) -> Portrait | None:
        return self.subject


def load_picture(source: Any, options: Options, run: Run) -> Portrait:
    """The portrait in a picture, the face chosen by the options."""
    from ..face import load_portrait

    if source is None:
        raise OptionsError("No picture was given; give a portrait.")
    return load_portrait(
        source,
        face=options.face,
        face_at=options.face_at,
        points=options.points,
        detector=options.detector,
        check=run.check,
    )


def meshes_refused(source: Any, options: Options) -> SadTalkerError | None:
    """Why an engine for pictures does not take this: it is the file of a mesh, or a mesh alone was named."""
    from ..mesh import is_mesh_file

    alone = source is None and any(
        knob.files == "mesh" and getattr(options, knob.name) is not None for knob in knobs()
    )
    if not alone and not (isinstance(source, (str, Path)) and is_mesh_file(source)):
        return None
    which = "that auto takes" if options.engine == "auto" else options.engine
    return EngineError(f"The engine {which} animates pictures; for a mesh choose codetalker.")
