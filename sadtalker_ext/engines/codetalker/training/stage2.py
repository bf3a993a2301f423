"""CodeTalker's stage 2 as something to train: speech and what was before into codes, with its losses."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....errors import TrainingError
from ....training.clips import ClipCache
from ....training.objective import Example, Objective, Share
from ....training.plan import Plan
from ..networks import BIWI, VOCASET, CodeQuery, Rhythm, Taught, VQAutoEncoder
from ..networks.wav2vec import normalised
from ..query import predict
from .stage1 import distance, unexplained

PUBLISHED_PLAN = Plan(epochs=100, rate=1e-4, optimiser="adam", weight_decay=0.0, keep="last")
SOUND_PLAN = Plan(epochs=100, rate=1e-4, optimiser="adam", weight_decay=0.0, warmup=500, clip_norm=1.0)
# With nothing but true frames before it a network learns to go on as before and hardly listens; in use, where
# those frames are its own, it then drifts.
DOUBT = 0.8
TABLE_FRAMES = 600  # of the published position table, rounded up to whole periods


@dataclass(frozen=True)
class Stage2Rules:
    """How stage 2 is taught; see `DOUBT` for what differs from the published way.

    scale: offsets are divided by it while training. free_running: validation predicts each clip from its
    speech alone, as in use; else every frame from the true ones before it, as published. doubt: share of the
    clips in training whose earlier frames are not the true ones but blank here and there, or what the network
    itself predicts; 0 is as published. whole_ear: the convolutions that hear learn too, which pre-trained
    ones need not.
    """

    scale: float = 1.0
    free_running: bool = True
    whole_ear: bool = False
    doubt: float = DOUBT

    def __post_init__(self) -> None:
        if not 0 <= self.doubt <= 1:
            raise TrainingError(f"--doubt must be 0 to 1, not {self.doubt:g}.")


class Stage2(Objective):
    """The code query, taught with true earlier frames: squared errors of offsets and of features.

    Stage 1 stays as it is; gradients flow through its decoder.
    """

    file = "stage2.pth.tar"
    skips = True  # wav2vec 2.0 drops layers

    def __init__(self, network: CodeQuery, stage1: VQAutoEncoder, rules: Stage2Rules) -> None:
        """network, stage1: of offsets divided by `rules.scale`."""
        super().__init__()
        self.network, self.rules = network, rules
        self.stage1 = stage1.eval().requires_grad_(False)
        extractor = network.audio_encoder.feature_extractor
        extractor.requires_grad_(rules.whole_ear)
        extractor._requires_grad = False  # else transformers lets gradients flow to the waveform
        self._in_use: list[VQAutoEncoder] = []

    def train(self, mode: bool = True) -> Stage2:
        super().train(mode)
        self.stage1.eval()
        if mode:
            self._in_use.clear()
        return self

    def _stage1_in_use(self) -> VQAutoEncoder:
        """The same stage 1 as another object: inference remembers of a pair what training would change."""
        if not self._in_use:
            self._in_use.append(copy(self.stage1))
        return self._in_use[0]

    def forward(self, example: Example) -> dict[str, Tensor]:
        taught = self._taught(example, doubting=self.training)
        motion, codes = taught.motion_loss, taught.code_loss
        return {"loss": motion + codes, "motion": motion, "codes": codes}

    def _taught(self, example: Example, *, doubting: bool) -> Taught:
        offsets = example.motion[None] / self.rules.scale
        speech = normalised(example.audio.cpu()[None]).to(offsets.device)  # some GPUs lack doubles
        style = torch.tensor([max(0, example.style)], device=offsets.device)
        before: Tensor | None = None
        drawn = float(torch.rand(())) if doubting and self.rules.doubt else 1.0
        if drawn < self.rules.doubt / 2:
            known = torch.rand(1, offsets.shape[1], 1) > torch.rand(())
            before = offsets * known.to(offsets)
        elif drawn < self.rules.doubt:
            before = torch.zeros_like(offsets) if float(torch.rand(())) < 0.5 else None
            with torch.no_grad():
                before = self.network(speech, offsets, style, self.stage1, before).offsets.float()
        return self.network(speech, offsets, style, self.stage1, before)

    def measure(self, example: Example) -> dict[str, Share]:
        """By the given style; an unknown subject's motion is compared with that of style 0."""
        scale, true = self.rules.scale, example.motion[None]
        if not self.rules.free_running:
            predicted = self._taught(example, doubting=False).offsets.float() * scale
        else:
            samples = example.audio.cpu().numpy()
            blocks = predict(self._stage1_in_use(), self.network, samples, style=max(0, example.style))
            predicted = torch.from_numpy(np.concatenate(list(blocks)))[None].to(true.device) * scale
        frames = min(predicted.shape[1], true.shape[1])
        predicted, true = predicted[:, :frames], true[:, :frames]
        return {"unexplained": unexplained(predicted, true), "distance": distance(predicted, true)}

    def checkpoint(self) -> dict[str, Tensor]:
        state = self.network.checkpoint()
        state["vertice_map.weight"] = state["vertice_map.weight"] / self.rules.scale
        period = self.network.period
        rows = (TABLE_FRAMES // period + 1) * period
        state["PPE.pe"] = self.network.positions(rows).float()[None]
        return state

    def state(self) -> dict[str, Tensor]:
        return self.network.state_dict()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.network.load_state_dict(state)


def rhythm_of(cache: ClipCache) -> Rhythm:
    """How sound and frames go together at the corpus's rate: as published for 25 and 30 frames/s.

    Raises `TrainingError` for a rate that is no whole number.
    """
    fps = cache.info.fps
    if fps == BIWI.fps:
        return BIWI
    return VOCASET if fps == VOCASET.fps else Rhythm(fps=_whole(fps), period=_whole(fps), pairs=False)


def _whole(fps: float) -> int:
    if fps != int(fps):
        raise TrainingError(f"Stage 2 needs a whole number of frames/s, not {fps:g}; resample the motion.")
    return int(fps)
