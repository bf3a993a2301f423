"""`sadtalker serve`: an address and folders into a server that runs until Ctrl-C."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..errors import OptionsError
from .console import show
from .flags import add_models_dir

AUTH_VARIABLE = "SADTALKER_AUTH"  # keeps a password out of the list of processes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", metavar="ADDRESS", default="127.0.0.1", help="(default 127.0.0.1: this computer)")
    add("--port", type=int, metavar="N", help="(default 7865; the next free one where it is in use)")
    add("--output-dir", metavar="DIR", help="where videos go (default sadtalker-outputs)")
    add_models_dir(parser)
    add("--device", metavar="DEVICE", default="auto", help="cpu, cuda, mps, xpu (default: the best)")
    add(
        "--auth",
        metavar="USER:PASSWORD",
        help=f"who may use page and API, more of them after commas (default: the variable {AUTH_VARIABLE})",
    )
    add("--open", action="store_true", help="show the page in the browser")
    add("--no-download", action="store_true", help="never fetch weights")


def run(given: argparse.Namespace) -> int:
    from ..server.server import HIGHEST_PORT, PORT, ServerSettings, serve

    port = PORT if given.port is None else given.port
    if not 0 <= port <= HIGHEST_PORT:
        raise OptionsError(f"--port must be a whole number from 0 to {HIGHEST_PORT}, not {port}.")
    settings = ServerSettings(
        host=given.host,
        port=port,
        output_dir=None if given.output_dir is None else Path(given.output_dir),
        models_dir=None if given.models_dir is None else Path(given.models_dir),
        device=given.device,
        auth=given.auth or os.environ.get(AUTH_VARIABLE) or None,
        open_page=given.open,
        downloads=not given.no_download,
    )
    serve(settings, show)
    return 0
