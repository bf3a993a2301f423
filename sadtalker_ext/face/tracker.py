"""Turns the frames of a video into its face's mesh, frame by frame, without smoothing and without lag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .detection import find_faces
from .faces import Face, face_from_landmarks, is_plausible, overlap
from .mediapipe_mesh import MAX_DISAGREEMENT, mediapipe_detector, region_of

# Crops tighter than the network's usual 1.5 show it the mouth in more pixels, and the mean over several
# crops takes away what depends on the crop. Measured on four rendered videos, lip gap seen against
# commanded: r = .950 to .973, where one crop of 1.25 gives .936 to .957.
MARGINS = (1.25, 1.4, 1.5)
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
        return self._fit(image, self._last.landmarks)

    def _fit(self, image: np.ndarray, landmarks: np.ndarray) -> Face | None:
        """The face around a first guess at its mesh.

        The crops lie around a mesh that is fitted anew on the wide crop: crops that follow their own meshes
        can settle beside the face, and then see an open mouth as nearly shut for seconds.
        """
        rough = self._detector.mesh(image, region_of(landmarks))
        if rough is None:
            return None
        meshes = [self._detector.steady_mesh(image, region_of(rough, margin)) for margin in MARGINS]
        found = [fitted for fitted in meshes if fitted is not None]
        if not found:
            return None
        mean = np.mean([points for points, _ in found], axis=0)
        least = min(disagreement for _, disagreement in found)
        if least > LOST or not is_plausible(mean, image.shape[1], image.shape[0]):
            return None
        return face_from_landmarks(mean, 1.0, self._detector.name)

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
