"""Turns a picture into its faces: one direct look, and a cascade of harder looks where that finds nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import OptionsError
from .faces import Face, distinct
from .mediapipe_mesh import mediapipe_detector

DETECTORS = ("auto", "mediapipe", "face-alignment")


def find_faces(
    image: np.ndarray, *, detector: str = "auto", check: Callable[[], None] | None = None
) -> list[Face]:
    """Every face of a uint8 (H, W, 3) RGB picture, largest first; [] when there is none.

    detector: one of `DETECTORS`. check: called between steps; may raise to stop.
    """
    if detector not in DETECTORS:
        raise OptionsError(f"Unknown face detector {detector!r}; choose one of {', '.join(DETECTORS)}.")
    if check is not None:
        check()
    return distinct(mediapipe_detector().detect(image))
