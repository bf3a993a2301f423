"""Turns the frames of a video into its face's mesh, frame by frame, without smoothing and without lag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .detection import find_faces
from .faces import Face, face_from_landmarks, is_plausible, overlap
from .mediapipe_mesh import Region, mediapipe_detector, region_of

SETTLED = 0.02  # share of its side by which a region may move before the mesh is fitted once more
HARD_LOOK_EVERY = 25  # frames without a face between two runs of the whole search cascade
SAME_FACE = 0.2  # overlap with the face before from which a newly found face continues it


class FaceTracker:
    """Follows one face (the largest at first) through a video.

    Every frame's mesh is fitted anew on a crop around the mesh before, so one frame's noise is not
    carried into the next and fast lips are not smoothed away. Raises `DependencyError` where
    mediapipe is missing.
    """

    def __init__(self) -> None:
        self._detector = mediapipe_detector()
        self._last: Face | None = None
        self._region: Region | None = None
        self._missed = 0

    def track(self, frames: Iterable[np.ndarray]) -> Iterator[Face | None]:
        """The face of each uint8 (H, W, 3 or more) RGB frame, None where there is none; streaming."""
        for frame in frames:
            yield self.follow(frame)

    def follow(self, frame: np.ndarray) -> Face | None:
        """The face of the next frame, or None."""
        image = np.ascontiguousarray(frame[:, :, :3])
        face = self._continue(image) or self._search(image)
        if face is None:
            self._region = None
            self._missed += 1
            return None
        self._missed = 0
        self._last, self._region = face, region_of(face.landmarks)
        return face

    def _continue(self, image: np.ndarray) -> Face | None:
        if self._region is None:
            return None
        landmarks = self._detector.mesh(image, self._region)
        if landmarks is None:
            return None
        around = region_of(landmarks)
        moved = np.hypot(around.x - self._region.x, around.y - self._region.y)
        if max(moved, abs(around.side - self._region.side)) > SETTLED * around.side:
            landmarks = self._detector.mesh(image, around)
        if landmarks is None or not is_plausible(landmarks, image.shape[1], image.shape[0]):
            return None
        return face_from_landmarks(landmarks, 1.0, self._detector.name)

    def _search(self, image: np.ndarray) -> Face | None:
        hard = self._missed % HARD_LOOK_EVERY == 0
        faces = find_faces(image, detector="mediapipe") if hard else self._detector.detect(image)
        if not faces:
            return None
        if self._last is None:
            return faces[0]
        nearest = max(faces, key=lambda face: overlap(face, self._last) if self._last else 0.0)
        return nearest if overlap(nearest, self._last) > SAME_FACE else faces[0]
