"""Named manners of moving: what a preset sets, over the options' defaults."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import OptionsError
from .knob import shown

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
