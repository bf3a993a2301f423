"""Turns features and mouth tracks into the trained weights of VisemeNet (float16 safetensors)."""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recipes.visemenet.augment import filterbank
from recipes.visemenet.corpus import FLITE_PREFIX
from recipes.visemenet.dataset import SPECTRUM_FILE
from recipes.visemenet.evaluate import CLOSE, matches, middles, predict
from sadtalker_ext.motion.visemenet import N_MELS, N_TRACKS, STRIDE, VisemeNet
from sadtalker_ext.motion.visemes import VISEMES

BATCH = 32
FLITE_SHARE = 0.3  # of the crops
CROP = 400  # frames, 4 s
PEAK_RATE = 2e-3
LAST_RATE = 2e-5
WARMUP = 300  # steps
WEIGHT_DECAY = 1e-2
AVERAGE = 0.999  # of the moving average of the weights, which is what is kept
REPORT = 500  # steps
VALIDATION_FRAMES = 200_000
# Shut, labiodental and speaking are decisions; the other tracks are positions.
DECISIONS = tuple(VISEMES.index(name) for name in ("close", "labiodental", "speech"))
POSITIONS = tuple(i for i in range(N_TRACKS) if i not in DECISIONS)
POSITION_WEIGHTS = (3.0, 1.5, 2.0, 1.0, 0.6)  # jaw, width, round, teeth, tongue
DECISION_WEIGHTS = (0.5, 0.2, 0.08)  # close, labiodental, speech
VELOCITY_WEIGHT = 1.0
WIDTH_TRACK = VISEMES.index("width")


def _by_flite(file: Path) -> bool:
    return file.stem.startswith(FLITE_PREFIX)


def split_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files to train on, and those that only balance closures: the last shard of either source."""
    shards: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("train_*.npz")):
        shards.setdefault(file.stem.rpartition("_")[0], []).append(file)
    kinds = [[s for s in shards if s.startswith(FLITE_PREFIX) is by_flite] for by_flite in (False, True)]
    last = {names[-1] for names in kinds if names}
    train = [file for shard, copies in shards.items() if shard not in last for file in copies]
    return train, [shards[shard][0] for shard in sorted(last)]


class Features:
    """All arrays of a folder, read at random places."""

    def __init__(self, files: list[Path]) -> None:
        files = sorted(files, key=_by_flite)
        parts = [torch.from_numpy(np.load(f)["x"]) for f in files]
        self.flite_start = sum(len(p) for p, f in zip(parts, files, strict=True) if not _by_flite(f))
        self.x = torch.cat(parts)
        self.y = torch.cat([torch.from_numpy(np.load(f)["y"]) for f in files])

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(BATCH, N_MELS, CROP) features and (BATCH, N_TRACKS, CROP) tracks."""
        places = torch.rand(BATCH, generator=generator, dtype=torch.float64)
        by_flite = torch.rand(BATCH, generator=generator) < FLITE_SHARE
        first, last = self.flite_start, len(self.x) - CROP
        if not 0 < first < last:  # all by one synthesiser
            first, by_flite = 0, torch.ones(BATCH, dtype=torch.bool)
        starts = torch.where(by_flite, first + places * (last - first), places * (first - CROP))
        x = torch.stack([self.x[s : s + CROP] for s in starts.long().tolist()]).float().transpose(1, 2)
        y = torch.stack([self.y[s : s + CROP] for s in starts.long().tolist()]).float().transpose(1, 2)
        return x, y


