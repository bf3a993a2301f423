"""The spaces that motion is told in: the names of their coefficients, and the space of a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import TrackError
from ..system.caches import kept

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


@dataclass(frozen=True, repr=False)
class MotionSpace:
    """A named coefficient space: the names of its columns and the channels they belong to.

    `channels` maps a channel name (`lips`, `blink`, `gaze`, `brows`, `pose`, …) to column indices;
    every column belongs to exactly one channel.
    """

    name: str
    columns: tuple[str, ...]
    channels: Mapping[str, tuple[int, ...]]

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        channels = ", ".join(f"{name} {len(columns)}" for name, columns in self.channels.items())
        return f"<MotionSpace {self.name}: {self.dim} coefficients: {channels}>"

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
_spaces = {space.name: space for space in (ARKIT, BFM)}
SPACES: Mapping[str, MotionSpace] = MappingProxyType(_spaces)  # by name; `hand_in` adds to it

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


def hand_in(space: MotionSpace) -> MotionSpace:
    """Make an engine's own space known, so that its motion files can be read back; returns the space.

    The same space may be handed in again. Raises `TrackError` where its name means another one already.
    """
    known = space_named(space.name)
    if known is None:
        _spaces[space.name] = space
    elif known != space:
        told = f"The name {space.name} belongs to another motion space; give the new one a name of its own."
        raise TrackError(told)
    return space
