"""Ctrl-C and its kin, at any moment of a command, into one sentence and the exit code 130.

A process that is nothing but our command (`begin`) ends in the handler itself: an exception could be lost in
a library's import or in a destructor, and half of a clean-up is none. Programs that call us get an exception.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType
    from typing import Any, NoReturn

EXIT_CODE = 130
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows lacks the third and alone has the last
STUCK_SECONDS = 5.0  # after which a library that does not let Python's handlers run is not waited for
# After as many more neither is a step that must not be torn apart, or the clean-up: network disks are slow.
HELD_SECONDS, LOOK_SECONDS = 120.0, 0.05
IMPATIENT = 3  # as many signals end the process without waiting for the clean-up
COMMAND_NAMES = ("sadtalker", "sadtalker.exe", "sadtalker-script.py")
SENTENCE = "Cancelled; nothing was written."

_command = False  # whether this process is nothing but our command
_process = 0  # its number: what it forks has its handlers, but not its programs and files
_raising = 0  # how many blocks want an exception
_held = 0  # how many blocks must not be torn apart
_waiting = False  # a signal came in such a block
_number = int(signal.SIGINT)  # which came last
_heard = 0
_leaving = False
_code: int | None = None  # with which the process is to end
_main = _thread.get_ident()  # of a command: it imports us first of all
_lock = _thread.allocate_lock()
_undo: list[Callable[[], object]] = []
_sentence: list[Callable[[], str]] = []
line_is_open = False  # a bar stands on the terminal's line
error_descriptor = 2  # where standard error really goes while somebody holds it back


def begin() -> None:
    """Where this process is our command: from here to its very end, a signal makes it say so and end."""
    global _command, _process
    if _command or not _is_command():
        return
    _process = os.getpid()
    for number in _numbers():
        # An ignored signal stays ignored: that is how nohup lets a run outlive its terminal.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            try:
                signal.signal(number, _handle)
            except (ValueError, OSError):  # handlers can be set in the main thread only
                return
    _command = True
    _watch()
    atexit.register(_end)  # the first to be registered is the last to be called


def is_command() -> bool:
    """Whether this process is nothing but our command, so that signals end it at once."""
    return _command


def ends_with(code: int) -> None:
    """With which exit code the command is to end, when all that is to be done at the end is done."""
    global _code
    _code = code


def undoes(undo: Callable[[], object]) -> None:
    """Have something called before a signal ends the process; again and again is once."""
    if undo not in _undo:
        _undo.append(undo)


def says(sentence: Callable[[], str]) -> None:
    """Have this asked for the sentence of a cancelled command."""
    _sentence[:] = [sentence]


class raising:  # noqa: N801 - used like a function
    """Within it, signals raise `KeyboardInterrupt`: where something ends by itself, or a program calls us."""

    def __enter__(self) -> None:
        global _raising
        self._before: dict[int, Any] = {}
        if not _command:
            for number in _numbers():
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._before[number] = signal.SIG_DFL
                    try:
                        signal.signal(number, _raise)
                    except ValueError:
                        del self._before[number]
        _raising += 1

    def __exit__(self, *error: object) -> None:
        global _raising
        _raising -= 1
        for number, handler in self._before.items():
            signal.signal(number, handler)


class held:  # noqa: N801 - used like a function
    """Within it signals wait: a step and what undoes it are not torn apart. For moments only."""

    def __enter__(self) -> None:
        global _held
        self._before: dict[int, Any] = {}
        self._noted: list[int] = []
        if _command:
            with _lock:
                _held += 1
        elif _in_main_thread():
            try:
                for number in _numbers():
                    handler = signal.getsignal(number)
                    if callable(handler):
                        self._before[number] = handler
                        signal.signal(number, lambda number, frame: self._noted.append(number))
            except BaseException:
                self._restore()
                raise

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _held
        if _command:
            with _lock:
                _held -= 1
            if _waiting and not _held:
                _act()
            return
        self._restore()
        for number in dict.fromkeys(self._noted):
            self._before[number](number, None)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def printed(text: str) -> None:
    """One line on standard error, past its buffer, which may be in use; a closed one swallows it."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    try:
        os.write(error_descriptor, f"{line_end()}sadtalker: {text}\n".encode(encoding, "replace"))
    except (OSError, LookupError):
        return


