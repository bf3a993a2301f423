"""CodeTalker for speech of any length: codes frame by frame at a constant cost, decoded by stretches."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np
import torch

from ...host import Check, Report
from ...system.caches import on_release
from .networks import CodeQuery, VQAutoEncoder
from .networks.compat import AUDIO_RATE
from .networks.fast import EDGE, Loop, PrefixDecoder, StepQuery
from .networks.wav2vec import HOP, SAMPLE_RATE, level, normalised, samples_for


@dataclass(frozen=True)
class Fast:
    """What the fast mode may leave out. Clips up to `block` frames are decoded whole, as published.

    growth: the fed-back motion is decoded anew from all frames whenever there are a `growth`-th more of them.
    window: frames that attention reaches back. block, overlap: frames that are decoded together, and across
    which two stretches fade into each other. hearing_s, hearing_overlap_s: the same for wav2vec 2.0, in whole
    seconds. by_clock: sound is laid on frames by time; otherwise as published, which takes clips of one
    stretch only.
    """

    growth: int = 30
    window: int = 600
    block: int = 600
    overlap: int = 60
    hearing_s: int = 24
    hearing_overlap_s: int = 4
    by_clock: bool = True


USUAL = Fast()


def frame_count(stage2: CodeQuery, samples: int) -> int:
    """Every frame that has begun by the end of the sound but for the last, incomplete one."""
    return int(samples * stage2.fps / SAMPLE_RATE + 1e-6)


@torch.no_grad()
def blocks(
    stage1: VQAutoEncoder,
    stage2: CodeQuery,
    samples: np.ndarray,
    manner: torch.Tensor,
    check: Check,
    report: Report,
    ways: Fast = USUAL,
) -> Iterator[torch.Tensor]:
    """(n, width) stretches of what stage 1's last layer turns into offsets, in order.

    samples: (N,) at 16 kHz. manner: (width,).
    """
    if ways.by_clock:
        total, heard = frame_count(stage2, len(samples)), _heard(stage2, samples, ways)
    else:
        speech = normalised(torch.from_numpy(np.array(samples, np.float32)))
        whole = stage2.hear(speech[None].to(manner.device))
        total, heard = whole.shape[1] // stage2.rhythm.keys, iter([whole])
    query, prefix = (StepQuery(stage2, ways.window), PrefixDecoder(stage1, ways.growth, ways.window))
    loop = _loop(stage1, stage2)
    manner = manner[None]
    embedded = manner + stage2.vertice_map.bias if stage2.compat.start_with_bias else manner
    decoded = _Stretches(stage1, prefix, ways, total)
    done = 0
    for rows in heard:
        query.listen(rows)
        for _ in range(rows.shape[1] // stage2.rhythm.keys):
            check()
            features = stage1.quantize.lookup(stage1.quantize.nearest(query.step(embedded)))
            done += 1
            if done < total or total > ways.block:  # after the last frame only its norms are needed
                embedded = loop(prefix.step(features)) + manner
            report(done, total)
            yield from decoded.add(features)


def _heard(stage2: CodeQuery, samples: np.ndarray, ways: Fast) -> Iterator[torch.Tensor]:
    """Rows of what frames look at, (1, M, width), for stretches of frames in order, by the clock."""
    keys, fps = stage2.rhythm.keys, stage2.fps
    total, device = frame_count(stage2, len(samples)), stage2.feat_map.weight.device
    mean, deviation = level(samples)
    fading = torch.zeros(0)
    for start_s in count(0, ways.hearing_s - ways.hearing_overlap_s):
        first = start_s * fps
        frames = min(ways.hearing_s * fps, total - first)
        needed = 2 * frames if keys == 2 else math.ceil((frames - 1) * AUDIO_RATE / fps) + 1
        begin = start_s * AUDIO_RATE * HOP
        part = np.asarray(samples[begin : begin + samples_for(needed)], np.float64)
        part = np.pad((part - mean) / deviation, (0, samples_for(needed) - len(part)))
        steps = stage2.cnn(torch.from_numpy(part).float()[None].to(device))
        paced = stage2.paced(steps, frames) if keys == 2 else stage2.by_clock(steps, frames)
        rows = stage2.audio_feature_map(stage2.encode_speech(paced))
        if fading.numel():
            shared = min(fading.shape[1], rows.shape[1])
            share = torch.linspace(0, 1, shared + 2, device=rows.device)[1:-1, None]
            rows[:, :shared] = torch.lerp(fading[:, :shared], rows[:, :shared], share)
        if first + frames >= total:
            yield rows
            return
        kept = ways.hearing_overlap_s * fps * keys
        fading = rows[:, -kept:]
        yield rows[:, :-kept]


class _Stretches:
    """Quantised features into stretches for the last layer, which fade into each other where they overlap."""

    def __init__(self, stage1: VQAutoEncoder, prefix: PrefixDecoder, ways: Fast, total: int) -> None:
        self.stage1, self.prefix, self.ways, self.total = stage1, prefix, ways, total
        self.features: deque[torch.Tensor] = deque(maxlen=ways.block + EDGE)
        self.count = self.given = 0  # frames taken, frames given out
        self.end = min(ways.block, total)  # of the stretch that is being gathered
        self.fading: torch.Tensor | None = None  # the stretch before, where it overlaps this one

    def add(self, features: torch.Tensor) -> Iterator[torch.Tensor]:
        """features: (1, slots · code) of the next frame."""
        self.features.append(features)
        self.count += 1
        if self.count < self.end:
            return
        fresh = self._decoded()[self.given - self.count :]
        if self.fading is not None:
            shared = len(self.fading)
            share = torch.linspace(0, 1, shared + 2, device=fresh.device)[1:-1, None]
            fresh = torch.cat([torch.lerp(self.fading, fresh[:shared], share), fresh[shared:]])
        if self.end == self.total:
            yield fresh
            return
        overlap = self.ways.overlap
        self.fading, self.given = fresh[-overlap:], self.count - overlap
        self.end = min(self.end + self.ways.block - overlap, self.total)
        yield fresh[:-overlap]

    def _decoded(self) -> torch.Tensor:
        if self.total <= self.ways.block:
            return self.stage1.hidden(torch.cat(list(self.features))[None])[0]
        context = min(EDGE, self.count - self.ways.block)
        stretch = list(self.features)[-(self.ways.block + context) :]
        return self.prefix.block(torch.cat(stretch), context)


_loops: WeakKeyDictionary[VQAutoEncoder, tuple[ReferenceType[CodeQuery], Loop]] = WeakKeyDictionary()
on_release(_loops.clear)


def _loop(stage1: VQAutoEncoder, stage2: CodeQuery) -> Loop:
    """Made once for two networks: it takes as long as several frames."""
    kept = _loops.get(stage1)
    if kept is None or kept[0]() is not stage2 or kept[1].weight.device != stage2.vertice_map.weight.device:
        kept = ref(stage2), Loop(stage1, stage2)
        _loops[stage1] = kept
    return kept[1]
