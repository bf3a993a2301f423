"""Speech becomes motion of a mesh: CodeTalker's networks asked frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ...errors import AudioError, OptionsError, WeightsError
from ...host import Check, Report, nothing
from . import query_fast as code_query_fast
from .networks import CodeQuery, VQAutoEncoder
from .networks.prefix import PrefixQuery
from .networks.wav2vec import SAMPLE_RATE, normalised, steps

PIECE = 50  # frames that are handed out together

Style = int | tuple[int, int, float]  # a manner, or two and the share (0..1) of the second


def frame_count(stage2: CodeQuery, samples: int, *, exact: bool = False) -> int:
    """How many frames that many samples at 16 kHz become; the published loop gives one or two fewer."""
    if exact:
        return stage2.rhythm.frames(steps(samples))
    return code_query_fast.frame_count(stage2, samples)


def exact_limit_s(stage2: CodeQuery) -> float:
    """Seconds of speech that the published loop can take: 20 at 30 frames/s, 24 at 25."""
    return stage2.compat.longest / stage2.fps


def predict(
    stage1: VQAutoEncoder,
    stage2: CodeQuery,
    samples: np.ndarray,
    *,
    style: Style = 0,
    exact: bool = False,
    check: Check = nothing,
    report: Report = nothing,
) -> Iterator[np.ndarray]:
    """Blocks of offsets from the template, float32 (n, 3·vertices), in the template's units, in order.

    samples: (N,) float32 at 16 kHz. style: 0..`stage2.styles` - 1, or a mixture of two. check: called before
    every frame. exact: the published loop, bit for bit, for up to `exact_limit_s` seconds. Without it speech
    may be of any length, time is linear in it, and memory does not grow. What then differs:

    * Sound is laid on frames by the clock, and the last frames are there; published inference ends a frame
      early and, at 30 frames/s, stretches 27 ms (see `Compat.stretch`).
    * The fed-back motion of the first 60 frames is decoded from all before, as published; later that is done
      whenever there are a thirtieth more of them, and in between from the newest and what was kept of the
      others, with the norms of all. With sound laid on frames alike, vertices of two small networks trained
      on synthetic heads were off by less than 1.2 % of their spread on five of six recordings (up to 8 s),
      and by 17 % on one: a code that falls otherwise is fed back. Official weights could not be tried.
    * Up to 20 s at 30 frames/s, or 24 s at 25, everything else is as published: attention over all frames,
      and all codes decoded together. Longer speech is heard and decoded in stretches that overlap and fade
      into each other, with norms of all frames so far, and attention reaches back over as many frames.

    Raises `AudioError` for speech too short or too long, `OptionsError` for a style that is not there.
    """
    _check_stage(stage1)
    frames = frame_count(stage2, len(samples), exact=exact)
    if frames < 1:
        raise AudioError("The speech is too short for a single frame; give it at least a tenth of a second.")
    manner = _manner(stage2, style)
    if exact and frames > stage2.compat.longest:
        raise AudioError(
            f"The exact mode takes at most {exact_limit_s(stage2):g} s of speech, and this is "
            f"{len(samples) / SAMPLE_RATE:.1f} s; turn the exact mode off, which takes any length."
        )
    way = _exact if exact else _fast
    return way(stage1, stage2, samples, manner, check, report)


@torch.no_grad()
def _fast(
    stage1: VQAutoEncoder,
    stage2: CodeQuery,
    samples: np.ndarray,
    manner: torch.Tensor,
    check: Check,
    report: Report,
) -> Iterator[np.ndarray]:
    for hidden in code_query_fast.blocks(stage1, stage2, samples, manner, check, report):
        for piece in hidden.split(PIECE):
            yield stage1.decoder.vertice_map_reverse(piece).cpu().numpy()


@torch.no_grad()
def _exact(
    stage1: VQAutoEncoder,
    stage2: CodeQuery,
    samples: np.ndarray,
    manner: torch.Tensor,
    check: Check,
    report: Report,
) -> Iterator[np.ndarray]:
    speech = normalised(torch.from_numpy(np.array(samples, np.float32)))
    heard = stage2.hear(speech[None].to(manner.device))
    frames = heard.shape[1] // stage2.rhythm.keys
    prefix = PrefixQuery(stage2, heard)
    manner = manner.view(1, 1, -1)
    embedded = manner + stage2.vertice_map.bias if stage2.compat.start_with_bias else manner
    for done in range(1, frames + 1):
        check()
        features, _ = stage1.quantize.snap(prefix.attend(stage2.placed(embedded)))
        if done < frames:
            last = stage1.decode(features)[:, -1:]
            embedded = torch.cat([embedded, stage2.vertice_map(last) + manner], dim=1)
        report(done, frames)
    for piece in stage1.decode(features)[0].split(PIECE):
        yield piece.cpu().numpy()


def _check_stage(stage1: VQAutoEncoder) -> None:
    if stage1.sizes.halvings:
        raise WeightsError(
            "This stage 1 has fewer codes than frames, which no published stage 2 knows; use another one."
        )


def _manner(stage2: CodeQuery, style: Style) -> torch.Tensor:
    first, second, share = (style, None, 0.0) if isinstance(style, int) else style
    for number in (first, second):
        if number is not None and not 0 <= number < stage2.styles:
            raise OptionsError(
                f"There is no manner {number}; these weights know {stage2.styles}, "
                f"numbered from 0 to {stage2.styles - 1}."
            )
    if not 0 <= share <= 1:
        raise OptionsError(f"The share of the second manner is {share:g}; it must lie between 0 and 1.")
    return stage2.style(first, second, share).detach()
