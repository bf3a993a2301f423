"""Adds our flags to the WebUI's command line, before the WebUI reads it."""

import argparse
from contextlib import suppress

FLAGS = {
    "--sadtalker-models-path": {"metavar": "DIR", "default": None, "help": "folder of SadTalker's models"},
    "--sadtalker-no-download": {"action": "store_true", "help": "SadTalker never downloads models"},
}


def preload(parser: argparse.ArgumentParser) -> None:
    """Called by the host at every start, and once for each copy of the extension."""
    for name, settings in FLAGS.items():
        with suppress(argparse.ArgumentError):  # another extension, or another copy of this one, has it
            parser.add_argument(name, **settings)
