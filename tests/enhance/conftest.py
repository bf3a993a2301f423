"""A portrait, and a renderer of it that does nothing but move the picture."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from sadtalker_ext.face.faces import face_from_landmarks
from sadtalker_ext.face.mean import mean_face
from sadtalker_ext.tracks import ARKIT, MotionTrack

SIZE = 240  # px
REGION = (30, 20, 210, 220)


def textured(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.uniform(40, 210, (24, 24, 3)).astype(np.float32), (width, height))
    return np.clip(coarse + rng.normal(0, 3, coarse.shape), 0, 255).astype(np.uint8)


class MovingPicture:
    """Frames that show the picture, shifted by `steps` px sideways within the region."""

    has_alpha = False
    region = REGION
    portrait = None
    notices = ()

    def __init__(self, image: np.ndarray, steps=(0,)) -> None:
        self.image, self.steps = image, steps
        self.size = (image.shape[1], image.shape[0])
        self.view = (0, 0, *self.size)
        self.held = 0
        self.check = lambda: None

    def opening(self, track):
        return np.zeros(len(track))

    def draw(self, track, onto=None):
        x0, y0, x1, y1 = self.region
        for index in range(len(track)):
            self.check()
            frame = self.image.copy()
            step = self.steps[index % len(self.steps)]
            moved = np.roll(self.image, step, axis=1)
            frame[y0 + 12 : y1 - 12, x0 + 12 : x1 - 12] = moved[y0 + 12 : y1 - 12, x0 + 12 : x1 - 12]
            yield frame


@pytest.fixture
def portrait():
    mesh = mean_face().points * 110 + np.array([SIZE / 2, SIZE / 2, 0], np.float32)
    image = textured(SIZE, SIZE)
    face = face_from_landmarks(mesh, 1.0, "mediapipe")
    return SimpleNamespace(image=image, face=face, width=SIZE, height=SIZE, alpha=None)


@pytest.fixture
def track():
    return MotionTrack(ARKIT, 25.0, np.zeros((6, ARKIT.dim), np.float32), {})


@pytest.fixture
def moving():
    return MovingPicture
