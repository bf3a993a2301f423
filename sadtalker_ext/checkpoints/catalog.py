"""The table of weight files: what each is for, how it is recognised, and where its author publishes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..errors import WeightsError

MODELS, TORCH_HUB = "models", "torch hub"  # kinds of folder a file belongs in

_ALIGNMENT = "https://www.adrianbulat.com/downloads/python-fan/"
_ALIGNMENT_LICENCE = (
    "the package face-alignment is BSD-3-Clause; its author states no separate terms for the weights"
)


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


# Of what no single engine has for itself; those of the engines come before them.
_SHARED: tuple[Checkpoint, ...] = (
    Checkpoint(
        id="face-alignment-detector",
        file="s3fd-619a316812.pth",
        engine="instant",
        use="where the faces are, for the detector face-alignment",
        page=_ALIGNMENT + "s3fd-619a316812.pth",
        licence=_ALIGNMENT_LICENCE,
        size=89_843_225,
        sha256="619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
        urls=(_ALIGNMENT + "s3fd-619a316812.pth",),
        folder=TORCH_HUB,
        optional=True,
    ),
    Checkpoint(
        id="face-alignment-points",
        file="2DFAN4-11f355bf06.pth.tar",
        engine="instant",
        use="68 points of a face, for the detector face-alignment (release 1.5)",
        page=_ALIGNMENT + "2DFAN4-11f355bf06.pth.tar",
        licence=_ALIGNMENT_LICENCE,
        sha256="11f355bf06",  # the leading digits, which its author puts into the name
        urls=(_ALIGNMENT + "2DFAN4-11f355bf06.pth.tar",),
        folder=TORCH_HUB,
        optional=True,
    ),
)
CATALOG: list[Checkpoint] = [*_SHARED]


def hand_in(weights: Iterable[Checkpoint]) -> None:
    """Add an engine's weight files to the catalogue."""
    end = len(CATALOG) - len(_SHARED)
    CATALOG[end:end] = weights


def by_name(name: str) -> Checkpoint:
    """The checkpoint of that id or file name; `WeightsError` names the known ones."""
    for checkpoint in CATALOG:
        if name in (checkpoint.id, checkpoint.file):
            return checkpoint
    known = ", ".join(checkpoint.id for checkpoint in CATALOG)
    raise WeightsError(f"Unknown model {name!r}; known models: {known}.")


def by_engine(checkpoints: Iterable[Checkpoint], known: Collection[str]) -> dict[str, list[Checkpoint]]:
    """The files of each engine, in alphabetical order; those of the `known` engines come first."""
    files: dict[str, list[Checkpoint]] = {}
    for checkpoint in sorted(checkpoints, key=lambda one: (one.engine not in known, one.engine)):
        files.setdefault(checkpoint.engine, []).append(checkpoint)
    return files


def pairs(checkpoints: Iterable[Checkpoint]) -> list[str]:
    """What these files come in pairs for, any one of which their engine needs; or nothing."""
    return list(dict.fromkeys(checkpoint.pair for checkpoint in checkpoints if checkpoint.pair))
