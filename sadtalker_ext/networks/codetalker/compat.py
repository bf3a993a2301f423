"""Where the published CodeTalker surprises: every such choice, what it does, and the choice that is sounder.

Weights know only the choices with which they were trained, so published files need `PUBLISHED`. A training of
one's own may take `SOUND`, or any mixture; what it took travels with its weights (see `state.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AUDIO_RATE = 50  # steps/s of wav2vec 2.0
LONGEST = 600  # frames: rows of the published attention mask and position table


@dataclass(frozen=True)
class Compat:
    """One field a surprise; the defaults are what the published files need.

    positions: what the stage-1 transformers add to their frames. The published code takes rows of its
        position table by the place in the *batch*: "batch". With one clip that is row 0 for every frame:
        "first", where clips do not depend on their neighbours. "frame" are positions in time, "none" nothing.
    scale_by_width: logits of the stage-1 attention are divided by the root of the whole width, not of a
        head's.
    norm: after each convolution of stage 1, "clip" normalises a channel over the whole clip, so that what is
        encoded and decoded depends on the clip's length and on later frames; "frame" normalises the channels
        of one frame. Over a clip of one frame "clip" would be undefined: the frame is then doubled, and what
        is decoded does not depend on its codes.
    start_with_bias: training begins with an embedded frame of zeros, which is its layer's bias, beside the
        style. Published inference begins with the style alone; True lets it begin as training does.
    stretch: how steps of sound are laid on frames where their rates differ. "ends" puts the first on the
        first and the last on the last, over a number of frames that is rounded down, so that sound comes up
        to 27 ms early towards the end; "clock" goes by time. In training the true number of frames is given.
    longest: frames; the published inference knows no more.
    """

    positions: Literal["first", "batch", "frame", "none"] = "first"
    scale_by_width: bool = True
    norm: Literal["clip", "frame"] = "clip"
    start_with_bias: bool = False
    stretch: Literal["ends", "clock"] = "ends"
    longest: int = LONGEST


PUBLISHED = Compat()
SOUND = Compat(positions="frame", scale_by_width=False, norm="frame", start_with_bias=True, stretch="clock")


@dataclass(frozen=True)
class Rhythm:
    """How sound and frames go together.

    fps: frames/s. period: frames after which the positions of stage 2 repeat and its attention weakens by a
    step. pairs: each frame looks at two whole steps of sound; otherwise steps are interpolated to frames.
    """

    fps: int
    period: int
    pairs: bool

    def frames(self, steps: int) -> int:
        """How many frames the published inference makes of that many steps of sound."""
        return steps // 2 if self.pairs else int(steps / AUDIO_RATE * self.fps)

    @property
    def keys(self) -> int:
        """Rows of sound that one frame looks at."""
        return 2 if self.pairs else 1


VOCASET = Rhythm(fps=30, period=30, pairs=False)
BIWI = Rhythm(fps=25, period=25, pairs=True)
BIWI_VERTICES = 23370
