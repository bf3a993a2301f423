"""Turns features of speech and a finished codec into a trained speaker: cross-entropy over codes."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recipes.code_prior.codebook import learning_rate
from recipes.visemenet.train import disturb
from sadtalker_ext.motion.code_prior import FRAMES_A_CODE, Codec, Speaker
from sadtalker_ext.motion.visemenet import VisemeNet

BATCH, CROP = 16, 400  # crops of so many frames of log-mel, 4 s
PEAK_RATE = 1.5e-3
WEIGHT_DECAY = 1e-2
AVERAGE = 0.999
ALONE_SHARE = 0.65  # of the crops without any past: so it speaks in the end
FORGET_SHARE = 0.3  # of the codes that are not known in the others
OWN_SHARE = 0.3  # of the crops whose past is what the network says itself
WRONG_SHARE = 0.1  # of those that are others instead: the prior must not trust itself too much
MOTION_WEIGHT = 3.0  # of the error of the motion that the codes expected say, in units of its variance
REPORT = 200  # steps


@dataclass(frozen=True)
class Recordings:
    """Features with motion: mel (N, N_MELS) at 100 Hz, motion (N / 2, choices, C) at 50 Hz, both float16.

    Where there is one choice, `manner` (N / 2,) says whose each row is; else the choice is the manner.
    """

    mel: Tensor
    motion: Tensor
    manner: Tensor | None = None

    def batch(self, generator: torch.Generator, size: int = BATCH) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N_MELS, CROP) features, (B, C, CROP / 2) motion and (B,) manners."""
        crop = min(CROP, len(self.mel) // FRAMES_A_CODE * FRAMES_A_CODE)
        places = (len(self.mel) - crop) // FRAMES_A_CODE + 1
        starts = (torch.randint(places, (size,), generator=generator) * FRAMES_A_CODE).tolist()
        choices = torch.randint(self.motion.shape[1], (size,), generator=generator)
        mel = torch.stack([self.mel[s : s + crop] for s in starts]).float().transpose(1, 2)
        motion = torch.stack(
            [self.motion[s // 2 : (s + crop) // 2, c] for s, c in zip(starts, choices.tolist(), strict=True)]
        )
        if self.manner is not None:
            choices = self.manner[[s // 2 for s in starts]].long()
        return mel, motion.float().transpose(1, 2), choices


def begun(codec: Codec, manners: int, visemenet: VisemeNet) -> Speaker:
    """A speaker for the codec's codes that starts from VisemeNet's trunk."""
    speaker = Speaker(codec.slots, codec.codes, manners)
    trunk = {k: v for k, v in visemenet.state_dict().items() if not k.startswith("write.")}
    speaker.listener.load_state_dict(trunk, strict=False)
    return speaker


def shifted(codes: Tensor, unknown: int) -> Tensor:
    """Codes (B, N, S) one set later; the first is not known."""
    return torch.cat([torch.full_like(codes[:, :1], unknown), codes[:, :-1]], dim=1)


def misremembered(codes: Tensor, unknown: int, generator: torch.Generator) -> Tensor:
    """Codes (B, N, S), some of them forgotten or wrong."""
    chance = torch.rand(codes.shape, generator=generator)
    other = torch.randint(unknown, codes.shape, generator=generator)
    wrong = torch.rand(codes.shape, generator=generator) < WRONG_SHARE
    return torch.where(chance < FORGET_SHARE, unknown, torch.where(wrong, other, codes))


def losses(
    speaker: Speaker, codec: Codec, mel: Tensor, motion: Tensor, manner: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the codes in nats, and the error of the motion expected, in units of its variance."""
    with torch.no_grad():
        codes = codec.nearest(codec.encode(motion)).transpose(1, 2)
    unknown = codec.codes
    shares = nn.functional.one_hot(manner, speaker.manners).float()
    remembered = misremembered(codes, unknown, generator)
    with torch.autocast("cpu", torch.bfloat16):
        heard = speaker.hear(mel, shares)
        with torch.no_grad():
            # What it would have said itself: it must go on from its own mistakes, which hang together.
            own = speaker(heard, shifted(remembered, unknown), remembered).argmax(3)
            alone = torch.rand(len(codes), 1, 1, generator=generator) < OWN_SHARE
            remembered = torch.where(alone, misremembered(own, unknown, generator), remembered)
            without = torch.rand(len(codes), 1, 1, generator=generator) < ALONE_SHARE
            before = torch.where(without, unknown, shifted(remembered, unknown))
        logits = speaker(heard, before, remembered)
    logits = logits.float()
    entropy = nn.functional.cross_entropy(logits.flatten(0, 2), codes.flatten())
    expected = torch.einsum("bnsk,skd->bsdn", logits.softmax(3), codec.codebook)
    error = (codec.decode(expected) - motion) / codec.scale[:, None]
    return entropy, error.square().mean()


def train_speaker(
    speaker: Speaker,
    codec: Codec,
    data: Recordings,
    *,
    steps: int,
    minutes: float,
    generator: torch.Generator,
) -> float:
    """Train until `steps` or `minutes`; the speaker becomes the moving average of its weights.

    Returns the mean cross-entropy of the last steps, in nats a code.
    """
    codec.requires_grad_(False)
    average = {name: value.detach().clone() for name, value in speaker.named_parameters()}
    optimiser = torch.optim.AdamW(speaker.parameters(), PEAK_RATE, weight_decay=WEIGHT_DECAY)
    began, step, recent, sums = time.monotonic(), 0, 0.0, [0.0, 0.0]
    while True:
        progress = max(step / steps, (time.monotonic() - began) / 60 / minutes)
        if progress >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, progress, PEAK_RATE)
        mel, motion, manner = data.batch(generator)
        entropy, error = losses(speaker, codec, disturb(mel, generator), motion, manner, generator)
        optimiser.zero_grad()
        (entropy + MOTION_WEIGHT * error).backward()
        nn.utils.clip_grad_norm_(speaker.parameters(), 1.0)
        optimiser.step()
        step += 1
        keep = min(AVERAGE, step / (step + 10))
        with torch.no_grad():
            for name, value in speaker.named_parameters():
                average[name].lerp_(value, 1 - keep)
        recent = entropy.item() if step == 1 else 0.98 * recent + 0.02 * entropy.item()
        if not math.isfinite(recent):
            raise SystemExit(f"The loss is no number any more at step {step}; use another seed or less data.")
        sums = [sums[0] + entropy.item(), sums[1] + error.item()]
        if step % REPORT == 0:
            spent = time.monotonic() - began
            logging.info(
                "speech step %d, %.0f s, %.3f nats a code, motion %.3f",
                step,
                spent,
                sums[0] / REPORT,
                sums[1] / REPORT,
            )
            sums = [0.0, 0.0]
    with torch.no_grad():
        for name, value in speaker.named_parameters():
            value.copy_(average[name])
    codec.requires_grad_(True)
    return recent
