"""Named manners of moving: what a preset sets, over the options' defaults."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import OptionsError
from .knob import shown

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Presenter": {
            "still": False,
            "head_motion": 1.0,
            "expression_scale": 1.0,
            "blink_rate": 1.0,
            "gaze": 1.0,
        },
        "Still portrait": {
            "still": True,
            "head_motion": 0.4,
            "expression_scale": 1.0,
            "blink_rate": 0.8,
            "gaze": 0.5,
        },
        "Lively": {
            "still": False,
            "head_motion": 1.5,
            "expression_scale": 1.2,
            "blink_rate": 1.2,
            "gaze": 1.4,
        },
    }
)


def preset_named(name: str) -> Mapping[str, Any]:
    """What a preset sets; raises `OptionsError` for an unknown name."""
    if name not in PRESETS:
        raise OptionsError(f"Unknown preset {shown(name)}; known presets: {', '.join(PRESETS)}.")
    return PRESETS[name]
