"""CodeTalker's weight files: what each is for, how it is recognised, where its authors publish it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...checkpoints import Checkpoint

PAGE = "https://github.com/Doubiiu/CodeTalker"
_LICENCE = (
    "MIT, as its authors publish the program; they state no separate terms for the weights, which were "
    "trained on recordings (VOCASET, BIWI) for non-commercial research only: read those terms first"
)


def _codetalker(pair: str, corpus: str, stage: int, about: int, signature: Mapping) -> Checkpoint:
    what = "the codes of motion and what they look like" if stage == 1 else "from speech to codes"
    return Checkpoint(
        id=f"{pair}-stage{stage}",
        file=f"{pair}_stage{stage}.pth.tar",
        engine="codetalker",
        use=f"{what}, for {corpus}",
        page=PAGE,
        licence=_LICENCE,
        about=about,
        optional=True,
        signature=MappingProxyType(signature),
        subfolders=("codetalker", "VOCASET", "vocaset", "BIWI", "biwi"),
        pair=pair,
    )


_FLAME, _SCANS = "heads of 5,023 vertices (FLAME)", "heads of 23,370 vertices (BIWI)"

WEIGHTS: tuple[Checkpoint, ...] = (
    _codetalker(
        "vocaset",
        _FLAME,
        1,
        567_600_000,
        {"encoder.vertice_mapping.0.weight": (1024, 15069), "quantize.embedding.weight": (256, 64)},
    ),
    _codetalker(
        "vocaset",
        _FLAME,
        2,
        751_700_000,
        {"vertice_map.weight": (1024, 15069), "feat_map.weight": (1024, 1024)},
    ),
    _codetalker(
        "biwi",
        _SCANS,
        1,
        1_026_900_000,
        {"encoder.vertice_mapping.0.weight": (1024, 70110), "quantize.embedding.weight": (256, 128)},
    ),
    _codetalker(
        "biwi",
        _SCANS,
        2,
        1_279_600_000,
        {"vertice_map.weight": (1024, 70110), "feat_map.weight": (1024, 1024)},
    ),
)