def line_end() -> str:
    """What has to come before a line of its own: terminals show the ^C that was typed."""
    try:
        return "\n" if line_is_open or (_heard and os.isatty(error_descriptor)) else ""
    except OSError:
        return ""


def _is_command() -> bool:
    """Whether `python -m sadtalker_ext` or the script that pip makes for it is being started."""
    name = sys.argv[0] if getattr(sys, "argv", None) else ""
    if name != "-m":  # which stands there while the package of a module to be run is looked up
        return os.path.basename(name).lower() in COMMAND_NAMES
    package, words = __name__.partition(".")[0], sys.orig_argv
    return any(
        word.startswith("-") and (word[1:] + following).partition("m")[2].partition(".")[0] == package
        for word, following in zip(words, [*words[1:], ""], strict=True)
    )


def _watch() -> None:
    """Have a thread end the process where its main thread is stuck in a library when a signal comes."""
    try:
        heard, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        _thread.start_new_thread(_wait_for_main, (heard,))
        if hasattr(os, "register_at_fork"):  # a signal to what is forked is none to us
            os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    except (OSError, ValueError, RuntimeError, AttributeError):  # without it, handlers alone have to do
        return


def _wait_for_main(heard: int) -> None:
    while number := os.read(heard, 1):
        if not _is_ours(number[0]):  # such as that of a training, which takes its time
            continue
        time.sleep(STUCK_SECONDS)
        end = time.monotonic() + HELD_SECONDS
        while (_held or _leaving) and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
        if _is_ours(number[0]):
            _leave()


def _is_ours(number: int) -> bool:
    return not _raising and number in _numbers() and signal.getsignal(number) is _handle


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def _numbers() -> Iterator[int]:
    return (int(getattr(signal, name)) for name in NAMES if hasattr(signal, name))


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _handle(number: int, frame: FrameType | None) -> None:
    global _heard, _number, _waiting
    _leave_fork(EXIT_CODE)
    _heard, _number = _heard + 1, number
    if _held and _heard < IMPATIENT:
        _waiting = True
        return
    _act()


def _act() -> None:
    global _waiting, _heard
    _leave_fork(EXIT_CODE)
    _waiting = False
    if not _raising:
        _leave()
    _heard = 0
    if _thread.get_ident() != _main:  # it has only held the signal up
        _pass_on(_number)
        return
    raise KeyboardInterrupt


def _pass_on(number: int) -> None:
    """The same signal to the main thread; another one may be ignored."""
    if hasattr(signal, "pthread_kill"):  # which also wakes it where it sleeps
        signal.pthread_kill(_main, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


def _leave_fork(code: int) -> None:
    """End at once where this is only a copy of our command: what would be cleaned up is not its own."""
    if os.getpid() != _process:
        os._exit(code)


def _leave() -> None:
    global _leaving
    if _leaving:  # a second signal is the same wish
        if _heard >= IMPATIENT or _thread.get_ident() != _main:
            os._exit(EXIT_CODE)
        return
    _leaving = True
    try:
        printed(_sentence[0]() if _sentence else SENTENCE)
        _clean()
    finally:
        os._exit(EXIT_CODE)


def _clean() -> None:
    for undo in reversed(_undo):
        try:
            undo()
        except Exception:  # noqa: S112, PERF203 - the next one may succeed
            continue


def _end() -> None:
    """End without taking the interpreter apart: while that goes on, a signal would find no handler."""
    if _code is None:
        return
    _leave_fork(_code)
    _clean()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # noqa: PERF203
            continue
    os._exit(_code)
