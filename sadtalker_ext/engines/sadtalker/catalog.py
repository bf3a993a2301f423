"""SadTalker's weight files: what each is for, how it is recognised, where its authors publish it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...checkpoints import Checkpoint

_RELEASE = "https://github.com/OpenTalker/SadTalker/releases/download/v0.0.2-rc/"
_MIRROR = "https://huggingface.co/vinthony/SadTalker-V002rc/resolve/main/"
_RELEASE_PAGE = "https://github.com/OpenTalker/SadTalker/releases/tag/v0.0.2-rc"
_LICENCE = (
    "Apache-2.0, as its authors publish it; it builds on the Basel Face Model and parts of Wav2Lip, whose "
    "own terms allow research only: read them before commercial use"
)

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


WEIGHTS: tuple[Checkpoint, ...] = (
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
)
