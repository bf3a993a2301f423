"""The mean face: the asset of that name into its 478 points, their mirror images and triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import WeightsError
from ..system.caches import kept
from ..system.foreign import damage_as
from ..system.paths import ASSETS

MEAN_FACE_FILE = ASSETS / "face_template.npz"


@dataclass(frozen=True, eq=False)
class MeanFace:
    """The mean face, frontal, lips closed, eyes open, symmetric.

    points: float32 (478, 3) in face widths; the origin is the middle between the cheeks (points 234
        and 454), x to the picture's right, y down, z away from the viewer.
    mirror: int (478,), the index that each point has in a mirrored picture.
    triangles: int (N, 3), the skin's triangles, clockwise as seen from the front.
    """

    points: np.ndarray
    mirror: np.ndarray
    triangles: np.ndarray


@kept(1)
def mean_face() -> MeanFace:
    """The mean face of the package's assets; raises `WeightsError` when the file is missing or damaged."""
    told = f"The face template {MEAN_FACE_FILE.name} is missing or damaged; install the package again."
    with damage_as(WeightsError(told), passing=()), np.load(MEAN_FACE_FILE, allow_pickle=False) as file:
        arrays = MeanFace(
            file["points"].astype(np.float32),
            file["mirror"].astype(np.int64),
            file["triangles"].astype(np.int64),
        )
    for array in (arrays.points, arrays.mirror, arrays.triangles):
        array.setflags(write=False)
    return arrays
