"""What was asked for into an enhancer that is there; what is missing into a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OptionsError, Place, Sentence, WeightsError
from ..host import Check, nothing
from ..options import Options
from ..system.caches import Kept, kept
from . import weights as files
from .drawing import Drawing, Enhanced
from .enlarge import by_network
from .restorers import HostRestorer, NetworkRestorer, Restorer

RestoreFaces = Callable[[np.ndarray], np.ndarray]

LONGEST_SIDE = 8192  # px of an enlarged frame; players give up above it
INTERPOLATED = (
    "No weights of a network that enlarges pictures, such as Real-ESRGAN's, lie in {path} or beside it; the "
    "frames were enlarged by interpolation."
)
BATCH = 4  # faces at once on an accelerator
# Of each network, the file that its authors publish, and where.
PUBLISHED = {
    "gfpgan": ("GFPGANv1.4.pth", "https://github.com/TencentARC/GFPGAN/releases"),
    "codeformer": ("codeformer.pth", "https://github.com/sczhou/CodeFormer/releases"),
    "restoreformer": ("RestoreFormer.pth", "https://github.com/TencentARC/GFPGAN/releases"),
}


def wanted(options: Options) -> bool:
    """Whether these options ask for anything of this stage."""
    return options.enhancer != "none" or options.upscale != "1"


def enhanced(
    base: Drawing,
    options: Options,
    models_dir: Path,
    device: str,
    restore_faces: RestoreFaces | None = None,
    check: Check = nothing,
) -> Drawing:
    """What draws a portrait, with what `options` ask for around it.

    restore_faces: the host's own face restoration, uint8 (H, W, 3) to the same; None where there is none.
    Raises `WeightsError`, `DependencyError` or `OptionsError` with what is missing.
    """
    portrait = base.portrait
    if not wanted(options) or portrait is None:
        return base
    scale = int(options.upscale)
    size = base.size
    if scale > 1 and max(size) * scale > LONGEST_SIDE:
        raise OptionsError(
            f"{{upscale}} {scale} would make frames of {size[0] * scale}×{size[1] * scale} pixels, and "
            f"{LONGEST_SIDE} is the most; choose a smaller factor or a smaller picture.",
            "upscale",
        )
    restorer = choose(options.enhancer, models_dir, device, restore_faces)
    enlarged, notices = None, []
    if scale > 1:
        found = next((file for file in files.available(models_dir) if file.kind == files.UPSCALER), None)
        if found is None:
            notices.append(Sentence(INTERPOLATED, Place(models_dir, "the folder for models")))
        elif size == (portrait.width, portrait.height):
            enlarged = _enlarged(portrait.image, scale, found, device, check)
    return Enhanced(
        base,
        portrait,
        check=check,
        restorer=restorer,
        strength=options.enhancer_strength,
        scale=scale,
        enlarged=enlarged,
        notices=tuple(notices),
    )


def choose(name: str, models_dir: Path, device: str, restore_faces: RestoreFaces | None) -> Restorer | None:
    """The restorer of that name; "auto" takes the host's, else the first whose weights are there."""
    file = look_up(name, models_dir, restore_faces is not None)
    if file is not None:
        network = _loaded(file, device).model
        return NetworkRestorer(file.kind, network, device, 1 if device == "cpu" else BATCH)
    return HostRestorer(restore_faces) if name != "none" and restore_faces is not None else None


def look_up(name: str, models_dir: Path, hosted: bool) -> files.Weights | None:
    """The weights of the restorer of that name; None for none, and for the host's, where it has one.

    Reads headers only. Raises `WeightsError`, `DependencyError` or `OptionsError` with what is missing.
    """
    if name == "none" or (name in ("host", "auto") and hosted):
        return None
    if name == "host":
        raise OptionsError(
            "{enhancer} host takes the face restoration of a WebUI, which is not there; choose gfpgan, "
            "codeformer or restoreformer.",
            "enhancer",
        )
    found = files.available(models_dir)
    kinds = list(PUBLISHED) if name == "auto" else [name]
    for kind in kinds:
        for file in found:
            if file.kind == kind:
                files.require_packages(file.architecture)
                return file
    file_name, page = PUBLISHED[kinds[0]]
    raise WeightsError(
        "{enhancer} {name} needs the weights of a network; put {file_name} from {page} into {path}, or "
        "choose {enhancer} none.",
        "enhancer",
        Place(models_dir, "the folder for models"),
        name=name,
        file_name=file_name,
        page=page,
    )


@kept(3)
def _loaded(file: files.Weights, device: str) -> Any:
    return files.load(file, device)


def _enlarged(picture: np.ndarray, scale: int, file: files.Weights, device: str, check: Check) -> np.ndarray:
    key = (picture.shape, hash(picture.tobytes()), scale, file, device)
    return _pictures.get(key, lambda: by_network(picture, scale, _loaded(file, device), device, check))


_pictures: Kept[np.ndarray] = Kept(1)  # the latest that was enlarged by a network
