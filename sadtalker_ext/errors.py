"""What a user can do wrong, in one sentence each that says what to do about it, whoever shows it."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from .wording import COMMAND_LINE, Fact, Sentence, Words

# Kinds of failures, for whoever shows them.
MISTAKE, CANCELLED, GONE, FAULT = "mistake", "cancelled", "gone", "fault"
MEMORY, DEVICE_MEMORY, DISK_FULL, SYSTEM = "memory", "device_memory", "disk_full", "system"
NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class SadTalkerError(Exception):
    """Base of every error a user can act on; `str(error)` is the sentence to show on a command line.

    text, unnamed, facts: of a `wording.Sentence`, or that itself.
    """

    def __init__(self, text: str = "", /, *unnamed: Fact, **facts: object) -> None:
        self.sentence = text if isinstance(text, Sentence) else Sentence(text, *unnamed, **facts)
        super().__init__(self.sentence)

    @property
    def knobs(self) -> tuple[str, ...]:
        """Names of the knobs that it is about."""
        return self.sentence.knobs

    def worded(self, words: Words) -> str:
        """The sentence as a medium tells it."""
        return self.sentence.worded(words)


class AudioError(SadTalkerError):
    """The speech cannot be used: missing, unreadable, empty, too short, or without sound."""


class PictureError(SadTalkerError):
    """The portrait cannot be used: missing, unreadable, too small, or of an impossible shape."""


class FaceNotFoundError(PictureError):
    """No face (or not the one asked for) was found in the picture."""


class VideoError(SadTalkerError):
    """A video cannot be read, probed or tracked."""


class OutputError(SadTalkerError):
    """The result cannot be written: exists, unwritable, disk full, or an unknown extension."""


class OptionsError(SadTalkerError):
    """An option is out of range, of the wrong type, or contradicts another."""


class TrackError(SadTalkerError):
    """A motion track is unreadable, empty, or lives in another motion space."""


class MeshError(SadTalkerError):
    """A mesh, a template or a region of one cannot be used: unreadable, damaged, or of another shape."""


class EngineError(SadTalkerError):
    """An engine is unknown or something that it needs is missing."""


class WeightsError(EngineError):
    """A weight file is missing, damaged, or not what it claims to be."""


class DependencyError(EngineError):
    """An optional package is needed for what was asked and is not installed."""


class TrainingError(SadTalkerError):
    """A corpus cannot be trained on, or a training run cannot start, go on or be resumed."""


class Cancelled(SadTalkerError):
    """The run was cancelled; nothing was written."""

    def __init__(self, text: str = "", /, *unnamed: Fact, **facts: object) -> None:
        """text: "" says just that."""
        super().__init__(
            text or Sentence("{cancelled}; nothing was written.", "cancelled"), *unnamed, **facts
        )


@dataclass(frozen=True)
class Failure:
    """A failure as a medium tells it. kind: one of those above; what nobody foresaw is a `FAULT`."""

    kind: str
    sentence: str


def tell(error: BaseException, words: Words = COMMAND_LINE) -> Failure:
    """Any exception as a sentence in a medium's words, and of which kind it is."""
    if isinstance(error, KeyboardInterrupt):
        error = Cancelled()
    kind = _kind(error)
    template = words.failures.get(kind)
    if template is None and isinstance(error, SadTalkerError):
        return Failure(kind, error.worded(words))
    name = getattr(error, "filename", None)
    file = f" ({Path(name).name})" if isinstance(name, (str, Path)) else ""
    facts = {"type": type(error).__name__, "reason": words.reason(error), "error": error, "file": file}
    return Failure(kind, (template or "").format_map(facts))


def _kind(error: BaseException) -> str:
    if isinstance(error, SadTalkerError):
        return CANCELLED if isinstance(error, Cancelled) else MISTAKE
    if isinstance(error, BrokenPipeError):  # whoever read what was written has gone: not worth a word
        return GONE
    if isinstance(error, MemoryError):
        return MEMORY
    if type(error).__name__ == "OutOfMemoryError":  # torch's, for the device
        return DEVICE_MEMORY
    if isinstance(error, OSError):
        return DISK_FULL if error.errno in NO_SPACE else SYSTEM
    return FAULT
