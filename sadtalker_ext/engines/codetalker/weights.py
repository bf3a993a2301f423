"""CodeTalker's weight files into pairs of stages that belong together: found, told apart and checked."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...checkpoints.catalog import by_name
from ...checkpoints.contents import WRONG, Fault, unreadable
from ...checkpoints.places import bases
from ...checkpoints.state import LOOKED_AT, SUFFIXES, contents_of
from ...checkpoints.tensors import read_tensors
from ...errors import Place, Sentence, WeightsError
from .catalog import PAGE

if TYPE_CHECKING:
    import torch

# Vertices of the published topologies, and the frame rate of their corpora.
TOPOLOGIES: Mapping[int, tuple[str, float]] = MappingProxyType(
    {5023: ("vocaset", 30.0), 23370: ("biwi", 25.0)}
)
OTHER_FPS = 30.0  # of a topology of one's own, where the file does not tell
FOLDERS = 100  # of a folder that are looked into

_PUBLISHED = tuple(name for name, _ in TOPOLOGIES.values())
_SHARED = ("codetalker", "checkpoints", "model", "models")  # folders whose names say nothing of their files
_NAME = re.compile(r"(?:(?P<name>.+?)[-_. ]*)??(?:stage|(?<=[-_. ])s)[-_]?(?P<number>[12])", re.IGNORECASE)
_MAPPING, _BOOK = "encoder.vertice_mapping.0.weight", "quantize.embedding.weight"
_REVERSE, _INNER = "decoder.vertice_map_reverse.weight", "encoder.encoder_linear_embedding.net.weight"
_POST = "encoder.encoder_linear_embedding_post.net.weight"
_FEEDBACK, _FEATURES, _STYLES = "vertice_map.weight", "feat_map.weight", "learnable_style_emb.weight"
_POSITIONS = "PPE.pe"  # sines and cosines that repeat with the frame rate
_FIRST = (_MAPPING, _BOOK, _REVERSE, _INNER)  # by these a file is known for a stage 1, by those for a stage 2
_SECOND = (_FEEDBACK, _FEATURES, _STYLES, "audio_feature_map.weight")
_DROPPED = ("autoencoder.", "encoder.encoder_pos_embedding.", "decoder.decoder_pos_embedding.")


@dataclass(frozen=True)
class Stage:
    """What the headers of a file tell. number: 1 or 2. prefix: what its tensors' names begin with.

    width: numbers that describe a frame between the stages. code: numbers in one code, and styles: how many
    manners of speaking; 0 where the other stage has them.
    """

    path: Path
    number: int
    prefix: str
    vertices: int
    width: int
    code: int = 0
    styles: int = 0


@dataclass(frozen=True, eq=False)
class Pair:
    """Both stages of a face model. fps: frames per second of its motion. vertices: of its topology.

    slots: codes a frame. styles: manners of speaking. stage1, stage2: state dicts by the published names,
    memory-mapped, without tables that follow from a formula. files: where they come from.
    """

    name: str
    stage1: Mapping[str, torch.Tensor]
    stage2: Mapping[str, torch.Tensor]
    fps: float
    vertices: int
    slots: int
    styles: int
    files: tuple[Path, Path]


@dataclass
class _Found:
    """What there is of one face model."""

    stages: dict[int, list[Stage]] = field(default_factory=lambda: {1: [], 2: []})
    faults: list[tuple[Path, Fault]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Stage]:
        return (stage for number in (1, 2) for stage in self.stages[number])

    @property
    def best(self) -> tuple[Stage, Stage] | None:
        """Two stages that fit, of one folder if possible; else any two, None where one is missing."""
        pairs = [(first, second) for first in self.stages[1] for second in self.stages[2]]
        pairs.sort(key=lambda pair: (bool(_misfit(*pair)), pair[0].path.parent != pair[1].path.parent))
        return pairs[0] if pairs else None


def available(models_dir: Path) -> tuple[str, ...]:
    """The names of `stages`."""
    return tuple(stages(models_dir))


def stages(models_dir: Path) -> dict[str, tuple[Stage, Stage]]:
    """The face models of which both stages are there and fit: `vocaset`, `biwi`, then those of one's own.

    Reads headers only. A model has its name from its files, NAME_stage1 and NAME_stage2, or from the folder
    they are in; files with other names are known by their topology.
    """
    pairs = {name: found.best for name, found in _search(models_dir).items()}
    order = sorted(pairs, key=lambda name: (name not in _PUBLISHED, name != _PUBLISHED[0], name))
    return {name: best for name in order if (best := pairs[name]) is not None and not _misfit(*best)}


def problems(models_dir: Path) -> tuple[str, ...]:
    """A sentence for each face model of which something is there, but not what it needs."""
    found = sorted(_search(models_dir).items())
    return tuple(trouble for name, files in found if (trouble := _trouble(name, files, models_dir)))


def load_pair(models_dir: Path, name: str) -> Pair:
    """Both stages of the face model of that name; `WeightsError` says what is missing or does not fit."""
    found = _search(models_dir).get(name.lower())
    if found is None:
        there = ", ".join(available(models_dir)) or "none"
        raise WeightsError(
            "There is no face model {name!r} (there is: {there}); fetch vocaset_stage1.pth.tar and "
            "vocaset_stage2.pth.tar, or those of biwi, from {page} into {path}.",
            Place(models_dir, "the folder for models"),
            name=name,
            there=there,
            page=PAGE,
        )
    trouble = _trouble(name, found, models_dir)
    best = found.best
    if trouble or best is None:
        raise WeightsError(trouble)
    first, second = best
    stage2 = _state(second)
    positions = stage2.get(_POSITIONS)
    known = TOPOLOGIES.get(first.vertices, ("", OTHER_FPS))[1]
    return Pair(
        name=name.lower(),
        stage1=_state(first),
        stage2=stage2,
        fps=known if positions is None else _period(positions, known),
        vertices=first.vertices,
        slots=first.width // first.code,
        styles=second.styles,
        files=(first.path, second.path),
    )


def recognise(path: Path) -> Stage | None:
    """Which stage a file holds, by names and shapes of its tensors; None for another kind of file.

    Raises `Fault` for a file that cannot be used, and `OSError`.
    """
    tensors = contents_of(path).tensors
    for number, names in ((1, _FIRST), (2, _SECOND)):
        for prefix in _prefixes(tensors, names[0]):
            shapes = {name: tensors.get(prefix + name, ()) for name in (*names, _POST)}
            if all(len(shapes[name]) == 2 for name in names):
                return _first(path, prefix, shapes) if number == 1 else _second(path, prefix, shapes)
    return None


def _prefixes(tensors: Mapping[str, tuple[int, ...]], name: str) -> Iterator[str]:
    """What stands before that name: nothing, `state_dict.`, `module.` and the like."""
    for found in tensors:
        prefix = found.removesuffix(name)
        if prefix != found and (not prefix or prefix.endswith(".")) and "autoencoder." not in prefix:
            yield prefix


def _first(path: Path, prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> Stage:
    outputs, code = shapes[_REVERSE][0], shapes[_BOOK][1]
    width = (shapes[_POST] or shapes[_INNER])[0]
    if shapes[_MAPPING][1] != outputs or outputs == 0 or outputs % 3 or code == 0 or width % code:
        raise Fault(WRONG, "is no stage 1 that works: its tensors do not fit each other")
    return Stage(path, 1, prefix, outputs // 3, width, code=code)


def _second(path: Path, prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> Stage:
    inner, inputs = shapes[_FEEDBACK]
    if inputs == 0 or inputs % 3 or shapes[_FEATURES][1] != inner or shapes[_STYLES][1] != inner:
        raise Fault(WRONG, "is no stage 2 that works: its tensors do not fit each other")
    return Stage(path, 2, prefix, inputs // 3, shapes[_FEATURES][0], styles=shapes[_STYLES][0])


def _search(models_dir: Path) -> dict[str, _Found]:
    """Everything that lies in the places, by the name of the face model."""
    groups: dict[str, _Found] = defaultdict(_Found)
    for path, shared in _files(models_dir):
        label, number = _label(path, shared)
        try:
            stage = recognise(path)
        except Fault as error:
            stage, fault = None, error
        except (OSError, MemoryError) as error:
            stage, fault = None, unreadable(error)
        else:
            fault = Fault(WRONG, "holds other weights than those of CodeTalker")
        if stage is not None:
            groups[label or _topology(stage)].stages[stage.number].append(stage)
        elif label and number and (fault.state != WRONG or label in _PUBLISHED):
            groups[label].faults.append((path, fault))  # by its name it belongs here, so it is worth a word
    _join_halves(groups)
    return dict(groups)


def _join_halves(groups: dict[str, _Found]) -> None:
    """Two stages that are alone under their names, but fit, become a face model named after its topology."""
    halves = [(name, stage) for name, found in groups.items() if found.best is None for stage in found]
    for (name, stage), (other, partner) in combinations(halves, 2):
        if stage.number == partner.number or not {name, other} <= set(groups):
            continue
        first, second = sorted((stage, partner), key=lambda stage: stage.number)
        topology = _topology(first)
        if not _misfit(first, second) and (topology in (name, other) or topology not in groups):
            del groups[name], groups[other]
            groups[topology] = _Found({1: [first], 2: [second]})


def _topology(stage: Stage) -> str:
    return TOPOLOGIES.get(stage.vertices, (f"mesh{stage.vertices}", OTHER_FPS))[0]


def _files(models_dir: Path) -> Iterator[tuple[Path, bool]]:
    """Files that may be weights, best place first, and whether they lie in a folder of many models."""
    seen: set[Path] = set()
    for base in bases(models_dir):
        inside = _folders(base)
        deeper = [
            folder for parent in inside if parent.name.lower() == "codetalker" for folder in _folders(parent)
        ]
        for folder in (base, *inside, *deeper):
            if folder in seen:
                continue
            seen.add(folder)
            shared = folder == base or folder.name.lower() in _SHARED
            for path in _entries(folder, LOOKED_AT, suffixes=SUFFIXES):
                yield path, shared


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder, FOLDERS * 10) if path.is_dir()][:FOLDERS]


def _entries(folder: Path, most: int, suffixes: tuple[str, ...] = ("",)) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.name.lower().endswith(suffixes))
    except OSError:
        return []
    return found[:most]


def _label(path: Path, shared: bool) -> tuple[str, int]:
    """The face model that a file or its folder is named after, and its stage; "" and 0: not told."""
    stem = re.sub(r"(\.(safetensors|pth|tar|pt|ckpt|bin|zip))+$", "", path.name, flags=re.IGNORECASE)
    named = _NAME.fullmatch(stem)
    label = (named and named["name"]) or ("" if shared else path.parent.name)
    return label.lower(), int(named["number"]) if named else 0


def _trouble(name: str, found: _Found, models_dir: Path) -> str:
    """Why this face model cannot be used, in a sentence; "" when it can."""
    best = found.best
    if best is not None:
        misfit = _misfit(*best)
        return misfit and Sentence("{misfit}; use both files of one training.", misfit=misfit)
    if found.faults:
        path, fault = found.faults[0]
        return Sentence(
            "{path} {reason}; fetch it anew from {page}, or from who trained it.",
            path,
            reason=fault.reason,
            page=PAGE,
        )
    there = next(iter(found))
    lacking = 3 - there.number
    try:
        file = by_name(f"{name}-stage{lacking}").file
        folder = Place(models_dir, "the folder for models")
        remedy = Sentence("fetch {file} from {page} into {folder}", file=file, page=PAGE, folder=folder)
    except WeightsError:
        remedy = Sentence(f"put it beside, as {name}_stage{lacking} with the same ending")
    return Sentence(
        "The face model {name} lacks its stage {lacking} (stage {there.number} is {path}); {remedy}.",
        there.path,
        name=name,
        lacking=lacking,
        there=there,
        remedy=remedy,
    )


def _misfit(first: Stage, second: Stage) -> str:
    """Why two stages are not of one training, as far as their sizes tell; "" when they fit."""
    if first.vertices != second.vertices:
        why = f"the one moves {first.vertices:,} vertices, the other {second.vertices:,}"
    elif first.width != second.width:
        slots = f"{first.width // first.code} codes of {first.code} numbers a frame"
        why = f"the one has {slots}, the other makes {second.width:,} numbers"
    else:
        return ""
    return Sentence(
        "{one} and {other} do not belong together: {why}", one=first.path, other=second.path, why=why
    )


def _state(stage: Stage) -> dict[str, torch.Tensor]:
    tensors = read_tensors(stage.path, stage.prefix)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_DROPPED)}


def _period(positions: torch.Tensor, otherwise: float) -> float:
    """After how many rows the table of positions (1, rows, width) repeats: the frames of a second."""
    rows = positions.reshape(-1, positions.shape[-1])
    for period in range(1, len(rows)):
        if bool((rows[period] == rows[0]).all()):
            return float(period)
    return otherwise
