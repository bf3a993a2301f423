"""Downloads that go on while a page does other things: started, watched and cancelled by id."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import Cancelled, SadTalkerError, Sentence
from ..host import CancelToken
from .catalog import Checkpoint
from .transfer import Transfer, download


@dataclass(frozen=True)
class Job:
    """One download as it stands. error: the sentence that ended it, or "". speed: bytes per second.

    cancelled: somebody asked it to stop; while it still runs, it is waiting for its server.
    """

    running: bool
    transfer: Transfer | None = None
    error: str = ""
    cancelled: bool = False
    speed: float = 0.0


class Downloads:
    """Downloads in threads of their own, at most one a checkpoint. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._tokens: dict[str, CancelToken] = {}

    def start(self, checkpoint: Checkpoint, models_dir: Path, *, allowed: bool = True) -> None:
        """Begin to fetch it, or resume what an earlier download left; does nothing when it runs already."""
        with self._lock:
            if self.job(checkpoint) is not None and self._jobs[checkpoint.id].running:
                return
            token = self._tokens[checkpoint.id] = CancelToken()
            self._jobs[checkpoint.id] = Job(running=True)
        arguments, name = (checkpoint, models_dir, token, allowed), f"download {checkpoint.file}"
        threading.Thread(target=self._run, args=arguments, name=name, daemon=True).start()

    def cancel(self, checkpoint: Checkpoint) -> None:
        """Stop it; what has arrived is kept for the next start."""
        with self._lock:
            job = self._jobs.get(checkpoint.id)
            if job is None or not job.running:
                return
            self._tokens[checkpoint.id].cancel()
            self._jobs[checkpoint.id] = replace(job, cancelled=True)

    def job(self, checkpoint: Checkpoint) -> Job | None:
        """How its latest download stands; None when none was started."""
        return self._jobs.get(checkpoint.id)

    @property
    def running(self) -> bool:
        """Whether any download is under way."""
        return any(job.running for job in list(self._jobs.values()))

    def _run(self, checkpoint: Checkpoint, models_dir: Path, token: CancelToken, allowed: bool) -> None:
        began: list[tuple[float, int]] = []

        def listen(transfer: Transfer) -> None:
            began.append((time.monotonic(), transfer.done))
            del began[1:-1]  # the first and the latest are enough for a mean
            seconds = began[-1][0] - began[0][0]
            speed = max(0.0, (began[-1][1] - began[0][1]) / seconds) if seconds > 0 else 0.0
            with self._lock:
                self._jobs[checkpoint.id] = Job(True, transfer, cancelled=token.cancelled, speed=speed)

        ended = Job(running=False)
        try:
            download(checkpoint, models_dir, listen, token, allowed=allowed)
        except Cancelled:
            ended = Job(running=False, cancelled=True)
        except SadTalkerError as error:
            ended = Job(running=False, error=error.sentence)
        except Exception as error:  # a thread of the host must not die with a traceback nobody sees
            ended = Job(running=False, error=Sentence("The download failed ({error}); try again.", error))
        with self._lock:
            self._jobs[checkpoint.id] = ended


DOWNLOADS = Downloads()  # of this process: pages that are opened later see them too
