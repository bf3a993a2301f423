"""Turns the frames of a video into its face's mesh, frame by frame, without smoothing and without lag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .detection import find_faces
from .faces import Face, face_from_landmarks, is_plausible, overlap
from .mediapipe_mesh import MAX_DISAGREEMENT, mediapipe_detector, region_of

# A crop tighter than the network's usual 1.5 shows it the mouth in more pixels. Measured on rendered
# frames of faces 93 to 224 px wide: the lip gap seen follows the one commanded with r = .987 to .991
# instead of .919 to .983, and lips shut in a smile read .000 to .004 instead of .011 to .016.
MARGIN = 1.25
SETTLED = 0.02  # share of its side by which a region may move before the mesh is fitted once more
LOST = 2 * MAX_DISAGREEMENT  # between a mesh and its mirror image's; on blurred frames they differ more
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
        self._following = False
        self._missed = 0

    def track(self, frames: Iterable[np.ndarray]) -> Iterator[Face | None]:
        """The face of each uint8 (H, W, 3 or more) RGB frame, None where there is none; streaming."""
        for frame in frames:
            yield self.follow(frame)

    def follow(self, frame: np.ndarray) -> Face | None:
        """The face of the next frame, or None."""
        image = np.ascontiguousarray(frame[:, :, :3])
        face = self._continue(image) or self._search(image)
        self._following = face is not None
        self._missed = 0 if face is not None else self._missed + 1
        self._last = face or self._last
        return face

    def _continue(self, image: np.ndarray) -> Face | None:
        if self._last is None or not self._following:
            return None
        before = region_of(self._last.landmarks, MARGIN)
        fitted = self._detector.steady_mesh(image, before)
        if fitted is None:
            return None
        around = region_of(fitted[0], MARGIN)
        moved = np.hypot(around.x - before.x, around.y - before.y) + abs(around.side - before.side)
        if moved > SETTLED * around.side:
            return self._fit(image, fitted[0])
        return self._accepted(image, fitted)

    def _fit(self, image: np.ndarray, landmarks: np.ndarray) -> Face | None:
        """The face around a first guess at its mesh, by way of the wide crop."""
        rough = self._detector.mesh(image, region_of(landmarks))
        if rough is None:
            return None
        return self._accepted(image, self._detector.steady_mesh(image, region_of(rough, MARGIN)))

    def _accepted(self, image: np.ndarray, fitted: tuple[np.ndarray, float] | None) -> Face | None:
        if fitted is None or fitted[1] > LOST:
            return None
        if not is_plausible(fitted[0], image.shape[1], image.shape[0]):
            return None
        return face_from_landmarks(fitted[0], 1.0, self._detector.name)

    def _search(self, image: np.ndarray) -> Face | None:
        hard = self._missed % HARD_LOOK_EVERY == 0
        faces = find_faces(image, detector="mediapipe") if hard else self._detector.detect(image)
        if not faces:
            return None
        face, last = faces[0], self._last
        if last is not None:
            nearest = max(faces, key=lambda found: overlap(found, last))
            face = nearest if overlap(nearest, last) > SAME_FACE else face
        return self._fit(image, face.landmarks) or face
