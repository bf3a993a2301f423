"""Where the published CodeTalker surprises: every such choice, what it does, and the choice that is sounder.

Weights know only the choices with which they were trained, so published files need `PUBLISHED`. A training of
one's own may take `SOUND`, or any mixture; what it took travels with its weights (see `state_dicts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AUDIO_RATE = 50  # steps/s of wav2vec 2.0
LONGEST = 600  # frames: rows of the published attention mask and position table
MOST_FRAMES = 1_000_000  # that `longest` or a period may name
FASTEST = 240  # frames/s


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
        is decoded does not depend on its codes. "clip" does not go with positions in time.
    start_with_bias: training begins with an embedded frame of zeros, which is its layer's bias, beside the
        style. Published inference begins with the style alone; True lets it begin as training does.
    stretch: how steps of sound are laid on frames where their rates differ. "ends" puts the first on the
        first and the last on the last, over a number of frames that is rounded down, so that sound comes up
        to 27 ms early towards the end; "clock" goes by time. In training the true number of frames is given.
    longest: frames; the published inference knows no more.

    Raises `ValueError` for other values, as a file may hold.
    """

    positions: Literal["first", "batch", "frame", "none"] = "first"
    scale_by_width: bool = True
    norm: Literal["clip", "frame"] = "clip"
    start_with_bias: bool = False
    stretch: Literal["ends", "clock"] = "ends"
    longest: int = LONGEST

    def __post_init__(self) -> None:
        for name, known in (
            ("positions", ("first", "batch", "frame", "none")),
            ("scale_by_width", (True, False)),
            ("norm", ("clip", "frame")),
            ("start_with_bias", (True, False)),
            ("stretch", ("ends", "clock")),
        ):
            value = getattr(self, name)
            if not isinstance(value, type(known[0])) or value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, not {value!r}")
        _require_whole("longest", self.longest, MOST_FRAMES)
        if self.positions == "frame" and self.norm == "clip":
            raise ValueError("positions in time (frame) do not go with norms over the clip")


def _require_whole(name: str, value: object, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, not {value!r}")


PUBLISHED = Compat()
SOUND = Compat(positions="frame", scale_by_width=False, norm="frame", start_with_bias=True, stretch="clock")


@dataclass(frozen=True)
class Rhythm:
    """How sound and frames go together.

    fps: frames/s. period: frames after which the positions of stage 2 repeat and its attention weakens by a
    step. pairs: each frame looks at two whole steps of sound; otherwise steps are interpolated to frames.

    Raises `ValueError` for what is no rhythm, as a file may hold.
    """

    fps: int
    period: int
    pairs: bool

    def __post_init__(self) -> None:
        _require_whole("fps", self.fps, FASTEST)
        _require_whole("period", self.period, MOST_FRAMES)
        if not isinstance(self.pairs, bool):
            raise ValueError(f"pairs must be true or false, not {self.pairs!r}")

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
