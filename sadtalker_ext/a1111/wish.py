"""The arguments of “Animate after generation”, from the page or a request, into a wish with options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..errors import OptionsError
from ..options import Options
from ..options.presets import with_preset

COMMENT = "SadTalker: "  # begins what the host shows about a wish
IDLE_SECONDS = 5.0


@dataclass(frozen=True)
class Wish:
    """What the page or a request asks for, in the order of the script's arguments.

    speech: an uploaded file, or a recording in base64 (with or without “data:…;base64,”). text: spoken where
    there is no speech. idle: seconds of quiet presence where there is neither. voice: see `audio.say`.
    """

    enabled: bool = False
    speech: Any = None
    text: str = ""
    idle: float = IDLE_SECONDS
    engine: str = "auto"
    preset: str = "Presenter"
    voice: str = ""

    @classmethod
    def of(cls, args: Sequence[Any]) -> Wish:
        """Arguments by position, or by name in one dictionary, which also enables; None is the default.

        Raises `OptionsError` for an unknown name.
        """
        names = [field.name for field in fields(cls)]
        if args and isinstance(args[0], dict):
            given = {"enabled": True, **args[0]}
            unknown = sorted(set(map(str, given)) - set(names))
            if unknown:
                raise OptionsError(f"Unknown argument {unknown[0]!r}; known arguments: {', '.join(names)}.")
        else:
            given = dict(zip(names, args, strict=False))
        return cls(**{name: value for name, value in given.items() if value is not None})

    def options(self, *, spoken: bool) -> Options:
        """The options of each video; raises `OptionsError`."""
        idle = None if spoken else self.idle
        return with_preset(Options(engine=self.engine, idle=idle), self.preset)
