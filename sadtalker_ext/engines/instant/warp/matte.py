"""Turns a picture into a person matte, where mediapipe's segmentation model is installed."""

from __future__ import annotations

import logging

import cv2
import numpy as np

from ....system.native_logs import quiet_imports, quiet_stderr

LOGGER = logging.getLogger(__name__)
MIN_FACE_COVER = 0.85  # share of the face that a trustworthy matte covers
MAX_COVER = 0.97  # a matte of everything says nothing


def person_matte(image: np.ndarray, oval: np.ndarray) -> np.ndarray | None:
    """float32 (H, W) in 0..1, 1 on the person, or None when it cannot be had or misses the face.

    image: uint8 (H, W, 3) RGB. oval: (n, 2) outline of the face in pixels, by which the matte is judged.
    """
    try:
        with quiet_imports():
            from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation
    except (ImportError, AttributeError, TypeError):
        return None
    try:
        with quiet_stderr(), SelfieSegmentation(model_selection=0) as model:
            mask = getattr(model.process(image), "segmentation_mask", None)
    except (RuntimeError, ValueError, OSError) as problem:
        LOGGER.debug("person segmentation failed: %s", problem)
        return None
    if mask is None:
        return None
    mask = np.clip(np.asarray(mask, np.float32), 0, 1)
    face = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(face, oval.astype(np.int32), (1,))
    covered = float(mask[face > 0].mean()) if face.any() else 0.0
    if covered < MIN_FACE_COVER or float(mask.mean()) > MAX_COVER:
        return None
    return mask
