"""What a user can do wrong, in one sentence each that says what to do, in the words of whoever shows it."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeAlias

# Kinds of failures, for whoever shows them.
MISTAKE, CANCELLED, GONE, FAULT = "mistake", "cancelled", "gone", "fault"
MEMORY, DEVICE_MEMORY, DISK_FULL, SYSTEM = "memory", "device_memory", "disk_full", "system"
OPEN_FILES, NO_SCRATCH = "open_files", "no_scratch"
NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
# What libraries say, in lower case, where they raise no `MemoryError`.
OUT_OF_MEMORY = (
    "can't allocate memory", "cannot allocate memory", "not enough memory", "insufficient memory",
    "bad_alloc", "bad allocation", "failed to map segment", "can't start new thread", "unable to allocate",
)  # fmt: skip
NO_FOLDER = "No usable temporary directory"  # how Python begins to say so

FOREIGN_CHARACTERS = 300  # of what another program says, in a sentence
SENTENCE_CHARACTERS = 2000  # of a sentence that is shown
JOINERS = "\u200c\u200d"  # the only invisible characters that writing needs


def cleaned(text: str, length: int = SENTENCE_CHARACTERS, *, lines: bool = False) -> str:
    """Text of anybody as it can be shown on a terminal or a page, in one line unless `lines`.

    Without control characters, marks that turn the direction of writing, and halves of characters; cut to
    `length` characters.
    """
    if not text.isprintable():
        text = "".join(_shown(character, lines) for character in text[: 4 * length])
    return text if len(text) <= length else text[: length - 1] + "…"


def _shown(character: str, lines: bool) -> str:
    if character in JOINERS or character.isprintable():
        return character
    if character in "\n\t" and lines:
        return character
    if character.isspace():  # line ends of every kind among them
        return " "
    return "\ufffd" if unicodedata.category(character) == "Cs" else ""


@dataclass(frozen=True)
class Named:
    """What every medium calls otherwise: a knob, or a phrase for something to do (`Words.phrases`).

    about: what the phrase is about; of a knob, what the command line shows behind its flag.
    """

    name: str
    about: str = ""


@dataclass(frozen=True)
class Place:
    """A path as it was given. called: what a folder is called where its place is not told."""

    path: str | os.PathLike[str]
    called: str = ""


class Foreign(str):
    """What a file, another program or a library says: it may hold names of folders, and anything else."""


Fact: TypeAlias = "str | Named | PurePath | Place | BaseException"


class Words:
    """What a medium calls things; here as the command line and the library do, and others override it.

    phrases: by `Named.name`, `{}` stands for what they are about. failures: by the kind of a failure (see
    `errors.tell`), instead of what the error itself says; with {type}, {reason}, {error} and {file}.
    """

    phrases: Mapping[str, str] = {
        "cancelled": "Cancelled",
        "another_name": "choose another name or allow overwriting it (--overwrite)",
        "as_drawn": "as drawn by --preview-face",
        "fetch": "fetch it with: sadtalker models download {}",
        "download": "sadtalker models download {}",
        "run": "run: {}",
        "five_points": "give five points with --points: left eye, right eye, nose tip, left and right mouth "
        "corner, as x,y pairs in pixels",
        "output_dir": "start again with another --output-dir",
        "frame_rate": "say how many frames a second it has (--track-fps)",
        "a_mesh_instead": "give a .ply, .obj or templates.pkl file in place of the picture, or none for a "
        "neutral head",
    }
    failures: Mapping[str, str] = {
        "memory": "Out of memory; use a smaller picture or close other programs.",
        "device_memory": "The graphics card is out of memory; use a smaller picture or close other programs.",
        "disk_full": "The system refused ({error}); free some space or use another place.",
        "system": "The system refused ({error}); free some space or use another place.",
        "open_files": "Too many files are open; allow more of them (ulimit -n) or close other programs.",
        "no_scratch": "No folder for temporary files can be written; free some space, or name another folder "
        "in the variable TMPDIR.",
        "gone": "",
        "fault": "Something went wrong that should not ({type}: {error}).",
    }

    def __init__(self, fault: str = "") -> None:
        """fault: what a failure that nobody foresaw is called, in place of `failures["fault"]`."""
        if fault:
            self.failures = {**self.failures, "fault": fault}

    def knob(self, knob: Named) -> str:
        return f"--{knob.name.replace('_', '-')} {knob.about}".rstrip()

    def place(self, place: Place) -> str:
        return os.fspath(place.path)

    def foreign(self, said: str) -> str:
        return said

    def reason(self, error: BaseException) -> str:
        """Why something failed, in a phrase without a full stop; the system's reasons without the file."""
        if isinstance(error, SadTalkerError):
            return error.worded(self).rstrip(".")
        said = getattr(error, "strerror", None) or self.foreign(str(error) or type(error).__name__)
        return cleaned(said, FOREIGN_CHARACTERS)

    def fact(self, value: object) -> object:
        """What stands in a sentence for something it is about; numbers and texts as they are."""
        if isinstance(value, Named):
            phrase = self.phrases.get(value.name)
            return self.knob(value) if phrase is None else phrase.format(value.about)
        if isinstance(value, Sentence):
            return value.worded(self).rstrip(".")
        if isinstance(value, Foreign):
            return cleaned(self.foreign(value), FOREIGN_CHARACTERS)
        if isinstance(value, PurePath):
            return self.place(Place(value))
        if isinstance(value, Place):
            return self.place(value)
        return self.reason(value) if isinstance(value, BaseException) else value


