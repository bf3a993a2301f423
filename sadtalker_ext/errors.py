"""What a user can do wrong, in one sentence each that says what to do about it."""

from __future__ import annotations


class SadTalkerError(Exception):
    """Base of every error a user can act on; `str(error)` is the sentence to show."""

    exit_code = 2


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

    exit_code = 130

    def __init__(self, message: str = "Cancelled; nothing was written.") -> None:
        super().__init__(message)
