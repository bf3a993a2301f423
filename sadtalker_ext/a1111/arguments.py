"""The arguments of “Animate after generation”, from the page or a request, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..errors import Named, OptionsError
from ..options import Options, names
from ..options.presets import by_present_names, former_names_in, preset_named
from ..page.words import PageWords


class HookWords(PageWords):
    """Those of the page; what is chosen in a picture can be chosen in the tab alone."""

    phrases: Mapping[str, str] = {
        **PageWords.phrases,
        "five_points": "send it to the SadTalker tab to give five points of its face",
    }

    def knob(self, knob: Named) -> str:
        chosen_there = knob.name in names(lambda known: known.in_picture)
        return "the SadTalker tab" if chosen_there else super().knob(knob)


HOOK = HookWords("the pictures could not be animated ({type}: {error}).")
COMMENT = "SadTalker: "  # begins what the host shows about a run
IDLE_SECONDS = 5.0
# In the order of the script's arguments. speech: an uploaded file, or a recording in base64 (with or without
# “data:…;base64,”). text: spoken where there is no speech. idle: seconds of quiet presence where there is
# neither. voice: see `audio.say`.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "enabled": False,
        "speech": None,
        "text": "",
        "idle": IDLE_SECONDS,
        "engine": "auto",
        "manner_preset": "Presenter",
        "voice": "",
    }
)


def read_arguments(args: Sequence[Any]) -> dict[str, Any]:
    """Arguments by position, or by name in one dictionary, which also enables; None is the default.

    Raises `OptionsError` for an unknown name.
    """
    given: dict[str, Any] = dict(zip(DEFAULTS, args, strict=False))
    if args and isinstance(args[0], dict):
        given = {"enabled": True, **by_present_names(args[0])}
        unknown = sorted(set(given) - set(DEFAULTS))
        if unknown:
            raise OptionsError(f"Unknown argument {unknown[0]!r}; known arguments: {', '.join(DEFAULTS)}.")
    return {**DEFAULTS, **{name: value for name, value in given.items() if value is not None}}


def notices_of(args: Sequence[Any]) -> tuple[str, ...]:
    """What there is to say of arguments that can be used, as of names that they do not have any more."""
    return former_names_in(args[0] if args and isinstance(args[0], dict) else ())


def options_of(arguments: Mapping[str, Any], *, is_spoken: bool) -> Options:
    """The options of each video; raises `OptionsError`."""
    idle = None if is_spoken else arguments["idle"]
    given = {**preset_named(arguments["manner_preset"]), "engine": arguments["engine"], "idle": idle}
    return Options(**given)
