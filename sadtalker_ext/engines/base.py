"""What an engine is: a named composition of motion generators and a renderer, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..host import Host
from ..track import MotionSpace, MotionTrack

if TYPE_CHECKING:
    from ..audio import Speech
    from ..face import Portrait
    from ..options import Options
    from ..render import Renderer

Check = Callable[[], None]
Report = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class Need:
    """Something an engine uses: whether it is there, and how to get it.

    optional: the engine works without it; `remedy` then says what is gained.
    """

    name: str
    present: bool
    remedy: str
    optional: bool = False


@dataclass(frozen=True)
class Engine:
    """A named composition of motion generators and a renderer.

    needs(models_dir): what it uses. renderer(portrait, options, host): everything that depends on the picture
    alone, ready to render tracks. renderer_key(options): the options that shape it. motion(speech, frames,
    options, renderer, check, report): the motion track, `frames` rows in `space`; `renderer` is None where
    the motion alone is wanted and `needs_portrait` is False.
    """

    name: str
    summary: str
    space: MotionSpace
    composition: Mapping[str, str]
    needs: Callable[[Path], tuple[Need, ...]]
    motion: Callable[[Speech, int, Options, Renderer | None, Check, Report], MotionTrack]
    renderer: Callable[[Portrait, Options, Host], Renderer]
    renderer_key: Callable[[Options], tuple[object, ...]] = lambda options: ()
    needs_portrait: bool = False

    def missing(self, models_dir: Path) -> list[Need]:
        """Needs that must be met before the engine can run."""
        return [need for need in self.needs(models_dir) if not need.present and not need.optional]
