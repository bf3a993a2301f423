"""A place in a host's queue, and a call that a user can leave: nobody waits for what cannot be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

from ..errors import Cancelled
from ..host import CancelToken
from ..request import Result

T = TypeVar("T")

LOOK_SECONDS = 0.1  # between looks at whether a task was cancelled
GRACE_SECONDS = 0.6  # for a cancelled call to end by itself; with a look, well below a second


def take_turn(lock: Any, cancelled: Callable[[], bool], turn: ExitStack) -> None:
    """Take a host's lock, to be released by `turn`; raises `Cancelled` at once when that happens meanwhile.

    Neither kind of host's lock can be waited for with a timeout, so a thread waits in our place.
    """
    if lock.acquire(False):
        turn.callback(lock.release)
    else:
        guard, taken, given_up = threading.Lock(), threading.Event(), threading.Event()

        def take() -> None:
            lock.acquire()
            with guard:
                if given_up.is_set():
                    lock.release()
                else:
                    taken.set()

        threading.Thread(target=take, name="sadtalker-queue", daemon=True).start()
        try:
            while not taken.wait(LOOK_SECONDS):
                if cancelled():
                    raise Cancelled
        finally:
            with guard:
                given_up.set()
                if taken.is_set():
                    turn.callback(lock.release)
    if cancelled():
        raise Cancelled


def call(work: Callable[[], T], token: CancelToken) -> T:
    """What `work()` returns or raises, in a thread of its own without gradients.

    Work that looks at `token` ends by itself. Where it cannot look, as while libraries are loaded for the
    first time, it is left behind after a moment: it ends when it looks next, and a video that it still makes
    is removed.
    """
    guard, ended, left = threading.Lock(), threading.Event(), threading.Event()
    outcome: list[tuple[T | None, BaseException | None]] = []

    def run() -> None:
        made: T | None = None
        error: BaseException | None = None
        try:
            made = _without_gradients(work)
        except BaseException as raised:  # to be raised in the thread of the caller
            error = raised
        with guard:
            if left.is_set() and isinstance(made, Result):
                made.path.unlink(missing_ok=True)
            outcome.append((made, error))
            ended.set()

    threading.Thread(target=run, name="sadtalker-run", daemon=True).start()
    try:
        while not ended.wait(LOOK_SECONDS):
            if token.cancelled:
                token.cancel()  # what cancelled it may be taken back before the work looks
                ended.wait(GRACE_SECONDS)
                break
    finally:
        with guard:
            if not ended.is_set():
                token.cancel()
                left.set()
    if left.is_set():
        raise Cancelled
    made, error = outcome[0]
    if error is not None:
        raise error
    return made  # type: ignore[return-value]  # as above


def _without_gradients(work: Callable[[], T]) -> T:
    import torch

    with torch.no_grad():
        return work()
