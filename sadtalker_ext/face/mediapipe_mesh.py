"""Face detection and the 478-point face mesh by mediapipe's legacy graphs, offline and on the CPU.

Only the models inside mediapipe's own wheel are used (0.10.5 to 0.10.21 carry them). Boxes come from
its short-range or full-range face detector; the mesh is fitted on a crop that we cut ourselves, turned
upright and resampled without aliasing, so that it does not depend on the detector's jitter.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import DependencyError
from . import topology
from .faces import Face, distinct, face_from_landmarks, is_plausible

MESH_INPUT = 192  # px, side of the square that the mesh network sees
MARGIN = 1.5  # side of that square over the longer side of the face
CONFIDENCE = 0.5  # detector score from which a box counts
REFINEMENTS = 2  # passes over a crop around the mesh itself after the detector's own box

INSTALL = (
    "The face mesh needs mediapipe 0.10.5 to 0.10.21, whose wheels carry their models; "
    'install it with: pip install "mediapipe==0.10.9"'
)

_MESH_GRAPH = """
input_stream: "image"
input_stream: "roi"
input_side_packet: "with_attention"
output_stream: "landmarks"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""
_LOG_LEVEL = "GLOG_minloglevel"
# Lines that mediapipe's native libraries write to stderr although nothing is wrong.
_NOISE = ("TensorFlow Lite XNNPACK delegate", "inference_feedback_manager", "All log messages before absl")


@dataclass(frozen=True)
class Region:
    """A turned square of the picture: centre and side in pixels, roll in radians (clockwise)."""

    x: float
    y: float
    side: float
    roll: float = 0.0
    score: float = 1.0


class MediapipeDetector:
    """Faces by mediapipe. Safe to share between threads: calls take turns."""

    name = "mediapipe"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._graphs: dict[str, Any] = {}
        with _quiet_imports():
            _require_mediapipe()

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces of a uint8 (H, W, 3) RGB picture seen by the short-range detector, largest first."""
        return self.fit(image, self.propose(image))

    def fit(self, image: np.ndarray, regions: list[Region]) -> list[Face]:
        """The plausible, distinct faces among meshes fitted to `regions`, largest first."""
        found = []
        for region in regions:
            landmarks = self.mesh(image, region)
            for _ in range(REFINEMENTS):
                if landmarks is None:
                    break
                landmarks = self.mesh(image, region_of(landmarks))
            if landmarks is not None and is_plausible(landmarks, image.shape[1], image.shape[0]):
                found.append(face_from_landmarks(landmarks, region.score, self.name))
        return distinct(found)

    def propose(
        self, image: np.ndarray, *, full_range: bool = False, confidence: float = CONFIDENCE
    ) -> list[Region]:
        """Squares around what may be faces.

        full_range: use the detector for faces up to 5 m away instead of that for faces up to 2 m.
        """
        height, width = image.shape[:2]
        name = f"detect {int(full_range)} {confidence:.2f}"
        result = self._process(name, np.ascontiguousarray(image))
        regions = []
        for detection in result.detections or []:
            location = detection.location_data
            eyes = [(p.x * width, p.y * height) for p in location.relative_keypoints[:2]]
            box = location.relative_bounding_box
            regions.append(
                Region(
                    x=(box.xmin + box.width / 2) * width,
                    y=(box.ymin + box.height / 2) * height,
                    side=MARGIN * max(box.width * width, box.height * height),
                    roll=float(np.arctan2(eyes[1][1] - eyes[0][1], eyes[1][0] - eyes[0][0])),
                    score=float(detection.score[0]),
                )
            )
        return regions

    def mesh(self, image: np.ndarray, region: Region) -> np.ndarray | None:
        """Mesh, float64 (478, 3) in the picture's pixels, of the face in a region; None without one."""
        if not (np.isfinite([region.x, region.y, region.side]).all() and 4 <= region.side <= 1e5):
            return None
        crop, to_image = _cut(image, region)
        result = self._process("mesh", {"image": crop, "roi": _full_square()})
        if result.landmarks is None:
            return None
        points = np.array([(p.x, p.y, p.z) for p in result.landmarks.landmark], np.float64) * MESH_INPUT
        if len(points) != topology.MESH_POINTS:
            return None
        flat = points[:, :2] @ to_image[:, :2].T + to_image[:, 2]
        return np.column_stack([flat, points[:, 2] * (region.side / MESH_INPUT)])

    def _process(self, name: str, data: Any) -> Any:
        with self._lock:
            if name in self._graphs:
                return self._graphs[name].process(data)
            # The native libraries announce themselves while a graph starts and runs for the first time.
            with _quiet_stderr():
                self._graphs[name] = _build(name)
                return self._graphs[name].process(data)


