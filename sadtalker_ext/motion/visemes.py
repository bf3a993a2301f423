"""Turns speech into eight mouth tracks, 100 times a second, with our embedded VisemeNet."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..audio import features
from ..errors import Place, WeightsError
from ..system.caches import kept
from ..system.paths import ASSETS

if TYPE_CHECKING:
    from .visemenet import VisemeNet

VISEMES = ("jaw", "width", "round", "close", "labiodental", "teeth", "tongue", "speech")
WEIGHTS = ASSETS / "visemenet.safetensors"

# How a recording's level and colour are taken out. Energies are natural logarithms, averaged over mel bands.
BIN = 0.05  # width of the energy classes in which frames are counted
LOWEST, HIGHEST = -28.0, 16.0  # energies that have a class of their own
PEAK_SHARE = 0.005  # share of the frames that are louder than the peak: a click does not set the level
SPEECH_RANGE = 5.0  # frames this far (22 dB) under the peak still count as speech
QUIETEST_PEAK = -19.5  # recordings below this (noise at about -90 dBFS) are silence
PRIOR_FRAMES = 100  # with more speech than this a recording's own colour outweighs that of average speech
SCALE = 3.0  # nepers of power that become 1
CLIP_LOW, CLIP_HIGH = -4.0, 3.0  # normalised log-mel is kept in this range


class SpectrumMeter:
    """Mean log-mel of a recording's louder frames, whatever its length, met block by block."""

    def __init__(self, n_mels: int) -> None:
        classes = round((HIGHEST - LOWEST) / BIN)
        self._counts = np.zeros(classes, np.int64)
        self._sums = np.zeros((classes, n_mels), np.float64)

    def add(self, mel: np.ndarray) -> None:
        """Count the frames of `mel`, (T, n_mels)."""
        index = ((mel.mean(axis=1) - LOWEST) / BIN).astype(np.int64).clip(0, len(self._counts) - 1)
        np.add.at(self._counts, index, 1)
        np.add.at(self._sums, index, mel)

    @property
    def peak(self) -> float:
        """Energy that a small share of the frames exceeds."""
        from_top = np.cumsum(self._counts[::-1])
        reached = int(np.argmax(from_top > PEAK_SHARE * from_top[-1])) if from_top[-1] else len(from_top) - 1
        return LOWEST + BIN * (len(self._counts) - 1 - reached)

    def reference(self, spectrum: np.ndarray) -> np.ndarray:
        """(n_mels,) what to subtract: the recording's level and colour, leaning on `spectrum` if short."""
        first = int((max(self.peak, QUIETEST_PEAK) - SPEECH_RANGE - LOWEST) / BIN)
        count = int(self._counts[max(first, 0) :].sum())
        if not count:
            return spectrum.astype(np.float32)
        mean = self._sums[max(first, 0) :].sum(axis=0) / count
        level = mean.mean()
        colour = (count * (mean - level) + PRIOR_FRAMES * spectrum) / (count + PRIOR_FRAMES)
        return (level + colour).astype(np.float32)


def normalise(mel: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Log-mel (T, n_mels) without the recording's level and colour, scaled and clipped for the network."""
    return np.clip((mel - reference) / np.float32(SCALE), CLIP_LOW, CLIP_HIGH)


def load_visemenet(path: str | Path | None = None) -> VisemeNet:
    """The network with weights from `path` (default: the embedded ones), read once; `sha256` names the file.

    Raises WeightsError where the file is missing, damaged or holds another network.
    """
    return _load(str(path or WEIGHTS))


@kept(2)
def _load(path: str) -> VisemeNet:
    from safetensors.torch import load

    from .visemenet import VisemeNet

    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(
            "The VisemeNet weights {path} cannot be read ({error}); reinstall sadtalker_ext.",
            Place(path),
            error,
        ) from error
    net = VisemeNet()
    try:
        net.load_state_dict({name: tensor.float() for name, tensor in load(raw).items()})
    except Exception as error:
        raise WeightsError(
            "The file {path} does not hold VisemeNet weights or is damaged; reinstall sadtalker_ext.",
            Place(path),
        ) from error
    net.sha256 = hashlib.sha256(raw).hexdigest()
    return net.eval().requires_grad_(False)


def predict_visemes(samples: np.ndarray, *, net: VisemeNet | None = None) -> np.ndarray:
    """Mouth tracks of speech, (T, 8) float32 at 100 Hz with T = 1 + N // 160, columns named by `VISEMES`.

    `samples`: (N,) mono at 16 kHz, of any length, also none. Width runs from -1 (narrow) to 1 (spread), the
    others from 0 to 1; a silent or constant recording gives rest, all zeros. Memory does not grow with the
    recording beyond the result. Raises WeightsError where the embedded weights are unusable.
    """
    import torch

    from .visemenet import CONTEXT, STRIDE

    net = net or load_visemenet()
    filterbank = net.filterbank.detach().cpu().numpy()
    tracks = np.zeros((features.frame_count(len(samples)), len(VISEMES)), np.float32)
    meter = SpectrumMeter(len(filterbank))
    for _, mel in features.log_mel_blocks(samples, filterbank):
        meter.add(mel)
    if meter.peak <= QUIETEST_PEAK:
        return tracks
    reference = meter.reference(net.spectrum.detach().cpu().numpy())
    context = CONTEXT + CONTEXT % STRIDE  # pieces start on a stride, as the whole does
    weight = net.read.weight
    with torch.inference_mode():
        for start, (first, mel) in zip(
            range(0, len(tracks), features.BLOCK),
            features.log_mel_blocks(samples, filterbank, features.BLOCK, context),
            strict=True,
        ):
            x = torch.from_numpy(normalise(mel, reference)).T[None].to(weight.device, weight.dtype)
            y = net(x)[0].T.float().cpu().numpy()[start - first :][: features.BLOCK]
            tracks[start : start + len(y)] = y
    return tracks
