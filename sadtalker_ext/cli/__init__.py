"""The command line of `sadtalker` into one of its commands, each a module of that name, and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any, NoReturn, Protocol

from .. import errors
from ..errors import OutputError
from ..system import faults, interrupts
from ..system.outputs import Written
from ..version import __version__
from . import (
    animate,
    demo,
    engines,
    evaluate,
    evaluate_mesh,
    export,
    inspect,
    models,
    motion,
    render,
    serve,
    train,
    voices,
)
from .flags import weights_from

USER_MISTAKE = 2
EXIT_CODES = {errors.MISTAKE: USER_MISTAKE, errors.CANCELLED: 130}  # of all other failures: 1


LIGHT = ("inspect", "engines", "voices", "models")  # commands that load none of the large libraries
LEAST_MEMORY = 2_000_000_000  # bytes of addresses that torch and mediapipe take
LEAST_FILES = 32


class Command(Protocol):
    """What a module of a command has; importing it loads nothing that only its run needs."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what the command takes to its parser."""

    def run(self, given: argparse.Namespace) -> int:
        """Do what the parsed arguments say; returns the exit code."""


COMMANDS: Mapping[str, tuple[Command, str]] = {
    "animate": (animate, "make a talking-head video from a portrait and speech"),
    "demo": (demo, "make a video from the portrait and speech that come with the program"),
    "motion": (motion, "make the motion alone, to edit and render later"),
    "render": (render, "render a motion track on a portrait or a mesh"),
    "inspect": (inspect, "tell what made a video, from its metadata"),
    "evaluate": (evaluate, "measure how well lips follow speech in a video"),
    "evaluate-mesh": (evaluate_mesh, "measure a predicted motion of a mesh against the true one"),
    "engines": (engines, "list engines: what is ready, what is missing and how to get it"),
    "voices": (voices, "list the voices that can speak --text"),
    "models": (models, "list weight files: what is there, what is missing; download them"),
    "export": (export, "write a motion for other programs: glTF, meshes, vertices"),
    "train": (train, "train an engine's networks on a corpus of one's own"),
    "serve": (serve, "show the page in a browser, and offer the REST API"),
}


class _Parser(argparse.ArgumentParser):
    """Refuses a wrong command line in one sentence; the usage of all flags would bury it."""

    def error(self, message: str) -> NoReturn:
        sentence = message.removeprefix("argument ").replace(": must be ", " must be ", 1)
        told = errors.cleaned(f"sadtalker: {sentence}; {self.prog} --help tells more.")
        self.exit(USER_MISTAKE, f"{told}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """The base class keeps quiet where what was asked for cannot be printed."""
        with nullcontext() if file is sys.stdout else suppress(OSError):
            (file or sys.stderr).write(message or "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 2 for a user's mistake, 130 for a cancel."""
    with nullcontext() if interrupts.is_command() else interrupts.raising(), Written() as written:
        interrupts.says(lambda: _cancelled(written))
        try:
            code = _run(arguments)
        except SystemExit as left:  # by the parser, which has said why
            code = USER_MISTAKE if left.code else _flushed(written)
            interrupts.ends_with(code)
            raise SystemExit(code) from None
        except (Exception, KeyboardInterrupt) as error:
            code = _told(error, written)
    interrupts.ends_with(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    from .console import open_streams

    open_streams()
    if interrupts.is_command():
        faults.keep_terminal_brief()
    parser = build_parser()
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help()
        sys.stdout.flush()
        return 0
    _check_working_folder()
    if given.command not in LIGHT:
        _check_limits()
    run: Callable[[argparse.Namespace], int] = given.run
    with weights_from(getattr(given, "models_dir", None)):
        code = run(given)
    sys.stdout.flush()
    return code


def _told(error: BaseException, written: Written) -> int:
    """Say what went wrong, and what was written all the same; the exit code."""
    failure = errors.tell(error)
    sentence = failure.sentence
    if isinstance(error, KeyboardInterrupt):
        sentence = _cancelled(written)
    elif failure.kind == errors.FAULT:
        sentence = faults.report(error)
    if sentence and written.names and failure.kind != errors.CANCELLED:
        sentence += f" Written before that: {written.names}."
    if isinstance(error, OSError):
        _drop_output()
    if sentence:
        with suppress(OSError, ValueError):  # nobody hears it
            print(f"{interrupts.line_end()}sadtalker: {sentence}", file=sys.stderr, flush=True)
    return EXIT_CODES.get(failure.kind, 1)


def _cancelled(written: Written) -> str:
    names = written.names
    return f"Cancelled; written before that: {names}." if names else interrupts.SENTENCE


def _flushed(written: Written) -> int:
    """The exit code when all that was printed is out."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return _told(error, written)
    return 0


def _check_working_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:  # native libraries end the whole process there
        raise OutputError("The current folder does not exist any more; change into another one.") from error


def _check_limits() -> None:
    """Native libraries crash, never return, or blame something else where they get too little."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    memory, files = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE))
    if memory != resource.RLIM_INFINITY and memory < LEAST_MEMORY:
        few = f"Only {memory / 1e6:,.0f} MB of memory are allowed here, of {LEAST_MEMORY / 1e6:,.0f} needed"
        raise OutputError(f"{few}; raise the limit (ulimit -v).")
    if files != resource.RLIM_INFINITY and files < LEAST_FILES:
        few = f"Only {files} files may be open here, and {LEAST_FILES} are needed"
        raise OutputError(f"{few}; raise the limit (ulimit -n).")


def _drop_output() -> None:
    """Send what is still to be printed nowhere, so that the interpreter's end does not fail on it too."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="sadtalker",
        description="Turn one portrait and speech into a talking-head video.",
        epilog="sadtalker COMMAND --help tells more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"sadtalker {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    for name, (command, help) in COMMANDS.items():
        added = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        added.set_defaults(run=command.run)
        command.add_arguments(added)
    return parser
