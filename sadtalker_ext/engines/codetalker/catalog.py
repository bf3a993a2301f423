"""CodeTalker's weight files: what each is for, how it is recognised, where its authors publish it."""

from __future__ import annotations

from types import MappingProxyType

from ...checkpoints import Checkpoint

PAGE = "https://github.com/Doubiiu/CodeTalker"
_LICENCE = (
    "MIT, as its authors publish the program; they state no separate terms for the weights, which were "
    "trained on recordings (VOCASET, BIWI) for non-commercial research only: read those terms first"
)


# Of each pair: the heads it moves, the numbers of a frame, and those of a code.
_PAIRS = {
    "vocaset": ("heads of 5,023 vertices (FLAME)", 15069, 64),
    "biwi": ("heads of 23,370 vertices (BIWI)", 70110, 128),
}


def _codetalker(pair: str, stage: int, about: int) -> Checkpoint:
    corpus, numbers, code = _PAIRS[pair]
    signature = {"vertice_map.weight": (1024, numbers), "feat_map.weight": (1024, 1024)}
    if stage == 1:
        signature = {
            "encoder.vertice_mapping.0.weight": (1024, numbers),
            "quantize.embedding.weight": (256, code),
        }
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


WEIGHTS: tuple[Checkpoint, ...] = (
    _codetalker("vocaset", 1, 567_600_000),
    _codetalker("vocaset", 2, 751_700_000),
    _codetalker("biwi", 1, 1_026_900_000),
    _codetalker("biwi", 2, 1_279_600_000),
)
