"""Named manners of moving: what a preset sets, over the options' defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ..errors import OptionsError
from . import Options

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


def with_preset(options: Options, name: str) -> Options:
    """The options with a preset's knobs; raises `OptionsError` for an unknown name."""
    if name not in PRESETS:
        raise OptionsError(f"Unknown preset {name!r}; known presets: {', '.join(PRESETS)}.")
    return replace(options, **PRESETS[name])
