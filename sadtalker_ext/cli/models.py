"""`sadtalker models`: the weight files that are there and missing into a list; names into downloads."""

from __future__ import annotations

import argparse
import json

from ..checkpoints.state import faulty
from ..host import StandaloneHost
from .console import show, show_notices
from .flags import add_json, add_models_dir, add_quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("action", nargs="?", choices=("list", "download", "verify"), default="list", help="(default list)")
    add("names", nargs="*", metavar="NAME", help="which files: names as the list shows them")
    add("--all", action="store_true", help="every file that an engine needs")
    add_models_dir(parser)
    add_json(parser)
    add_quiet(parser)


def run(given: argparse.Namespace) -> int:
    from . import weight_files

    folder = StandaloneHost().models_dir()
    if given.action == "list":
        show(json.dumps(weight_files.rows(folder), indent=2) if given.json else weight_files.table(folder))
        show_notices(faulty(folder))
        return 0
    work = weight_files.fetch if given.action == "download" else weight_files.check
    for checkpoint in weight_files.chosen(given.action, given.names, given.all):
        path = work(checkpoint, folder, quiet=given.quiet)
        if not given.quiet:
            show(f"{checkpoint.file}: {path or 'missing'}")
    return 0
