"""One order, whoever gives it: what is to be animated, what it says, and how; and what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import OptionsError
from .options import Options

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from .tracks import MotionTrack

    PictureSource = str | Path | Image.Image | np.ndarray
    SpeechSource = str | Path | tuple[np.ndarray, int] | tuple[int, np.ndarray]
    TrackSource = str | Path | MotionTrack

TEXT_CHARACTERS = 30  # of a text that go into the names of files


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be made.

    picture: a file, a PIL image or uint8 (H, W, 3 or 4); for an engine that animates meshes the file of one,
    or None. speech: an audio or video file, or (samples (N,) or (N, channels), rate); or text: spoken by
    `voice` (see `audio.say`); or neither, with `options.idle`. track: this motion, or that in this file, is
    rendered instead of a new one, and speech is its soundtrack. options: None are the defaults, at the frame
    rate of `track`. output: .mp4, .webm, .gif or a folder for PNG frames; None names a new file of the kind
    `suffix` in the folder for results.
    """

    picture: PictureSource | None = None
    speech: SpeechSource | None = None
    text: str | None = None
    voice: str | None = None
    track: TrackSource | None = None
    options: Options | None = None
    output: str | Path | None = None
    suffix: str = ".mp4"

    @property
    def picture_name(self) -> str | None:
        """The name of the picture's file; None where it is none."""
        return _file_name(self.picture)

    @property
    def speech_name(self) -> str | None:
        """The name of the recording's file, or of what the text is spoken into; None where it is neither."""
        return text_file(self.text) if self.text is not None else _file_name(self.speech)

    def files(self) -> list[Path]:
        """Every file that is read."""
        named = (self.picture, self.speech, self.track, *(self.options or Options()).files())
        return [Path(given) for given in named if isinstance(given, (str, Path))]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_dict` makes the same request; what is not given is left out.

        Raises `OptionsError` for what is in memory, not in a file.
        """
        values: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Options):
                values[entry.name] = value.to_dict()
            elif isinstance(value, (str, Path)):
                values[entry.name] = str(value)
            elif value is not None:
                raise OptionsError(f"The {entry.name} is in memory; save it, and give the path of its file.")
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Request:
        """The request that `to_dict` wrote; raises `OptionsError` for what is none."""
        known = [entry.name for entry in fields(cls)]
        unknown = sorted(set(map(str, values)) - set(known))
        if unknown:
            raise OptionsError(f"Unknown field {unknown[0]!r}; a request has {', '.join(known)}.")
        given = {name: value for name, value in values.items() if value is not None}
        options = given.pop("options", None)
        for name, value in given.items():
            if not isinstance(value, str):
                raise OptionsError(f"{name} of a request must be a string.")
        if options is not None and not isinstance(options, Mapping):
            raise OptionsError('options of a request must be an object, like {"head_motion": 0.5}.')
        return cls(**given, options=None if options is None else Options.from_dict(options))


@dataclass(frozen=True)
class Result:
    """A finished video: where it is, what made it and how long that took.

    duration: seconds of video. elapsed: seconds of work. notices: sentences worth showing.
    """

    path: Path
    frames: int
    fps: float
    duration: float
    elapsed: float
    engine: str
    options: Options
    track: MotionTrack
    metadata: Mapping[str, Any]
    notices: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the motion itself is left out."""
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "track"}
        return {
            **plain,
            "path": str(self.path),
            "options": self.options.to_dict(),
            "metadata": dict(self.metadata),
            "notices": list(self.notices),
        }


def text_file(text: str) -> str:
    """What the file is called into which a text is spoken: its first words."""
    words = "-".join(re.findall(r"\w+", text.casefold()))[:TEXT_CHARACTERS].strip("-")
    return f"{words or 'speech'}.wav"


def _file_name(source: object) -> str | None:
    """The name of a file, or of the file that a portrait or a speech was loaded from."""
    file = getattr(source, "file", source)
    return Path(file).name if isinstance(file, (str, Path)) else None