@lru_cache(maxsize=1)
def mediapipe_detector() -> MediapipeDetector:
    """The shared detector; raises `DependencyError` where mediapipe is missing or carries no models."""
    return MediapipeDetector()


def region_of(landmarks: np.ndarray) -> Region:
    """The upright square around a mesh, as the mesh network expects its input."""
    eyes = landmarks[topology.LEFT_EYE_OUTER] - landmarks[topology.RIGHT_EYE_OUTER]
    roll = float(np.arctan2(eyes[1], eyes[0]))
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    upright = landmarks[: topology.SKIN_POINTS, :2] @ turn.T
    low, high = upright.min(0), upright.max(0)
    x, y = turn.T @ ((low + high) / 2)
    return Region(float(x), float(y), MARGIN * float((high - low).max()), roll)


def _cut(image: np.ndarray, region: Region) -> tuple[np.ndarray, np.ndarray]:
    """The region as a (MESH_INPUT, MESH_INPUT, 3) crop, and the affine map (2, 3) from crop to picture."""
    import cv2

    scale = region.side / MESH_INPUT
    shrink = 1.0
    if scale > 1:
        # warpAffine samples four pixels whatever the scale: shrink the neighbourhood first, or a large
        # face would be aliased.
        half = region.side * 0.75 + 2
        x0, x1 = (int(np.clip(v, 0, image.shape[1])) for v in (region.x - half, region.x + half))
        y0, y1 = (int(np.clip(v, 0, image.shape[0])) for v in (region.y - half, region.y + half))
        if x1 - x0 > 1 and y1 - y0 > 1:
            size = (max(1, round((x1 - x0) / scale)), max(1, round((y1 - y0) / scale)))
            image = cv2.resize(image[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
            shrink_x, shrink_y = size[0] / (x1 - x0), size[1] / (y1 - y0)
        else:
            x0 = y0 = 0
            shrink_x = shrink_y = 1.0
    else:
        x0 = y0 = 0
        shrink_x = shrink_y = shrink
    cosine, sine = np.cos(region.roll) * scale, np.sin(region.roll) * scale
    middle = MESH_INPUT / 2
    # Pixel centres lie at half-integers in mesh coordinates, at integers in OpenCV's.
    to_image = np.array(
        [
            [cosine, -sine, region.x - cosine * middle + sine * middle],
            [sine, cosine, region.y - sine * middle - cosine * middle],
        ]
    )
    sampling = to_image.copy()
    sampling[:, 2] += to_image[:, :2] @ [0.5, 0.5]
    sampling[0] = (sampling[0] - [0, 0, x0]) * shrink_x
    sampling[1] = (sampling[1] - [0, 0, y0]) * shrink_y
    sampling[:, 2] -= 0.5
    crop = cv2.warpAffine(
        image,
        sampling,
        (MESH_INPUT, MESH_INPUT),
        flags=(cv2.INTER_CUBIC if scale < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.ascontiguousarray(crop), to_image


def _require_mediapipe() -> None:
    try:
        from mediapipe.python.solutions import face_detection  # noqa: F401
    except (ImportError, AttributeError) as error:
        raise DependencyError(INSTALL + f" ({type(error).__name__}: {error}).") from error


def _full_square() -> Any:
    from mediapipe.framework.formats import rect_pb2

    return rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0, rotation=0.0)


def _build(name: str) -> Any:
    from google.protobuf import text_format
    from mediapipe.framework import calculator_pb2
    from mediapipe.python.solution_base import SolutionBase
    from mediapipe.python.solutions.face_detection import FaceDetection

    try:
        if name == "mesh":
            graph = text_format.Parse(_MESH_GRAPH, calculator_pb2.CalculatorGraphConfig())
            return SolutionBase(graph_config=graph, side_inputs={"with_attention": True})
        _, model, confidence = name.split()
        return FaceDetection(min_detection_confidence=float(confidence), model_selection=int(model))
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        raise DependencyError(INSTALL + f" ({error}).") from error


@contextlib.contextmanager
def _quiet_imports() -> Iterator[None]:
    """Gives the native log library a higher threshold while it loads, and the environment back after."""
    before = os.environ.get(_LOG_LEVEL)
    os.environ[_LOG_LEVEL] = "2"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_LOG_LEVEL, None)
        else:
            os.environ[_LOG_LEVEL] = before


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Holds back the process's stderr for a moment and passes on all but mediapipe's announcements."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, AttributeError, ValueError):
        yield  # no usable stderr (a windowed host): nothing to keep quiet
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held.read().splitlines(keepends=True):
                if not any(noise.encode() in line for noise in _NOISE):
                    os.write(2, line)
