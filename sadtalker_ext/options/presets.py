"""Named manners of moving: what a preset sets, over the options' defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ..errors import OptionsError
from .knob import shown

FORMER_NAMES = {"preset": "manner_preset"}  # of what names one, and what it is called now; both are read
_KNOBS = ("still", "head_motion", "expression_scale", "blink_rate", "gaze")
_VALUES: Mapping[str, tuple[float, ...]] = {
    "Presenter": (False, 1.0, 1.0, 1.0, 1.0),
    "Still portrait": (True, 0.4, 1.0, 0.8, 0.5),
    "Lively": (False, 1.5, 1.2, 1.2, 1.4),
}
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {name: dict(zip(_KNOBS, values, strict=True)) for name, values in _VALUES.items()}
)


def preset_named(name: str) -> Mapping[str, Any]:
    """What a preset sets; raises `OptionsError` for an unknown name."""
    if name not in PRESETS:
        raise OptionsError(f"Unknown preset {shown(name)}; known presets: {', '.join(PRESETS)}.")
    return PRESETS[name]


def by_present_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request by their present names; raises `OptionsError` for one given by both."""
    for former, name in FORMER_NAMES.items():
        if former in given and name in given:
            raise OptionsError(f"{former} is now called {name}; give it once.")
    return {FORMER_NAMES.get(str(name), str(name)): value for name, value in given.items()}


def former_names_in(given: Iterable[str]) -> tuple[str, ...]:
    """A sentence about each former name among these."""
    return tuple(f"{name} is now called {FORMER_NAMES[name]}." for name in given if name in FORMER_NAMES)
