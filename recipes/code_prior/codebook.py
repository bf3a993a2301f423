"""Turns batches of motion into a trained codec: a codebook by moving averages, unused codes revived."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sadtalker_ext.motion.code_prior import Codec

PEAK_RATE, LAST_RATE = 2e-3, 2e-5
WARMUP = 100  # steps
FREE_STEPS = 300  # without codes: the codebook begins with what the encoder says by then
COMMITMENT = 0.25
VELOCITY_WEIGHT = 0.5
DECAY = 0.99  # of the codebook's moving averages
REVIVE_EVERY = 50  # steps
DEAD_SHARE = 0.05  # of the usual use, below which a code takes another place
REVIVE_UNTIL = 0.9  # of the training
LEAST_SCALE = 0.05  # of a column that hardly moves
ERROR_FLOOR = 0.1  # standard deviation below which a column does not weigh more
AVERAGE = 0.998
EMPLOY_ROUNDS, EMPLOY_BATCHES = 8, 10
IDLE_SHARE = 0.02  # of the usual use, below which a code of the finished codec is idle
REPORT = 500  # steps

Batches = Callable[[torch.Generator], tuple[Tensor, Tensor]]  # disturbed and clean motion, each (B, C, T)


class Codebook:
    """The codebook of a codec in training: how often each code is used, and where its vectors lie."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        slots, codes, _ = codec.codebook.shape
        self.uses = torch.ones(slots, codes)
        self.sums = codec.codebook.clone()

    @torch.no_grad()
    def begin(self, vectors: Tensor, generator: torch.Generator) -> None:
        """Codes are placed on random ones of vectors (B, S, D, N)."""
        pool = vectors.permute(1, 0, 3, 2).flatten(1, 2)
        for slot, rows in enumerate(pool):
            picked = rows[torch.randint(len(rows), (self.codec.codes,), generator=generator)]
            self.codec.codebook[slot] = picked + 1e-3 * torch.randn(picked.shape, generator=generator)
        self.sums = self.codec.codebook.clone()
        self.uses = torch.ones_like(self.uses)

    @torch.no_grad()
    def follow(self, vectors: Tensor, codes: Tensor) -> None:
        """Move each code towards the mean of its vectors (B, S, D, N); codes (B, S, N)."""
        pool = vectors.permute(1, 0, 3, 2).flatten(1, 2)
        chosen = codes.transpose(0, 1).flatten(1)
        uses = torch.zeros_like(self.uses).scatter_add_(1, chosen, torch.ones(chosen.shape))
        sums = torch.zeros_like(self.sums)
        sums.scatter_add_(1, chosen[:, :, None].expand_as(pool), pool)
        self.uses.lerp_(uses, 1 - DECAY)
        self.sums.lerp_(sums, 1 - DECAY)
        self.codec.codebook.copy_(self.sums / self.uses.clamp(min=1e-4)[:, :, None])

    @torch.no_grad()
    def revive(self, vectors: Tensor, generator: torch.Generator) -> int:
        """Codes hardly used take the place of random vectors (B, S, D, N) of now; returns how many."""
        pool = vectors.permute(1, 0, 3, 2).flatten(1, 2)
        usual = self.uses.mean(1, keepdim=True)
        dead = self.uses < DEAD_SHARE * usual
        for slot, which in enumerate(dead):
            count = int(which.sum())
            if count:
                picked = pool[slot, torch.randint(pool.shape[1], (count,), generator=generator)]
                self.codec.codebook[slot, which] = picked
                self.uses[slot, which] = usual[slot]
                self.sums[slot, which] = picked * usual[slot]
        return int(dead.sum())


