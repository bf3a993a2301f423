"""Pictures in: reads them, finds faces and their 478-point meshes, and measures meshes."""

from __future__ import annotations

from .detection import DETECTORS, find_faces
from .faces import Face, LandmarkDetector
from .geometry import eye_aperture, face_width, head_pose, lip_gap
from .mean import mean_face
from .picture import Picture, load_picture
from .points import face_from_points
from .portrait import Portrait, find_in, load_portrait
from .preview import check_picture_output, draw_faces, save_picture, save_preview
from .tracker import FaceTracker

__all__ = [
    "DETECTORS", "Face", "FaceTracker", "LandmarkDetector", "Picture", "Portrait", "check_picture_output",
    "draw_faces", "eye_aperture", "face_from_points", "face_width", "find_faces", "find_in", "head_pose",
    "lip_gap", "load_picture", "load_portrait", "mean_face", "save_picture", "save_preview",
]  # fmt: skip
