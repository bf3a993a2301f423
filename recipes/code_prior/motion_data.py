"""Turns mouth tracks of speech, and drawn expressions, into batches of disturbed and clean motion."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sadtalker_ext.motion.code_layout import FACE, MOUTH, PAIRED, ROWS_A_SECOND
from sadtalker_ext.motion.eyes import BLINK_S, blink_shape
from sadtalker_ext.motion.head import smootherstep

BATCH, CROP = 48, 128  # crops of so many rows
PLAIN_SHARE = 0.6  # of the crops that are speech as it is; the rest widens what the codes can say
CLEAN_SHARE = 0.4  # of the crops that are given as they are
NOISE = 0.08  # largest standard deviation of jitter, of a coefficient's range
SPIKE_SHARE = 0.02  # of the rows, in crops with spikes
JAW, CLOSE, PRESS = MOUTH.index("jawOpen"), MOUTH.index("mouthClose"), MOUTH.index("mouthPress")


def disturbed(motion: Tensor, generator: torch.Generator, size: Tensor | float = 1.0) -> Tensor:
    """Motion (B, C, T) with jitter, spikes and rows that stand still, in most crops.

    size: (C, 1), what a coefficient's range is.
    """
    batch, columns, rows = motion.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    noisy = uniform(batch, 1, 1) > CLEAN_SHARE
    deviation = NOISE * uniform(batch, 1, 1) * 2 * uniform(batch, columns, 1) * noisy * size
    given = motion + deviation * torch.randn(motion.shape, generator=generator)
    spikes = (uniform(batch, 1, rows) < SPIKE_SHARE) & (uniform(batch, 1, 1) < 0.3) & noisy
    given = given + spikes * 4 * NOISE * size * torch.randn(batch, columns, rows, generator=generator)
    held = (uniform(batch, 1, rows) < 0.1) & (uniform(batch, 1, 1) < 0.3) & noisy
    held[:, :, 0] = False
    return torch.where(held, torch.roll(given, 1, 2), given)


class MouthBatches:
    """Random crops of mouth tracks (N, manners, len(MOUTH)), widened by mouths of another build."""

    def __init__(self, tracks: Tensor) -> None:
        self.tracks = tracks

    def __call__(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        clean = _widened(self.plain(generator), generator).clamp(0, 1)
        return disturbed(clean, generator), clean

    def plain(self, generator: torch.Generator) -> Tensor:
        """(BATCH, C, rows) crops of speech as it is, each in one of the manners."""
        rows = min(CROP, len(self.tracks) - len(self.tracks) % 2)
        starts = torch.randint(len(self.tracks) - rows + 1, (BATCH,), generator=generator).tolist()
        manners = torch.randint(self.tracks.shape[1], (BATCH,), generator=generator).tolist()
        crops = [self.tracks[s : s + rows, m] for s, m in zip(starts, manners, strict=True)]
        return torch.stack(crops).float().transpose(1, 2)


def _widened(mouth: Tensor, generator: torch.Generator) -> Tensor:
    batch, columns, rows = mouth.shape
    other = torch.rand(batch, 1, 1, generator=generator) > PLAIN_SHARE
    gain = torch.exp(0.3 * torch.randn(batch, columns, 1, generator=generator))
    gain[:, PRESS] = 1
    slow = torch.randn(batch, columns, 4, generator=generator) * 0.15
    slow = slow * (torch.rand(batch, columns, 1, generator=generator) < 0.25)
    slow[:, PRESS] = 0
    slow = torch.nn.functional.interpolate(slow, size=rows, mode="linear", align_corners=True)
    wide = (mouth * gain + slow).clamp(0, 1)
    # Some trackers close lips by mouthClose, as much as the jaw is open, and not by mouthPress.
    by_close = torch.rand(batch, 1, generator=generator) < 0.4
    press = wide[:, PRESS]
    wide[:, CLOSE] = torch.where(by_close, press * wide[:, JAW], wide[:, CLOSE])
    wide[:, PRESS] = torch.where(by_close, press * torch.rand(batch, 1, generator=generator), press)
    return torch.where(other, wide, mouth)


class FaceBatches:
    """Random crops of drawn expressions (N, len(FACE))."""

    def __init__(self, tracks: Tensor) -> None:
        self.tracks = tracks

    def __call__(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        clean = crops_of(self.tracks, generator)
        return disturbed(clean, generator), clean


class PlainBatches(FaceBatches):
    """Random crops of motion (N, C) of any kind, disturbed in proportion to how far each column moves."""

    def __init__(self, tracks: Tensor) -> None:
        super().__init__(tracks)
        self.size = 4 * tracks.float().std(0)[:, None]

    def __call__(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        clean = self.plain(generator)
        return disturbed(clean, generator, self.size), clean

    def plain(self, generator: torch.Generator) -> Tensor:
        """(BATCH, C, rows) crops as they are."""
        return crops_of(self.tracks, generator)


def crops_of(tracks: Tensor, generator: torch.Generator) -> Tensor:
    """(BATCH, C, CROP or the largest even number of rows there are) of tracks (N, C)."""
    rows = min(CROP, len(tracks) - len(tracks) % 2)
    starts = torch.randint(len(tracks) - rows + 1, (BATCH,), generator=generator).tolist()
    return torch.stack([tracks[s : s + rows] for s in starts]).float().transpose(1, 2)


def drawn_faces(minutes: float, seed: int) -> np.ndarray:
    """(N, len(FACE)) float32 at 50 Hz: expressions that come, hold and go, blinks, brows, uneven mouths.

    A vocabulary drawn at random, not observed: both sides mostly move together, a few things at a time.
    """
    rng = np.random.default_rng(seed)
    rows = round(minutes * 60 * ROWS_A_SECOND)
    tracks = np.zeros((rows, len(FACE)), np.float32)
    done: set[str] = set()
    for name in FACE:
        base = name.removesuffix("Left").removesuffix("Right")
        if base in done:
            continue
        done.add(base)
        sides = [FACE.index(other) for other in (f"{base}Left", f"{base}Right") if other in FACE]
        if base == "eyeBlink":
            tracks[:, sides] = _blinks(rng, rows)[:, None]
        elif len(sides) == 2:
            both = _expressions(rng, rows)
            alone = [_expressions(rng, rows, often=0.2) for _ in sides]
            for side, own in zip(sides, alone, strict=True):
                tracks[:, side] = np.clip(both * rng.uniform(0.85, 1.15) + own, 0, 1)
        else:
            signed = name.removesuffix("Difference") in PAIRED
            curve = _expressions(rng, rows, often=0.5)
            tracks[:, FACE.index(name)] = (
                (curve - _expressions(rng, rows, often=0.5)) * 0.5 if signed else curve
            )
    return tracks


def _expressions(rng: np.random.Generator, rows: int, often: float = 1.0) -> np.ndarray:
    """(rows,) 0..1: rises, plateaus and falls, with rest between."""
    curve = np.zeros(rows, np.float32)
    at = 0
    while at < rows:
        at += int(rng.exponential(5.0 / often) * ROWS_A_SECOND)
        rise, hold, fall = (rng.uniform(*r) for r in ((0.08, 0.7), (0.0, 2.5), (0.1, 0.9)))
        since = np.arange(int((rise + hold + fall) * ROWS_A_SECOND) + 1) / ROWS_A_SECOND
        shape = smootherstep(since / rise) - smootherstep((since - rise - hold) / fall)
        last = min(rows, at + len(shape))
        if at < last:
            height = rng.uniform(0.1, 1.0) ** 1.5
            curve[at:last] = np.maximum(curve[at:last], height * shape[: last - at])
        at += len(shape) // 2
    return curve


def _blinks(rng: np.random.Generator, rows: int) -> np.ndarray:
    shut = np.zeros(rows, np.float32)
    seconds = 0.0
    while (seconds := seconds + rng.gamma(3.0, 1.0)) < rows / ROWS_A_SECOND - BLINK_S * 1.5:
        first = int(np.ceil(seconds * ROWS_A_SECOND))
        speed = rng.uniform(0.75, 1.4)
        seen = np.arange(first, first + int(BLINK_S / speed * ROWS_A_SECOND) + 1)
        seen = seen[seen < rows]
        shape = blink_shape((seen / ROWS_A_SECOND - seconds) * speed) * rng.uniform(0.7, 1.0)
        shut[seen] = np.maximum(shut[seen], shape)
    return shut