COMMAND_LINE = Words()


class Sentence(str):
    """A sentence with facts in it; as text it is the command line's, `worded` gives it to other media.

    text: with facts a template of `str.format`, which names them; without, it is taken literally. facts: a
    `Named`, a path or `Place`, an exception, what is `Foreign`, another sentence (which is put in without its
    full stop), or a value. Of those without a name, a text is a `Named` of that name and stands there; the
    others stand at {path}, {error} and {reason}.
    """

    template: str
    facts: Mapping[str, object]

    def __new__(cls, text: str, /, *unnamed: Fact, **facts: object) -> Sentence:
        facts |= (_with_name(fact, text) for fact in unnamed)
        made = super().__new__(cls, _filled(text, facts, COMMAND_LINE))
        made.template, made.facts = text, facts
        return made

    def __reduce__(self) -> tuple[type[Sentence], tuple[str]]:
        return Sentence, (str(self),)  # for another process the text suffices: facts can be anything

    def worded(self, words: Words) -> str:
        return _filled(self.template, self.facts, words)

    @property
    def knobs(self) -> tuple[str, ...]:
        """Names of the knobs it is about."""
        found: list[str] = []
        for fact in self.facts.values():
            if isinstance(fact, (Sentence, SadTalkerError)):
                found += fact.knobs
            elif isinstance(fact, Named) and fact.name not in Words.phrases:
                found.append(fact.name)
        return tuple(dict.fromkeys(found))


def _with_name(fact: Fact, text: str) -> tuple[str, object]:
    if isinstance(fact, BaseException):
        return "error", fact
    if isinstance(fact, Foreign):
        return "reason", fact
    if isinstance(fact, str):  # of a path as a text the sentence has no such name in it
        return (fact, Named(fact)) if f"{{{fact}}}" in text else ("path", Place(fact))
    return (fact.name, fact) if isinstance(fact, Named) else ("path", fact)


def _filled(template: str, facts: Mapping[str, object], words: Words) -> str:
    if not facts:
        return str(template)
    return template.format_map({name: words.fact(value) for name, value in facts.items()})


def joined(parts: Iterable[object], by: str) -> Sentence:
    """Sentences and phrases in one; as a part of another sentence its last has no full stop."""
    facts: dict[str, object] = {f"part{number}": part for number, part in enumerate(parts)}
    return Sentence(by.join(f"{{{name}}}" for name in facts), **facts)


def worded(text: str, words: Words) -> str:
    """A sentence, or a text that is the same everywhere, in a medium's words, fit to be shown."""
    return cleaned(text.worded(words) if isinstance(text, Sentence) else text)


class SadTalkerError(Exception):
    """Base of every error a user can act on; `str(error)` is the sentence to show on a command line.

    text, unnamed, facts: of a `Sentence`, or that itself.
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
        text = text or Sentence("{cancelled}; nothing was written.", "cancelled")
        super().__init__(text, *unnamed, **facts)


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
        return Failure(kind, cleaned(error.worded(words)))
    name = getattr(error, "filename", None)
    file = f" ({Path(name).name})" if isinstance(name, (str, Path)) else ""
    facts = {"type": type(error).__name__, "reason": words.reason(error), "error": error, "file": file}
    return Failure(kind, cleaned((template or "").format_map(facts)))


def _kind(error: BaseException) -> str:
    if isinstance(error, SadTalkerError):
        return CANCELLED if isinstance(error, Cancelled) else MISTAKE
    if isinstance(error, BrokenPipeError):  # whoever read what was written has gone: not worth a word
        return GONE
    if type(error).__name__ == "OutOfMemoryError":  # torch's, for the device
        return DEVICE_MEMORY
    if isinstance(error, MemoryError) or _lacks_memory(error):
        return MEMORY
    if isinstance(error, OSError):
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return OPEN_FILES
        if str(error.strerror).startswith(NO_FOLDER):
            return NO_SCRATCH
        return DISK_FULL if error.errno in NO_SPACE else SYSTEM
    return FAULT


def is_shortage(error: BaseException) -> bool:
    """Whether memory or open files have run out, which is about nothing that was given."""
    return _kind(error) in (MEMORY, DEVICE_MEMORY, OPEN_FILES)


def _lacks_memory(error: BaseException) -> bool:
    """Whether a library says so in words; OpenCV's own class is called `error`."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    kind = isinstance(error, (RuntimeError, ImportError, OSError)) or type(error).__name__ == "error"
    return kind and any(phrase in str(error).lower() for phrase in OUT_OF_MEMORY)
