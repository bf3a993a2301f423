"""Motion tracks: coefficients over time, which motion generators make and renderers show.

A `MotionTrack` is float32 coefficients, one row a video frame, in a `MotionSpace`. It can be resampled,
smoothed, mixed by channel, saved (see `tracks.files`) and rendered again.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import TrackError
from .rows import gathered, slices
from .spaces import ARKIT, MotionSpace

if TYPE_CHECKING:
    import numpy as np

PROVENANCE_SHOWN = 200  # characters of it in a track's repr
TURN_S = 0.6  # in which one motion turns into the next
_shortener = reprlib.Repr()
_shortener.maxlevel, _shortener.maxdict, _shortener.maxstring, _shortener.maxother = 2, 8, 40, 40


@dataclass(frozen=True, eq=False, repr=False)
class MotionTrack:
    """Motion coefficients over time.

    data: float32 (T, space.dim), T ≥ 1, finite; blendshapes in 0..1, head pose in degrees, vertex offsets in
    the mesh's units. Long tracks of vertices are read-only, mapped from a file: work on `rows.slices` of
    them.
    fps: frames per second, > 0.
    provenance: what made it — generator, weights' hash, seed … (plain JSON values).

    Tracks are equal when they move alike: space, rate and data the same, whatever made them. The hash is that
    of space, rate and length, so that it costs nothing and stays when data is edited in place.
    """

    space: MotionSpace
    fps: float
    data: np.ndarray
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import numpy as np

        data = np.ascontiguousarray(self.data, dtype=np.float32)
        if data.ndim != 2 or data.shape[1] != self.space.dim or len(data) == 0:
            needs = f"needs at least one row of {self.space.dim} numbers; got an array of shape {data.shape}."
            raise TrackError(f"A motion track in the {self.space.name} space {needs}")
        if not all(np.isfinite(data[part]).all() for part in slices(*data.shape)):
            raise TrackError("The motion track holds numbers that are not finite; check where it came from.")
        if not 0 < self.fps < float("inf"):
            raise TrackError(f"A motion track needs a positive frame rate, not {self.fps}.")
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "provenance", dict(self.provenance))

    @classmethod
    def rest(cls, frames: int, fps: float, space: MotionSpace = ARKIT) -> MotionTrack:
        """A track of `frames` rows of zeros: the picture as it is."""
        import numpy as np

        return cls(space, fps, np.zeros((frames, space.dim), np.float32))

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        import numpy as np

        if not isinstance(other, MotionTrack):
            return NotImplemented
        if (self.fps, len(self), self.space) != (other.fps, len(other), other.space):
            return False
        parts = slices(*self.data.shape)
        return self.data is other.data or all(np.array_equal(self.data[p], other.data[p]) for p in parts)

    def __hash__(self) -> int:
        return hash((self.space, self.fps, len(self)))

    def __repr__(self) -> str:
        size = f"{len(self)} frames × {self.space.dim} coefficients"
        made_by = _shortener.repr(self.provenance)
        if len(made_by) > PROVENANCE_SHOWN:
            made_by = made_by[: PROVENANCE_SHOWN - 1] + "…"
        time = f"{self.fps:g} frames/s, {self.duration:.2f} s"
        return f"<MotionTrack {self.space.name}: {size}, {time}; provenance {made_by}>"

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.data) / self.fps

    def column(self, name: str) -> np.ndarray:
        """One coefficient over time, float32 (T,), a view."""
        return self.data[:, self.space.index(name)]

    def with_columns(self, values: Mapping[str, np.ndarray | float]) -> MotionTrack:
        """A copy in which the named columns are replaced by arrays of shape (T,) or constants."""
        data = self.data.copy()
        for name, value in values.items():
            data[:, self.space.index(name)] = value
        return replace(self, data=data)

    def with_channels(self, other: MotionTrack, channels: Iterable[str], blend: float = 1.0) -> MotionTrack:
        """A copy that takes `channels` from `other` (resampled to this track's rate, looped if short).

        blend: 0 keeps this track's values, 1 takes the other's.
        """
        import numpy as np

        if other.space != self.space:
            raise TrackError(f"Cannot mix a {other.space.name} track into a {self.space.name} track.")
        columns = self.space.indices(channels)
        source = other.resampled(self.fps).data
        rows = source[np.arange(len(self.data)) % len(source)][:, columns]
        data = self.data.copy()
        data[:, columns] += np.float32(blend) * (rows - data[:, columns])
        mixed = {"channels": list(channels), "from": dict(other.provenance)}
        return replace(self, data=data, provenance={**self.provenance, "mixed": mixed})

    def resampled(self, fps: float) -> MotionTrack:
        """The same motion at another frame rate, by linear interpolation; duration kept within one frame."""
        import numpy as np

        if fps == self.fps:
            return self
        if not 0 < fps < float("inf"):
            raise TrackError(f"A motion track needs a positive frame rate, not {fps}.")
        frames = max(1, round(len(self.data) * fps / self.fps))

        def interpolated() -> Iterator[np.ndarray]:
            for part in slices(frames, self.space.dim):
                position = np.arange(part.start, part.stop) * (self.fps / fps)
                position = np.clip(position, 0, len(self.data) - 1)
                low = np.floor(position).astype(int)
                high = np.minimum(low + 1, len(self.data) - 1)
                weight = (position - low)[:, None].astype(np.float32)
                yield self.data[low] * (1 - weight) + self.data[high] * weight

        return replace(self, fps=fps, data=gathered(interpolated(), self.space.dim))

    def fitted(self, frames: int) -> MotionTrack:
        """The same track cut, or its last row repeated, to exactly `frames` rows."""
        import numpy as np

        if frames == len(self.data):
            return self
        rows = np.minimum(np.arange(max(1, frames)), len(self.data) - 1)
        parts = (self.data[rows[part]] for part in slices(len(rows), self.space.dim))
        return replace(self, data=gathered(parts, self.space.dim))

    def continued(self, after: MotionTrack) -> MotionTrack:
        """The same track, and then `after`, of the same space and rate, into which it turns without a jump.

        The head goes on from where it is: of pose and view, only how `after` changes them is added.
        """
        import numpy as np

        if (after.space, after.fps) != (self.space, self.fps):
            raise TrackError(
                f"A {after.space.name} track cannot go on a {self.space.name} one of another rate."
            )
        last, first = self.data[-1], after.data[0]
        lasting = np.zeros(self.space.dim, bool)
        lasting[self.space.indices({"pose", "view"} & set(self.space.channels))] = True

        def turned() -> Iterator[np.ndarray]:
            yield from (self.data[part] for part in slices(*self.data.shape))
            for part in slices(*after.data.shape):
                rows = after.data[part]
                passed = np.clip(np.arange(part.start + 1, part.stop + 1) / (TURN_S * self.fps), 0, 1)
                weight = (1 - passed * passed * (3 - 2 * passed)).astype(np.float32)[:, None]
                yield np.where(lasting, rows + (last - first), weight * last + (1 - weight) * rows)

        mixed = {**self.provenance, "then": dict(after.provenance)}
        return replace(self, data=gathered(turned(), self.space.dim), provenance=mixed)

    def smoothed(self, seconds: float, channels: Iterable[str] | None = None) -> MotionTrack:
        """A copy smoothed over time by a Gaussian whose standard deviation is `seconds`."""
        import numpy as np

        sigma = seconds * self.fps
        if sigma <= 0:
            return self
        radius = max(1, int(np.ceil(3 * sigma)))
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        kernel /= kernel.sum()
        data = self.data.copy()
        for column in self.space.indices(self.space.channels if channels is None else channels):
            padded = np.pad(self.data[:, column], radius, mode="edge")
            data[:, column] = np.convolve(padded, kernel, mode="valid")
        return replace(self, data=data)
