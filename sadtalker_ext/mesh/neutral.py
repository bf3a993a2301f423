"""The package's own head with ARKit's blendshapes: motion coefficients into its vertices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import TrackError, WeightsError
from ..face.geometry import rotation_from_pose
from ..system.caches import kept
from ..system.foreign import damage_as
from ..system.paths import ASSETS
from ..tracks import ARKIT, ARKIT_BLENDSHAPES, MotionTrack, lips
from .srgb import to_linear
from .template import Template

HEAD_FILE = ASSETS / "neutral_head.npz"
LEAST, MOST = -0.2, 1.2  # of a coefficient that is followed
OPEN_MOUTH = {
    "jawOpen": 1.0, "mouthUpperUpLeft": 0.8, "mouthUpperUpRight": 0.8,
    "mouthLowerDownLeft": 0.6, "mouthLowerDownRight": 0.6,
}  # fmt: skip
DOWN = np.diag([1.0, -1.0, -1.0])  # between y up, z to the viewer, and y down, z away


@dataclass(frozen=True, eq=False)
class NeutralHead:
    """A head that blendshapes move; lengths in face widths, x to the picture's right, y up, z to the viewer.

    template: vertices (V, 3) at rest and triangles. blendshapes: name → float32 (V, 3), the way for 1.
    colours: linear light (V, 3). shine: (V,) 0..1. head_share: (V,) 0..1, how far a vertex goes when the
    head turns; the neck's lower end does not. pivot: (3,) what it turns about. parts: name → its vertices.
    """

    template: Template
    blendshapes: Mapping[str, np.ndarray]
    colours: np.ndarray
    shine: np.ndarray
    head_share: np.ndarray
    pivot: np.ndarray
    parts: Mapping[str, slice]
    accepts: frozenset[str] = frozenset({ARKIT.name})
    _ways: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ways = np.stack([self.blendshapes[name] for name in ARKIT_BLENDSHAPES])
        object.__setattr__(self, "_ways", ways.reshape(len(ways), -1))

    @property
    def vertices(self) -> np.ndarray:
        """float32 (V, 3) at rest."""
        return self.template.vertices

    @property
    def faces(self) -> np.ndarray:
        """int32 (F, 3), counter-clockwise from outside."""
        assert self.template.faces is not None
        return self.template.faces

    @property
    def postures(self) -> tuple[np.ndarray, ...]:
        """Vertices at rest and with the mouth open: in which light gets to all that can be seen."""
        weights = np.zeros(len(ARKIT_BLENDSHAPES), np.float32)
        for name, value in OPEN_MOUTH.items():
            weights[ARKIT.index(name)] = value
        return self.vertices, self.posed(weights)

    def poses(self, track: MotionTrack) -> Iterator[np.ndarray]:
        """Vertices float32 (V, 3), one array a row of an `arkit` track; `TrackError` for other spaces."""
        weights, angles = shape_weights(track), track.data[:, ARKIT.indices(["pose"])]
        for row, (yaw, pitch, roll) in zip(weights, angles, strict=True):
            yield self.posed(row, float(yaw), float(pitch), float(roll))

    def posed(self, weights: np.ndarray, yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
        """Vertices float32 (V, 3) for 52 weights, and a head pose in degrees."""
        moved = self.vertices + (weights.astype(np.float32) @ self._ways).reshape(-1, 3)
        if not (yaw or pitch or roll):
            return moved
        turn = (DOWN @ rotation_from_pose(yaw, pitch, roll) @ DOWN).astype(np.float32)
        turned = (moved - self.pivot) @ turn.T + self.pivot
        return moved + self.head_share[:, None] * (turned - moved)


def shape_weights(track: MotionTrack) -> np.ndarray:
    """float32 (T, 52) weights of the blendshapes whose sum shows the lips as the lip convention has them.

    Blendshapes only add up: what shuts the lips whatever the jaw does goes into mouthClose. Raises
    `TrackError` for a track of another space.
    """
    if track.space.name != ARKIT.name:
        raise TrackError(
            f"The neutral head is moved by arkit tracks, not by {track.space.name} ones; convert it first."
        )
    weights = np.clip(track.data[:, : len(ARKIT_BLENDSHAPES)], LEAST, MOST)
    shut = lips.closure(track)
    kept = (1 - shut) * (1 - lips.LABIODENTAL_NARROWING * np.clip(track.column("mouthRollLower"), 0, 1))
    jaw, close = (weights[:, ARKIT.index(name)] for name in ("jawOpen", "mouthClose"))
    weights[:, ARKIT.index("mouthClose")] = jaw - np.maximum(0, jaw - close) * kept
    for name in ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight"):
        weights[:, ARKIT.index(name)] *= kept
    return weights


@kept(1)
def neutral_head() -> NeutralHead:
    """The head of the package's assets; raises `WeightsError` when the file is missing or damaged."""
    told = f"The neutral head {HEAD_FILE.name} is missing or damaged; install the package again."
    with damage_as(WeightsError(told), passing=()), np.load(HEAD_FILE, allow_pickle=False) as file:
        names = [str(name) for name in file["names"]]
        ways = file["ways"].astype(np.float32) * file["step"]
        vertices, faces = file["vertices"].astype(np.float32), file["faces"].astype(np.int32)
        bounds = [*file["part_starts"].tolist(), len(vertices)]
        parts = {
            str(name): slice(start, end)
            for name, start, end in zip(file["parts"], bounds[:-1], bounds[1:], strict=True)
        }
        return NeutralHead(
            Template("neutral head", vertices, faces, HEAD_FILE.name),
            dict(zip(names, ways, strict=True)),
            to_linear(file["colours"] / np.float32(255)).astype(np.float32),
            file["shine"].astype(np.float32) / 255,
            file["head_share"].astype(np.float32) / 255,
            file["pivot"].astype(np.float32),
            parts,
        )
