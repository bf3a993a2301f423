"""The table of weight files: what each is for, how it is recognised, and where its author publishes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..errors import WeightsError

MODELS, TORCH_HUB = "models", "torch hub"  # kinds of folder a file belongs in

_RELEASE = "https://github.com/OpenTalker/SadTalker/releases/download/v0.0.2-rc/"
_MIRROR = "https://huggingface.co/vinthony/SadTalker-V002rc/resolve/main/"
_RELEASE_PAGE = "https://github.com/OpenTalker/SadTalker/releases/tag/v0.0.2-rc"
_LICENCE = (
    "Apache-2.0, as its authors publish it; it builds on the Basel Face Model and parts of Wav2Lip, whose "
    "own terms allow research only: read them before commercial use"
)
CODETALKER_PAGE = "https://github.com/Doubiiu/CodeTalker"
_CODETALKER_LICENCE = (
    "MIT, as its authors publish the program; they state no separate terms for the weights, which were "
    "trained on recordings (VOCASET, BIWI) for non-commercial research only: read those terms first"
)
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


# Of each component in a package one tensor; both sizes have the same ones.
_PACKAGE_SIGNATURE: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "kp_extractor.predictor.down_blocks.down0.conv.weight": (64, 3, 3, 3),
        "generator.dense_motion_network.hourglass.encoder.down_blocks.0.conv.weight": (64, 80, 3, 3, 3),
        "audio2exp.audio_encoder.0.conv_block.0.weight": (32, 1, 3, 3),
        "audio2pose.audio_encoder.audio_encoder.0.conv_block.0.weight": (32, 1, 3, 3),
        "face_3drecon.backbone.conv1.weight": (64, 3, 7, 7),
    }
)
_MAPPING_INPUT = "mapping.first.0.weight"  # its second dimension tells the two apart


def _sadtalker(
    id: str, file: str, use: str, size: int | None, sha256: str, signature: Mapping, tag: str = ""
) -> Checkpoint:
    return Checkpoint(
        id=id,
        file=file,
        engine="sadtalker",
        use=use,
        page=_RELEASE_PAGE,
        licence=_LICENCE,
        size=size,
        sha256=sha256,
        urls=(_RELEASE + file, _MIRROR + file),
        signature=signature,
        twin_tag=tag,
        about=None if size else 725_000_000,  # every package holds the same tensors
    )


def _older(part: str, file: str, use: str, signature: Mapping[str, tuple[int, ...]]) -> Checkpoint:
    """One of the separate files that the packages replaced; used where it lies, not offered for download."""
    return Checkpoint(
        id=f"sadtalker-old-{part}",
        file=file,
        engine="sadtalker",
        use=f"{use}; an older file, in the place of the package for 256 × 256 pixels",
        page=_RELEASE_PAGE,
        licence=_LICENCE,
        signature=MappingProxyType(dict(signature)),
        optional=True,
    )


def _codetalker(pair: str, corpus: str, stage: int, about: int, signature: Mapping) -> Checkpoint:
    what = "the codes of motion and what they look like" if stage == 1 else "from speech to codes"
    return Checkpoint(
        id=f"{pair}-stage{stage}",
        file=f"{pair}_stage{stage}.pth.tar",
        engine="codetalker",
        use=f"{what}, for {corpus}",
        page=CODETALKER_PAGE,
        licence=_CODETALKER_LICENCE,
        about=about,
        optional=True,
        signature=MappingProxyType(signature),
        subfolders=("codetalker", "VOCASET", "vocaset", "BIWI", "biwi"),
        pair=pair,
    )


_FLAME, _SCANS = "heads of 5,023 vertices (FLAME)", "heads of 23,370 vertices (BIWI)"

CATALOG: tuple[Checkpoint, ...] = (
    _sadtalker(
        "sadtalker-256",
        "SadTalker_V0.0.2_256.safetensors",
        "the networks for faces of 256 × 256 pixels",
        725_066_984,
        "c211f5d6de003516bf1bbda9f47049a4c9c99133b1ab565c6961e5af16477bff",
        _PACKAGE_SIGNATURE,
        "256",
    ),
    _sadtalker(
        "sadtalker-512",
        "SadTalker_V0.0.2_512.safetensors",
        "the networks for faces of 512 × 512 pixels",
        None,
        "0e063f7ff5258240bdb0f7690783a7b1374e6a4a81ce8fa33456f4cd49694340",
        _PACKAGE_SIGNATURE,
        "512",
    ),
    _sadtalker(
        "mapping-109",
        "mapping_00109-model.pth.tar",
        "motion for whole pictures (the modes full and extfull)",
        155_779_231,
        "84a8642468a3fcfdd9ab6be955267043116c2bec2284686a5262f1eaf017f64c",
        MappingProxyType({_MAPPING_INPUT: (1024, 73, 7)}),
    ),
    _sadtalker(
        "mapping-229",
        "mapping_00229-model.pth.tar",
        "motion for cropped faces (the modes crop, extcrop and resize)",
        155_521_183,
        "62a1e06006cc963220f6477438518ed86e9788226c62ae382ddc42fbcefb83f1",
        MappingProxyType({_MAPPING_INPUT: (1024, 70, 7)}),
    ),
    _older(
        "render",
        "facevid2vid_00189-model.pth.tar",
        "the face render",
        {"generator.first.conv.weight": (64, 3, 3, 3), "kp_detector.kp.weight": (15, 32, 3, 3, 3)},
    ),
    _older("audio2exp", "auido2exp_00300-model.pth", "expressions", {"model.mapping1.weight": (64, 577)}),
    _older(
        "audio2pose", "auido2pose_00140-model.pth", "head motion", {"model.netG.decoder.classbias": (46, 64)}
    ),
    _older("recon", "epoch_20.pth", "reconstruction", {"net_recon.backbone.conv1.weight": (64, 3, 7, 7)}),
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
