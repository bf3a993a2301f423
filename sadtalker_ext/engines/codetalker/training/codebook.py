"""A codebook that follows what is encoded: moving averages instead of gradients, and dead codes revived."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ....training.worker import Worker

DECAY = 0.99  # of the moving averages, a step
SMOOTHING = 1e-5  # counts that every code is given, so that none is divided by zero
IDLE_STEPS = 100  # steps without use after which a code is dead
NOISE = 0.01  # of the spread of vectors, added to those that dead codes become


@dataclass(frozen=True)
class CodebookRules:
    """averaged: codes are moving averages of what is encoded to them; else gradients move them, as published.

    revive_after: steps without use after which a code begins anew at an encoded vector; 0 leaves it.
    """

    averaged: bool = True
    revive_after: int = IDLE_STEPS


class CodebookKeeper(nn.Module):
    """What is remembered of the use of a codebook, an embedding (entries, width).

    `observe` is called with what each clip is encoded to, `step` after the weights moved.
    """

    counts: Tensor
    sums: Tensor
    idle: Tensor

    def __init__(self, embedding: nn.Embedding, rules: CodebookRules) -> None:
        super().__init__()
        self.rules = rules
        entries = embedding.num_embeddings
        self.register_buffer("counts", torch.ones(entries))
        self.register_buffer("sums", embedding.weight.detach().clone())
        self.register_buffer("idle", torch.zeros(entries, dtype=torch.long))
        self._seen: list[tuple[Tensor, Tensor]] = []
        self.revived = 0  # in all

    def observe(self, vectors: Tensor, codes: Tensor) -> None:
        """vectors: (n, width) before they are quantised. codes: (n,)."""
        self._seen.append((vectors.detach().float(), codes.detach()))

    @torch.no_grad()
    def seed(self, embedding: nn.Embedding, vectors: Tensor, worker: Worker) -> None:
        """Begins with encoded vectors (n, width) as codes, each another one where there are enough."""
        entries = len(embedding.weight)
        places = torch.randperm(len(vectors))[:entries]
        places = places.repeat(-(-entries // len(places)))[:entries]
        chosen = self._jittered(vectors.float()[places.to(vectors.device)])
        embedding.weight.copy_(worker.same(chosen))
        self.sums.copy_(embedding.weight)
        self.counts.fill_(1.0)
        self.idle.zero_()

    @torch.no_grad()
    def step(self, embedding: nn.Embedding, worker: Worker, optimiser: torch.optim.Optimizer) -> None:
        """Moves averaged codes and revives dead ones, alike in all processes."""
        if not self._seen:
            return
        vectors = torch.cat([vectors for vectors, _ in self._seen])
        codes = torch.cat([codes for _, codes in self._seen])
        self._seen.clear()
        sane = torch.isfinite(vectors).all(dim=1)  # in fp16 a clip may overflow now and then
        vectors, codes = vectors[sane], codes[sane]
        entries, width = embedding.weight.shape
        counts = torch.zeros(entries, device=vectors.device)
        counts.index_add_(0, codes, torch.ones_like(codes, dtype=counts.dtype))
        counts = worker.total(counts)
        self.idle = torch.where(counts > 0, torch.zeros_like(self.idle), self.idle + 1)
        if self.rules.averaged:
            sums = torch.zeros(entries, width, device=vectors.device)
            sums.index_add_(0, codes, vectors)
            self.counts.lerp_(counts, 1 - DECAY)
            self.sums.lerp_(worker.total(sums), 1 - DECAY)
            size = self.counts.sum()
            smooth = (self.counts + SMOOTHING) / (size + entries * SMOOTHING) * size
            embedding.weight.copy_(self.sums / smooth[:, None])
        self._revive(embedding, vectors, worker, optimiser)

    def _revive(
        self, embedding: nn.Embedding, vectors: Tensor, worker: Worker, optimiser: torch.optim.Optimizer
    ) -> None:
        if not self.rules.revive_after:
            return
        dead = (self.idle >= self.rules.revive_after).nonzero().flatten()
        if len(dead) == 0:
            return
        vectors = vectors if len(vectors) else embedding.weight
        places = torch.randint(len(vectors), (len(dead),)).to(vectors.device)
        fresh = worker.same(self._jittered(vectors[places]))
        embedding.weight[dead] = fresh
        self.sums[dead] = fresh * self.counts.mean()
        self.counts[dead] = self.counts.mean()
        self.idle[dead] = 0
        self.revived += len(dead)
        moments = optimiser.state.get(embedding.weight, {})
        for name in ("exp_avg", "exp_avg_sq"):  # what the optimiser remembers is of the code that died
            if name in moments:
                moments[name][dead] = 0

    def _jittered(self, vectors: Tensor) -> Tensor:
        spread = vectors.std(dim=0, keepdim=True) if len(vectors) > 1 else torch.ones_like(vectors)
        return vectors + NOISE * spread * torch.randn(vectors.shape).to(vectors.device)

    def in_use(self) -> int:
        """Codes that were used lately."""
        within = self.rules.revive_after or IDLE_STEPS
        return int((self.idle < within).sum())
