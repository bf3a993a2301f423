"""CodeTalker's stage 1 as something to train: motion through a codebook and back, with its losses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from ....training.clips import TRAIN, ClipCache
from ....training.objective import Example, Objective, Share
from ....training.plan import Plan
from ....training.worker import Worker
from ..networks import PUBLISHED, VQAutoEncoder
from ..networks.layers import sines
from .codebook import CodebookKeeper, CodebookRules

# As published (for BIWI without the halving) ...
PUBLISHED_PLAN = Plan(epochs=200, rate=1e-4, halve_every=20, weight_decay=0.01, keep="last")
# ... and against what is known to go wrong there: motion of a millimetre in metres, codes that nothing uses.
SOUND_PLAN = Plan(epochs=200, rate=1e-4, halve_every=20, weight_decay=0.01, warmup=500, clip_norm=1.0)
SEEDING_CLIPS = 8  # whose frames the codebook begins with
TABLE_ROWS = 5000  # of the position tables in the published files


@dataclass(frozen=True)
class Stage1Rules:
    """scale: offsets are divided by it while training. codebook: None is as published.

    fresh: the codebook begins with what the first clips are encoded to.
    """

    scale: float = 1.0
    codebook: CodebookRules | None = None
    fresh: bool = True


class Stage1(Objective):
    """The auto-encoder; mean absolute error of offsets and the codebook's loss, with equal weights."""

    file = "stage1.pth.tar"

    def __init__(self, network: VQAutoEncoder, rules: Stage1Rules) -> None:
        super().__init__()
        self.network, self.rules = network, rules
        self.keeper: CodebookKeeper | None = None
        if rules.codebook is not None:
            book = network.quantize.embedding
            self.keeper = CodebookKeeper(book, rules.codebook)
            book.weight.requires_grad_(not rules.codebook.averaged)

    def forward(self, example: Example) -> dict[str, Tensor]:
        offsets = example.motion[None] / self.rules.scale
        features = self.network.encode(offsets)
        found = self.network.quantize(features.float())
        if self.training and self.keeper is not None:
            book = self.network.quantize.embedding
            self.keeper.observe(features.reshape(-1, book.embedding_dim), found.codes.flatten())
        decoded = self.network.decode(found.features)[:, : offsets.shape[1]].float()
        motion = (decoded - offsets).abs().mean()
        losses = {"loss": motion + found.loss, "motion": motion, "codebook": found.loss}
        return {**losses, "perplexity": found.perplexity}

    def measure(self, example: Example) -> dict[str, Share]:
        offsets = example.motion[None]
        decoded = self.network(offsets / self.rules.scale).offsets.float() * self.rules.scale
        return {"unexplained": unexplained(decoded, offsets), "distance": distance(decoded, offsets)}

    def begin(self, examples: Iterator[Example], worker: Worker) -> None:
        if self.keeper is None or not self.rules.fresh:
            return
        self.eval()
        with torch.no_grad():
            clips = [example.to(worker.device).motion[None] for example in islice(examples, SEEDING_CLIPS)]
            vectors = [self.network.encode(clip / self.rules.scale) for clip in clips]
        book = self.network.quantize.embedding
        self.keeper.seed(book, torch.cat([v.reshape(-1, book.embedding_dim) for v in vectors]), worker)

    def after_step(self, worker: Worker, optimiser: torch.optim.Optimizer) -> None:
        if self.keeper is not None:
            self.keeper.step(self.network.quantize.embedding, worker, optimiser)

    def gauges(self) -> dict[str, float]:
        if self.keeper is None:
            return {}
        return {"codes in use": self.keeper.in_use(), "codes revived": self.keeper.revived}

    def checkpoint(self) -> dict[str, Tensor]:
        return in_own_units(self.network, self.rules.scale)


def corpus_scale(cache: ClipCache) -> float:
    """A power of two near the root mean square of the training clips' offsets.

    Weights can be multiplied by it without rounding, so a checkpoint in the corpus's units is exactly the
    network that was trained. 1 where nothing moves.
    """
    entries = cache.of_split(TRAIN)
    frames = sum(entry.frames for entry in entries)
    power = sum(entry.power * entry.frames for entry in entries) / max(1, frames)
    return 2.0 ** round(math.log2(math.sqrt(power))) if power > 0 else 1.0


def in_own_units(network: VQAutoEncoder, scale: float) -> dict[str, Tensor]:
    """The state dict of a network that learnt offsets divided by `scale`, for offsets themselves.

    With the position tables of the published files where it adds the same positions.
    """
    state = network.checkpoint()
    for name, factor in (
        ("encoder.vertice_mapping.0.weight", 1 / scale),
        ("decoder.vertice_map_reverse.weight", scale),
        ("decoder.vertice_map_reverse.bias", scale),
    ):
        if name in state:
            state[name] = state[name] * factor
    if network.compat == PUBLISHED:
        table = sines(torch.arange(TABLE_ROWS), network.sizes.width)[:, None]
        for part in ("encoder", "decoder"):
            state[f"{part}.{part}_pos_embedding.pe"] = table
    return state


def unexplained(predicted: Tensor, true: Tensor) -> Share:
    """Squared error over the square of what moves: 0 is perfect, 1 no better than the clip's mean face.

    Both (1, T, D).
    """
    still = true.mean(dim=1, keepdim=True)
    return float((predicted - true).square().sum()), float((true - still).square().sum())


def distance(predicted: Tensor, true: Tensor) -> Share:
    """Sum and number of the distances of all vertices in all frames, in the corpus's units."""
    each = (predicted - true).unflatten(-1, (-1, 3)).norm(dim=-1)
    return float(each.sum()), each.numel()


def trainable(network: nn.Module) -> nn.Module:
    """A network that was made for inference, with weights that can move."""
    for name, weight in list(network.named_parameters()):
        owner = network.get_submodule(name.rpartition(".")[0])
        # Those of a file may lie in memory that is mapped from it.
        setattr(owner, name.rpartition(".")[2], nn.Parameter(weight.detach().clone()))
    return network
