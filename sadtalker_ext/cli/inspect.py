"""`sadtalker inspect`: the metadata of a video into lines that say what made it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument("--json", action="store_true", help="print the whole metadata document")


def run(given: argparse.Namespace) -> int:
    from ..errors import VideoError
    from ..video import read_metadata

    metadata = read_metadata(given.video)
    if not metadata:
        told = "holds no description of how it was made; it was not made by sadtalker."
        raise VideoError(f"{given.video} {told}")
    print(json.dumps(metadata, indent=2, ensure_ascii=False) if given.json else _lines(metadata))
    return 0


def _lines(metadata: Mapping[str, Any]) -> str:
    """Lines a person reads; options that were left at their defaults are not listed."""
    from ..options import Options, knobs

    options, defaults = metadata.get("options", {}), Options().to_dict()
    changed = [
        f"{knob.flag} {_as_flag(options[knob.name])}".strip()
        for knob in knobs()
        if knob.name in options and options[knob.name] != defaults[knob.name]
    ]
    motion = metadata.get("motion", {})
    lines = [
        ("made by", f"{metadata.get('software', '?')} {metadata.get('version', '')}"),
        ("engine", metadata.get("engine", "?")),
        ("picture", metadata.get("picture") or "(not a file)"),
        ("speech", metadata.get("speech") or "(none or not a file)"),
        ("seed", metadata.get("seed", "?")),
        ("options", " ".join(changed) or "all at their defaults"),
    ]
    if isinstance(motion, Mapping):
        lines += [(f"motion: {part}", _flat(value)) for part, value in motion.items()]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _as_flag(value: Any) -> str:
    if value is True:
        return ""
    if isinstance(value, list):
        points = [item if isinstance(item, list) else [item] for item in value]
        return " ".join(",".join(f"{number:g}" for number in point) for point in points)
    return str(value)


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(item)}" for name, item in value.items())
    return str(value)
