"""`sadtalker engines`: the engines, and what each still needs, into a list."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoints.state import faulty
from ..host import StandaloneHost
from .console import show, show_notices
from .flags import add_json, add_models_dir

if TYPE_CHECKING:
    from ..engines import Engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    add_models_dir(parser)


def run(given: argparse.Namespace) -> int:
    from ..engines import ENGINES

    folder = StandaloneHost().models_dir()
    if given.json:
        rows = [
            {
                "name": engine.name,
                "ready": not engine.missing(folder),
                "summary": engine.summary,
                "composition": dict(engine.composition),
                "needs": [vars(need) for need in engine.needs(folder)],
            }
            for engine in ENGINES.values()
        ]
        show(json.dumps(rows, indent=2))
    else:
        show("\n\n".join(_paragraph(engine, folder) for engine in ENGINES.values()))
    show_notices(faulty(folder))
    return 0


def _paragraph(engine: Engine, models_dir: Path) -> str:
    """An engine, whether it can run with the weights in a folder, and how to get what is missing."""
    state = "ready" if not engine.missing(models_dir) else "not ready"
    lines = [f"{engine.name}: {state}", f"  {engine.summary}"]
    lines += [f"  {part:<8} {what}" for part, what in engine.composition.items()]
    for need in engine.needs(models_dir):
        if need.present:
            lines.append(f"  [x] {need.name}")
        else:
            kind = "optional" if need.optional else "needed"
            lines.append(f"  [ ] {need.name} ({kind}): {need.remedy}")
    return "\n".join(lines)