def disturb(x: Tensor, generator: torch.Generator) -> Tensor:
    """Cheap variety for every visit: formants moved along the mel axis, colour, level, noise, lost bands."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    batch = len(x)
    place = (torch.arange(N_MELS) + uniform(-1.5, 1.5, batch, 1)).clamp(0, N_MELS - 1.001)
    low = place.floor().long()
    share = (place - low)[:, :, None]
    rows = torch.arange(batch)[:, None]
    x = x[rows, low] * (1 - share) + x[rows, low + 1] * share
    colour = nn.functional.interpolate(
        normal(batch, 1, 6) * 0.15, size=N_MELS, mode="linear", align_corners=True
    )
    x = x + colour.transpose(1, 2) + normal(batch, 1, 1) * 0.1
    floor = torch.where(
        uniform(0, 1, batch, 1, 1) < 0.4, uniform(-3.0, -0.9, batch, 1, 1), torch.tensor(-9.0)
    )
    x = torch.logaddexp(3 * x, 3 * (floor + normal(batch, N_MELS, 1) * 0.2)) / 3
    for row in range(0, batch, 3):
        first = int(torch.randint(0, N_MELS - 6, (1,), generator=generator))
        x[row, first : first + 1 + row % 6] = 0
    return x


def loss_of(logits: Tensor, truth: Tensor) -> Tensor:
    """Squared error of positions and their velocities, cross entropy of decisions; both (B, N_TRACKS, T)."""
    squashed = [
        torch.tanh(logits[:, i]) if i == WIDTH_TRACK else torch.sigmoid(logits[:, i]) for i in POSITIONS
    ]
    total = logits.new_zeros(())
    for i, predicted, weight in zip(POSITIONS, squashed, POSITION_WEIGHTS, strict=True):
        error = predicted - truth[:, i]
        speed = error[:, 2:] - error[:, :-2]
        total = total + weight * (error.square().mean() + VELOCITY_WEIGHT * speed.square().mean())
    for i, weight in zip(DECISIONS, DECISION_WEIGHTS, strict=True):
        total = total + weight * nn.functional.binary_cross_entropy_with_logits(
            logits[:, i], truth[:, i].clamp(0, 1)
        )
    return total


def learning_rate(step: int, progress: float) -> float:
    """Linear warm-up, then half a cosine over `progress` 0..1."""
    return min(1.0, step / WARMUP) * (
        LAST_RATE + (PEAK_RATE - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
    )


def calibrate(net: VisemeNet, x: np.ndarray, y: np.ndarray) -> float:
    """Shift the close track so that at 0.5 as many closures are missed as invented; returns the old level."""
    predicted, truth = predict(net, [x])[0][:, CLOSE], y[:, CLOSE]
    true = middles(truth)
    best, threshold = 2.0, 0.5
    for candidate in np.arange(0.25, 0.76, 0.01):
        logit = np.clip(predicted - candidate + 0.5, 0, 1)  # the same crossing, at one half
        seen = middles(logit)
        hits = matches(true, seen)
        gap = abs(hits / max(len(true), 1) - hits / max(len(seen), 1))
        if gap < best:
            best, threshold = gap, float(candidate)
    bias = net.write.bias
    assert bias is not None
    with torch.no_grad():
        bias[STRIDE * CLOSE : STRIDE * (CLOSE + 1)] -= math.log(threshold / (1 - threshold))
    return threshold


def save(net: VisemeNet, path: Path) -> str:
    """Write the weights, float16 but for the filterbank; returns the file's sha256."""
    from safetensors.torch import save_file

    tensors = {
        k: v.detach().clone() if k == "filterbank" else v.detach().half() for k, v in net.state_dict().items()
    }
    save_file(tensors, str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, required=True, help="folder of arrays that dataset.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="weights to write, .safetensors")
    parser.add_argument("--start", type=Path, default=None, help="weights to go on from")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop here, with the learning rate run down"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    files, held_back = split_files(args.features)
    data = Features(files)
    validation = [
        np.concatenate([np.load(f)[k][: VALIDATION_FRAMES // len(held_back)] for f in held_back]).astype(
            np.float32
        )
        for k in ("x", "y")
    ]

    net = VisemeNet()
    if args.start:
        from sadtalker_ext.motion.visemes import load_visemenet

        net.load_state_dict(load_visemenet(args.start).state_dict())
    net.filterbank.copy_(torch.from_numpy(filterbank()))
    net.spectrum.copy_(torch.from_numpy(np.load(args.features / SPECTRUM_FILE)))
    average = VisemeNet()
    average.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), PEAK_RATE, weight_decay=WEIGHT_DECAY)
    logging.info(
        "%d parameters, %.1f h of features", sum(p.numel() for p in net.parameters()), len(data.x) / 360_000
    )

    began, running, step = time.monotonic(), 0.0, 0
    while True:
        progress = max(step / args.steps, (time.monotonic() - began) / 60 / args.minutes)
        if progress >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, progress)
        x, y = data.batch(generator)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net.logits(disturb(x, generator))
        loss = loss_of(logits.float(), y)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        keep = min(AVERAGE, step / (step + 10))
        with torch.no_grad():
            for kept, weight in zip(average.parameters(), net.parameters(), strict=True):
                kept.lerp_(weight, 1 - keep)
        running += loss.item()
        if step % REPORT == 0:
            seconds = time.monotonic() - began
            logging.info("step %d, %.0f s, loss %.4f", step, seconds, running / REPORT)
            running = 0.0
            if step % (2 * REPORT) == 0:
                save(average, args.out.with_suffix(".unfinished"))

    threshold = calibrate(average.eval(), *validation)
    digest = save(average, args.out)
    logging.info("%d steps; closures were balanced at %.2f", step, threshold)
    logging.info("%s: %d bytes, sha256 %s", args.out, args.out.stat().st_size, digest)


if __name__ == "__main__":
    main()
