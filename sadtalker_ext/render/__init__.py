"""Renderers: a portrait and a motion track become frames, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from ..track import MotionTrack

if TYPE_CHECKING:
    import numpy as np

    from .warp.renderer import WarpRenderer

__all__ = ["Renderer", "WarpRenderer"]


class Renderer(Protocol):
    """Turns a motion track into frames of one portrait.

    accepts: names of the motion spaces it understands. size: width and height of a frame in pixels.
    has_alpha: whether frames have a fourth channel. region: x0, y0, x1, y1 in pixels of a frame, outside
    which every frame equals the picture.
    """

    accepts: frozenset[str]
    size: tuple[int, int]
    has_alpha: bool
    region: tuple[int, int, int, int]

    def opening(self, track: MotionTrack) -> np.ndarray | None:
        """(T,) lip gap in face widths that the frames show; None where it is not known beforehand."""
        ...

    def render(
        self, track: MotionTrack, *, check: Callable[[], None] | None = None
    ) -> Generator[np.ndarray, None, None]:
        """uint8 frames (H, W, 3), or (H, W, 4) for a portrait with alpha, one a row of the track, in order.

        check: called between frames; whatever it raises ends the rendering.
        """
        ...


def __getattr__(name: str) -> object:
    if name == "WarpRenderer":
        return import_module(".warp.renderer", __name__).WarpRenderer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
