"""A wav2vec 2.0 that a user has, as a file or a folder, into the weights that stage 2 begins to hear with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ....checkpoints.tensors import read_tensors
from ....errors import TrainingError
from ..networks.state_dicts import plain_names
from ..networks.wav2vec import wav2vec2_sizes

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("model.safetensors", "pytorch_model.bin")  # in a folder as transformers writes it
PREFIXES = ("audio_encoder.", "wav2vec2.", "")  # of a stage 2, of a recogniser of speech, of the bare network
SIGN = "feature_extractor.conv_layers.0.conv.weight"


def read_wav2vec2(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a wav2vec 2.0 by the names of the bare network.

    path: a stage 2 of CodeTalker; a wav2vec2-base-960h, as model.safetensors, pytorch_model.bin or the folder
    with one of them. Raises `TrainingError` where it is something else or of another kind of wav2vec 2.0.
    """
    path = Path(path)
    file = next((path / name for name in NAMES if (path / name).is_file()), None) if path.is_dir() else path
    if file is None or not file.is_file():
        raise TrainingError(
            f"{path} is no wav2vec 2.0; give a stage-2 file of CodeTalker, or a folder with "
            f"{' or '.join(NAMES)} of wav2vec2-base-960h."
        )
    state = {name.removeprefix("state_dict."): tensor for name, tensor in read_tensors(file).items()}
    prefix = next((prefix for prefix in PREFIXES if prefix + SIGN in state), None)
    if prefix is None:
        raise TrainingError(f"{file} holds no wav2vec 2.0; give that of wav2vec2-base-960h.")
    inside = {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix) and not name.startswith(("lm_head.", "quantizer.", "project_"))
    }
    return _checked(plain_names(inside), file)


def _checked(state: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Refuses the large kind, whose norms stand elsewhere, and whatever lacks a part."""
    if "feature_extractor.conv_layers.1.layer_norm.weight" in state:
        raise TrainingError(f"{file} is a wav2vec 2.0 with other norms (a large one); give the base one.")
    try:
        wav2vec2_sizes(state)
    except Exception as error:  # shapes of strangers make layers raise anything
        raise TrainingError(f"{file} is no whole wav2vec 2.0: it lacks {error}.") from error
    return {name: tensor.float() for name, tensor in state.items()}
