"""Speech becomes motion of a mesh: CodeTalker's networks asked frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from ..errors import AudioError, OptionsError
from ..networks.codetalker import CodeQuery, VQAutoEncoder
from ..networks.codetalker.prefix import PrefixQuery
from ..networks.codetalker.speech import SAMPLE_RATE, normalised, steps

PIECE = 50  # frames that are handed out together

Style = int | tuple[int, int, float]  # a manner, or two and the share (0..1) of the second
Check = Callable[[], None]
Report = Callable[[int, int], None]  # frames done, frames in all


def frame_count(stage2: CodeQuery, samples: int) -> int:
    """How many frames that many samples at 16 kHz become."""
    return stage2.rhythm.frames(steps(samples))


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
    check: Check | None = None,
    report: Report | None = None,
) -> Iterator[np.ndarray]:
    """Blocks of offsets from the template, float32 (n, 3·vertices), in the template's units, in order.

    samples: (N,) float32 at 16 kHz. style: 0..`stage2.styles` - 1.
    """
    frames = frame_count(stage2, len(samples))
    if frames < 1:
        raise AudioError("The speech is too short for a single frame; give it at least a tenth of a second.")
    manner = _manner(stage2, style)
    if exact and frames > stage2.compat.longest:
        raise AudioError(
            f"The exact mode takes at most {exact_limit_s(stage2):g} s of speech, and this is "
            f"{len(samples) / SAMPLE_RATE:.1f} s; turn the exact mode off, which takes any length."
        )
    speech = torch.from_numpy(np.ascontiguousarray(samples, np.float32)).to(manner.device)
    return _exact(stage1, stage2, speech, manner, check or _nothing, report or _nothing)


@torch.no_grad()
def _exact(
    stage1: VQAutoEncoder,
    stage2: CodeQuery,
    speech: torch.Tensor,
    manner: torch.Tensor,
    check: Check,
    report: Report,
) -> Iterator[np.ndarray]:
    heard = stage2.hear(normalised(speech)[None])
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


def _nothing(*_: object) -> None:
    pass
