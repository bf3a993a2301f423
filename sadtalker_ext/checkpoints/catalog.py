"""The table of weight files: what each is for, how it is recognised, and where its author publishes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..errors import WeightsError

MODELS, TORCH_HUB = "models", "torch hub"  # kinds of folder a file belongs in
MOST_BYTES = 1 << 30  # of a file whose size nobody states


@dataclass(frozen=True)
class Checkpoint:
    """One weight file.

    id: a short name for commands. file: its name on disk. engine: which engine reads it. use: what for.
    page: where a person finds it. size: bytes, as published; None when not known. about: bytes, roughly,
    where size is not known. sha256: as published, in hex, or its leading digits; "" when not known.
    urls: where it can be fetched without an account, best first. folder: `MODELS` or `TORCH_HUB`.
    optional: the engine runs without it. signature: some of its tensors with their shapes, by which it is
    recognised. twin_tag: what the name has where tensors are equal. subfolders: where else it may lie.
    pair: of what it is one of two files; an engine with pairs needs both files of any one of them.
    """

    id: str
    file: str
    engine: str
    use: str
    page: str
    licence: str
    size: int | None = None
    about: int | None = None
    sha256: str = ""
    urls: tuple[str, ...] = ()
    folder: str = MODELS
    optional: bool = False
    signature: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    twin_tag: str = ""
    subfolders: tuple[str, ...] = ()
    pair: str = ""

    @property
    def bytes_to_expect(self) -> int | None:
        """Its size for people: exact where that is known, else rough; None when nobody knows."""
        return self.size or self.about

    @property
    def most_bytes(self) -> int:
        """Above this it is not the file, whatever a server says."""
        return self.size or (2 * self.about if self.about else MOST_BYTES)


def _alignment(name: str, file: str, use: str, sha256: str, size: int | None = None) -> Checkpoint:
    page = f"https://www.adrianbulat.com/downloads/python-fan/{file}"
    licence = (
        "the package face-alignment is BSD-3-Clause; its author states no separate terms for the weights"
    )
    made = Checkpoint(f"face-alignment-{name}", file, "instant", use, page, licence, size, sha256=sha256)
    return replace(made, urls=(page,), folder=TORCH_HUB, optional=True)


# Of what no single engine has for itself; those of the engines come before them.
_SHARED: tuple[Checkpoint, ...] = (
    _alignment(
        "detector",
        "s3fd-619a316812.pth",
        "where the faces are, for the detector face-alignment",
        "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
        size=89_843_225,
    ),
    _alignment(
        "points",
        "2DFAN4-11f355bf06.pth.tar",
        "68 points of a face, for the detector face-alignment (release 1.5)",
        "11f355bf06",  # the leading digits, which its author puts into the name
    ),
)
CATALOG: list[Checkpoint] = [*_SHARED]


def hand_in(weights: Iterable[Checkpoint]) -> None:
    """Add an engine's weight files to the catalogue."""
    end = len(CATALOG) - len(_SHARED)
    CATALOG[end:end] = weights


def by_name(name: str) -> Checkpoint:
    """The checkpoint of that id or file name; `WeightsError` names the known ones."""
    found = next((checkpoint for checkpoint in CATALOG if name in (checkpoint.id, checkpoint.file)), None)
    if found is None:
        raise WeightsError(f"Unknown model {name!r}; known models: {known_names()}.")
    return found


def known_names() -> str:
    return ", ".join(checkpoint.id for checkpoint in CATALOG)


def by_engine(checkpoints: Iterable[Checkpoint], known: Collection[str]) -> dict[str, list[Checkpoint]]:
    """The files of each engine, in alphabetical order; those of the `known` engines come first."""
    files: dict[str, list[Checkpoint]] = {}
    for checkpoint in sorted(checkpoints, key=lambda one: (one.engine not in known, one.engine)):
        files.setdefault(checkpoint.engine, []).append(checkpoint)
    return files


def pairs(checkpoints: Iterable[Checkpoint]) -> list[str]:
    """What these files come in pairs for, any one of which their engine needs; or nothing."""
    return list(dict.fromkeys(checkpoint.pair for checkpoint in checkpoints if checkpoint.pair))