def learning_rate(step: int, progress: float, peak: float = PEAK_RATE) -> float:
    """Linear warm-up, then half a cosine over `progress` 0..1."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
    return min(1.0, (step + 1) / WARMUP) * (LAST_RATE + (peak - LAST_RATE) * cosine)


def train_codec(
    codec: Codec,
    batches: Batches,
    clean: Tensor,
    *,
    steps: int,
    minutes: float,
    generator: torch.Generator,
) -> float:
    """Train until `steps` or `minutes`; clean: (N, C) motion that gives mean and scale.

    The codec becomes the moving average of its weights. Returns the mean loss of the last steps.
    """
    deviation = clean.float().std(0)
    codec.mean.copy_(clean.float().mean(0))
    codec.scale.copy_(deviation.clamp(min=LEAST_SCALE * float(deviation.max())))
    floor = ERROR_FLOOR * float(deviation.max()) / 0.35
    weight = (1 / (codec.scale.square() + floor**2))[:, None]
    weight = weight / (weight * codec.scale.square()[:, None]).mean()
    codebook = Codebook(codec)
    average = {name: value.detach().clone() for name, value in codec.named_parameters()}
    optimiser = torch.optim.AdamW(codec.parameters(), PEAK_RATE, weight_decay=1e-3)
    began, running, recent, revived, step = time.monotonic(), 0.0, 0.0, 0, 0
    free = min(FREE_STEPS, steps // 4)
    while True:
        progress = max(step / steps, (time.monotonic() - began) / 60 / minutes)
        if progress >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, progress)
        given, wanted = batches(generator)
        vectors = codec.encode(given)
        if step == free:
            codebook.begin(vectors, generator)
        coded, commitment = vectors, vectors.new_zeros(())
        if step >= free:
            codes = codec.nearest(vectors.detach())
            nearest = codec.look_up(codes)
            codebook.follow(vectors.detach(), codes)
            commitment = (vectors - nearest).square().mean()
            coded = vectors + (nearest - vectors).detach()
            if step % REVIVE_EVERY == 0 and progress < REVIVE_UNTIL:
                revived += codebook.revive(vectors.detach(), generator)
        error = codec.decode(coded) - wanted
        speed = error[:, :, 1:] - error[:, :, :-1]
        loss = (weight * error.square()).mean() + VELOCITY_WEIGHT * (weight * speed.square()).mean()
        optimiser.zero_grad()
        (loss + COMMITMENT * commitment).backward()
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimiser.step()
        step += 1
        keep = min(AVERAGE, step / (step + 10))
        with torch.no_grad():
            for name, value in codec.named_parameters():
                average[name].lerp_(value, 1 - keep)
        running += loss.item()
        recent = loss.item() if step == 1 else 0.98 * recent + 0.02 * loss.item()
        if step % REPORT == 0:
            logging.info(
                "codec step %d, %.0f s, loss %.4f, %d codes revived",
                step,
                time.monotonic() - began,
                running / REPORT,
                revived,
            )
            running, revived = 0.0, 0
    with torch.no_grad():
        for name, value in codec.named_parameters():
            value.copy_(average[name])
    return recent


@torch.no_grad()
def employ(codec: Codec, usual: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> int:
    """Codes that the finished codec hardly needs for usual motion (B, C, T) take the places of such motion.

    Codes of rare motion that speech never makes would be lost on a prior that speaks; returns how many moved.
    """
    moved = 0
    for _ in range(EMPLOY_ROUNDS):
        vectors = torch.cat([codec.encode(usual(generator)) for _ in range(EMPLOY_BATCHES)])
        chosen = codec.nearest(vectors).transpose(0, 1).flatten(1)
        uses = torch.zeros(codec.codebook.shape[:2]).scatter_add_(1, chosen, torch.ones(chosen.shape))
        idle = uses < IDLE_SHARE * uses.mean(1, keepdim=True)
        pool = vectors.permute(1, 0, 3, 2).flatten(1, 2)
        for slot, which in enumerate(idle):
            count = int(which.sum())
            picked = torch.randint(pool.shape[1], (count,), generator=generator)
            codec.codebook[slot, which] = pool[slot, picked]
            moved += count
    return moved
