"""Pictures into portraits, for the engines that animate them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, OptionsError, SadTalkerError
from ..host import Run
from ..options import Options, knobs
from ..tracks import MotionTrack
from .base import Actor

if TYPE_CHECKING:
    from ..face import Portrait


class PortraitActor(Actor):
    """An actor whose subject is a portrait, whose lips are left alone where its mouth is not to be seen."""

    @property
    def portrait(self) -> Portrait | None:
        return self.subject

    def shown(self, track: MotionTrack) -> MotionTrack:
        return self.without_lips(track) if self.subject.mouth else track

    def without_lips(self, track: MotionTrack) -> MotionTrack:
        """The track with the lips at rest, where its space tells them apart from the rest."""
        if "lips" not in track.space.channels:
            return track
        return track.with_channels(MotionTrack.rest(1, track.fps, track.space), ["lips"])


def load_picture(source: Any, options: Options, run: Run) -> Portrait:
    """The portrait in a picture, the face chosen by the options."""
    from ..face import load_portrait

    if source is None:
        raise OptionsError("No picture was given; give a portrait.")
    portrait = load_portrait(
        source,
        face=options.face,
        face_at=options.face_at,
        points=options.points,
        detector=options.detector,
        check=run.check,
    )
    return portrait.with_mouth(options.mouth)


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
