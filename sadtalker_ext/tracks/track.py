"""Motion spaces and motion tracks: all that motion generators and renderers share.

A `MotionTrack` is float32 coefficients, one row a video frame, in a named `MotionSpace`. It can be
resampled, smoothed, mixed by channel, saved (see `motion.files`) and rendered again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import TrackError
from ..system.caches import kept
from .rows import gathered, slices

if TYPE_CHECKING:
    import numpy as np

# The 52 blendshapes of Apple's ARKit, in the order in which Live Link Face writes them.
ARKIT_BLENDSHAPES: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight",
    "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight",
    "tongueOut",
)  # fmt: skip
# Degrees relative to the picture: yaw > 0 turns the face to the picture's right side, pitch > 0
# lifts the chin (face up), roll > 0 leans the head clockwise as the viewer sees it.
HEAD_POSE: tuple[str, ...] = ("headYaw", "headPitch", "headRoll")


@dataclass(frozen=True)
class MotionSpace:
    """A named coefficient space: the names of its columns and the channels they belong to.

    `channels` maps a channel name (`lips`, `blink`, `gaze`, `brows`, `pose`, …) to column indices;
    every column belongs to exactly one channel.
    """

    name: str
    columns: tuple[str, ...]
    channels: Mapping[str, tuple[int, ...]]

    @property
    def dim(self) -> int:
        return len(self.columns)

    @property
    def vertices(self) -> int:
        """How many vertices a row moves; 0 where coefficients say something else."""
        return self.dim // 3 if "vertices" in self.channels else 0

    def index(self, column: str) -> int:
        """Column number of a coefficient by name; raises `TrackError` for a name it does not have."""
        try:
            return self.columns.index(column)
        except ValueError:
            raise TrackError(f"The {self.name} motion space has no coefficient named {column!r}.") from None

    def indices(self, channels: Iterable[str]) -> list[int]:
        """Sorted column numbers of one or more channels; raises `TrackError` for an unknown channel."""
        found: list[int] = []
        for name in channels:
            if name not in self.channels:
                known = ", ".join(self.channels)
                raise TrackError(f"Unknown motion channel {name!r}; the {self.name} space has: {known}.")
            found.extend(self.channels[name])
        return sorted(found)


def _arkit() -> MotionSpace:
    columns = ARKIT_BLENDSHAPES + HEAD_POSE
    prefixes = {
        "lips": ("jaw", "mouth", "tongue"),
        "blink": ("eyeBlink",),
        "gaze": ("eyeLook",),
        "eyes": ("eyeSquint", "eyeWide"),
        "brows": ("brow",),
        "cheeks": ("cheek", "nose"),
        "pose": ("head",),
    }
    channels = {
        name: tuple(i for i, column in enumerate(columns) if column.startswith(starts))
        for name, starts in prefixes.items()
    }
    return MotionSpace("arkit", columns, MappingProxyType(channels))


def _bfm() -> MotionSpace:
    """SadTalker's 3DMM coefficients as its networks speak of them: expression, radians and model units.

    The view's angles, in degrees, take the place of what the networks make of the pose, as far as their
    share says (0..1).
    """
    groups = {
        "expression": tuple(f"expression{number:02d}" for number in range(64)),
        "pose": ("pitch", "yaw", "roll", "shiftX", "shiftY", "shiftZ"),
        "view": ("viewYaw", "viewPitch", "viewRoll", "viewYawShare", "viewPitchShare", "viewRollShare"),
    }
    columns = sum(groups.values(), ())
    channels = {name: tuple(columns.index(column) for column in group) for name, group in groups.items()}
    return MotionSpace("bfm", columns, MappingProxyType(channels))


ARKIT, BFM = _arkit(), _bfm()
SPACES: Mapping[str, MotionSpace] = MappingProxyType({space.name: space for space in (ARKIT, BFM)})

FLAME_VERTICES, BIWI_VERTICES = 5023, 23370  # of the two meshes that CodeTalker was published for
_MESHES: Mapping[int, str] = MappingProxyType({FLAME_VERTICES: "flame", BIWI_VERTICES: "biwi"})
MOST_VERTICES = 200_000  # of a mesh that can be moved


@kept(4)
def vertex_space(vertices: int) -> MotionSpace:
    """Offsets of a mesh's vertices from its template, x, y, z of each in turn, in the template's units.

    The space is called `flame` for 5023 vertices, `biwi` for 23370, else `mesh` and their number; its only
    channel is `vertices`.
    """
    if not 0 < vertices <= MOST_VERTICES:
        raise TrackError(f"A mesh can have 1 to {MOST_VERTICES} vertices, not {vertices}.")
    columns = tuple(f"{axis}{number}" for number in range(vertices) for axis in "xyz")
    channels = MappingProxyType({"vertices": tuple(range(len(columns)))})
    return MotionSpace(_MESHES.get(vertices, f"mesh{vertices}"), columns, channels)


def space_named(name: str) -> MotionSpace | None:
    """The motion space of that name; None where there is none."""
    for vertices, known in _MESHES.items():
        if name == known:
            return vertex_space(vertices)
    number = name.removeprefix("mesh")
    if number != name and number.isascii() and number.isdecimal() and 0 < int(number) <= MOST_VERTICES:
        return vertex_space(int(number))
    return SPACES.get(name)


@dataclass(frozen=True)
class MotionTrack:
    """Motion coefficients over time.

    data: float32 (T, space.dim), T ≥ 1, finite; blendshapes in 0..1, head pose in degrees, vertex offsets in
    the mesh's units. Long tracks of vertices are read-only, mapped from a file: work on `rows.slices` of
    them.
    fps: frames per second, > 0.
    provenance: what made it — generator, weights' hash, seed … (plain JSON values).
    """

    space: MotionSpace
    fps: float
    data: np.ndarray
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import numpy as np

        data = np.ascontiguousarray(self.data, dtype=np.float32)
        if data.ndim != 2 or data.shape[1] != self.space.dim or len(data) == 0:
            raise TrackError(
                f"A motion track in the {self.space.name} space needs at least one row of "
                f"{self.space.dim} numbers; got an array of shape {data.shape}."
            )
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
        provenance = {
            **self.provenance,
            "mixed": {"channels": list(channels), "from": dict(other.provenance)},
        }
        return replace(self, data=data, provenance=provenance)

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
