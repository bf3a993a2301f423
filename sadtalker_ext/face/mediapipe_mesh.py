"""Face detection and the 478-point face mesh by mediapipe's legacy graphs, offline and on the CPU.

Only the models inside mediapipe's own wheel are used (0.10.5 to 0.10.21 carry them). Boxes come from
its short-range or full-range face detector; the mesh is fitted on a crop that we cut ourselves, turned
upright and resampled without aliasing, so that it does not depend on the detector's jitter.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from ..errors import DependencyError, EngineError, Foreign
from ..system.caches import kept
from ..system.native_logs import quiet_imports, quiet_stderr
from ..system.requirements import advice
from . import topology
from .faces import Face, distinct, face_from_landmarks, is_plausible
from .geometry import face_width
from .mean import mean_face

MESH_INPUT = 192  # px, side of the square that the mesh network sees
VIEW_SIDE = 256  # px, side of a part of the picture that is searched (the detectors see 128 and 192)
MARGIN = 1.5  # side of that square over the longer side of the face
CONFIDENCE = 0.5  # detector score from which a box counts
REFINEMENTS = 2  # passes over a crop around the mesh itself after the detector's own box
# Mean distance in face widths between a region's mesh and its mirror image's. Measured: at most .021 on
# 90 pictures of faces (photographs, paintings, dark, faded, turned, 21 pixels small), at least .035 on
# what only looked like one.
MAX_DISAGREEMENT = 0.03
DOUBTFUL = 0.015  # the same, from which a face is tried upside down as well
# Score below which a detection may be of a face that lies or stands on its head: seen upright faces score
# .82 to .98, the wrong way round .50 to .83.
CERTAIN = 0.9
BETTER = 0.03  # by which a face must score more when turned to be taken for turned
TURNED = 25.0  # degrees from which two rolls are not the same
SIDES = (0, 90, 180, 270)  # degrees by which a face is turned to see which way up it is
VIEW_AIR = 1.4  # side of what is looked at then over that of the region

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


@dataclass(frozen=True)
class Region:
    """A turned square of the picture: centre and side in pixels, roll in radians (clockwise)."""

    x: float
    y: float
    side: float
    roll: float = 0.0
    score: float = 1.0


@dataclass(frozen=True)
class Look:
    """One way to search a picture for faces.

    within: the part of it to look at, or None for all of it; may reach past its edges.
    full_range: use the detector for faces up to 5 m away instead of that for faces up to 2 m.
    confidence: score from which a detection counts. contrast: level the light first.
    """

    within: Region | None = None
    full_range: bool = False
    confidence: float = CONFIDENCE
    contrast: bool = False


class MediapipeDetector:
    """Faces by mediapipe. Safe to share between threads: calls take turns."""

    name = "mediapipe"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._graphs: dict[str, Any] = {}
        # A graph that is not closed keeps its networks in memory, 42 MB each time.
        weakref.finalize(self, _close_all, self._graphs).atexit = False
        with quiet_imports():
            _require_mediapipe()

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces of a uint8 (H, W, 3) RGB picture seen by the short-range detector, largest first."""
        return self.fit(image, self.propose(image))

    def fit(self, image: np.ndarray, regions: list[Region]) -> list[Face]:
        """The plausible, distinct faces among meshes fitted to `regions`, largest first."""
        found = []
        for given in regions:
            region = self.upright(image, given)
            fitted = self._settled(image, region)
            if region is given and fitted is not None and fitted[1] > DOUBTFUL:  # perhaps upside down
                turned = self._settled(image, replace(region, roll=region.roll + np.pi))
                fitted = min((fit for fit in (fitted, turned) if fit is not None), key=lambda fit: fit[1])
            if fitted is None or fitted[1] > MAX_DISAGREEMENT:
                continue
            if is_plausible(fitted[0], image.shape[1], image.shape[0]):
                found.append(face_from_landmarks(fitted[0], region.score, self.name))
        return distinct(found)

    def upright(self, image: np.ndarray, region: Region) -> Region:
        """The region, or the one of the same face the right way up, where it is surer of that."""
        if region.score >= CERTAIN:
            return region
        views = [
            replace(region, side=region.side * VIEW_AIR, roll=region.roll + np.radians(side))
            for side in SIDES
        ]
        seen = [
            hint
            for view in views
            for hint in self.propose(image, Look(view))
            if np.hypot(hint.x - region.x, hint.y - region.y) < 0.4 * region.side
        ]
        as_given = [hint.score for hint in seen if _between(hint.roll, region.roll) < TURNED]
        best = max(seen, key=lambda hint: hint.score, default=region)
        better = best.score > max(as_given, default=region.score) + BETTER
        return best if better else region

    def _settled(self, image: np.ndarray, region: Region) -> tuple[np.ndarray, float] | None:
        landmarks = self.mesh(image, region)
        for _ in range(REFINEMENTS - 1):
            landmarks = None if landmarks is None else self.mesh(image, region_of(landmarks))
        return None if landmarks is None else self.steady_mesh(image, region_of(landmarks))

    def propose(self, image: np.ndarray, look: Look | None = None) -> list[Region]:
        """Squares around what may be faces, in the picture's pixels, searched as `look` says."""
        look = look or Look()
        view, to_image = np.ascontiguousarray(image), np.eye(2, 3)
        if look.within is not None:
            view, to_image = _cut(image, look.within, VIEW_SIDE)
        if look.contrast:
            view = _levelled(view)
        height, width = view.shape[:2]
        result = self._process(f"detect {int(look.full_range)} {look.confidence:.2f}", view)
        zoom = float(np.hypot(to_image[0, 0], to_image[1, 0]))
        turn = float(np.arctan2(to_image[1, 0], to_image[0, 0]))
        regions = []
        for detection in result.detections or []:
            location = detection.location_data
            eyes = [(p.x * width, p.y * height) for p in location.relative_keypoints[:2]]
            box = location.relative_bounding_box
            middle = ((box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height)
            x, y = to_image[:, :2] @ middle + to_image[:, 2]
            side = MARGIN * zoom * max(box.width * width, box.height * height)
            roll = turn + float(np.arctan2(eyes[1][1] - eyes[0][1], eyes[1][0] - eyes[0][0]))
            regions.append(Region(float(x), float(y), side, roll, float(detection.score[0])))
        return regions

    def steady_mesh(self, image: np.ndarray, region: Region) -> tuple[np.ndarray, float] | None:
        """Mean of the meshes of a region and of its mirror image; None where either shows no face.

        Returns the mesh, float64 (478, 3), and the mean distance in face widths between the two: they
        agree on faces, and not on what merely was taken for one.
        """
        plain, mirrored = self.mesh(image, region), self.mesh(image, region, mirrored=True)
        if plain is None or mirrored is None:
            return None
        apart = float(np.linalg.norm((plain - mirrored)[:, :2], axis=1).mean())
        return (plain + mirrored) / 2, apart / max(face_width(plain), 1e-6)

    def mesh(self, image: np.ndarray, region: Region, *, mirrored: bool = False) -> np.ndarray | None:
        """Mesh, float64 (478, 3) in the picture's pixels, of the face in a region; None without one.

        mirrored: show the network the mirrored region, and turn its answer back.
        """
        if not (np.isfinite([region.x, region.y, region.side]).all() and 4 <= region.side <= 1e5):
            return None
        crop, to_image = _cut(image, region, MESH_INPUT)
        if mirrored:
            crop = np.ascontiguousarray(crop[:, ::-1])
        result = self._process("mesh", {"image": crop, "roi": _full_square()})
        if result.landmarks is None:
            return None
        points = np.array([(p.x, p.y, p.z) for p in result.landmarks.landmark], np.float64) * MESH_INPUT
        if len(points) != topology.MESH_POINTS:
            return None
        if mirrored:
            points = points[mean_face().mirror]
            points[:, 0] = MESH_INPUT - points[:, 0]
        flat = points[:, :2] @ to_image[:, :2].T + to_image[:, 2]
        return np.column_stack([flat, points[:, 2] * (region.side / MESH_INPUT)])

    def _process(self, name: str, data: Any) -> Any:
        # The native libraries announce themselves while a graph starts and runs for the first time.
        with self._lock, contextlib.nullcontext() if name in self._graphs else quiet_stderr():
            if name not in self._graphs:
                self._graphs[name] = _build(name)
            try:
                return self._graphs[name].process(data)
            except RuntimeError as error:
                _close(self._graphs.pop(name))  # a graph that failed once answers nothing any more
                raise EngineError(
                    "mediapipe failed on this picture ({error}); {five_points}.", "five_points", error
                ) from error


def _close_all(graphs: dict[str, Any]) -> None:
    for graph in graphs.values():
        _close(graph)


def _close(graph: Any) -> None:
    with contextlib.suppress(RuntimeError, ValueError):  # it tells once more how it failed
        graph.close()


@kept(1)
def mediapipe_detector() -> MediapipeDetector:
    """The shared detector; raises `DependencyError` where mediapipe is missing or carries no models."""
    return MediapipeDetector()


def region_of(landmarks: np.ndarray, margin: float = MARGIN) -> Region:
    """The upright square around a mesh, `margin` times its longer side (by default as the network learnt)."""
    eyes = landmarks[topology.LEFT_EYE_OUTER] - landmarks[topology.RIGHT_EYE_OUTER]
    roll = float(np.arctan2(eyes[1], eyes[0]))
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    upright = landmarks[: topology.SKIN_POINTS, :2] @ turn.T
    low, high = upright.min(0), upright.max(0)
    x, y = turn.T @ ((low + high) / 2)
    return Region(float(x), float(y), margin * float((high - low).max()), roll)


def _between(roll: float, other: float) -> float:
    """The angle between two rolls in radians, in degrees from 0 to 180."""
    return abs((np.degrees(roll - other) + 180) % 360 - 180)


def _cut(image: np.ndarray, region: Region, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The region as a (side, side, 3) crop, and the affine map (2, 3) from crop to picture.

    Pixel centres lie at half-integers on both sides of the map. Beyond the picture its edge is repeated.
    """
    scale = region.side / side
    corner, shrink = np.zeros(2), np.ones(2)
    if scale > 1:
        # warpAffine samples four pixels whatever the scale: shrink the neighbourhood first, or a large
        # face would be aliased.
        half = region.side * 0.75 + 2
        low = np.clip([region.x - half, region.y - half], 0, [image.shape[1], image.shape[0]]).astype(int)
        high = np.clip([region.x + half, region.y + half], 0, [image.shape[1], image.shape[0]]).astype(int)
        if (high - low).min() > 1:
            size = np.maximum(1, np.rint((high - low) / scale)).astype(int)
            part = image[low[1] : high[1], low[0] : high[0]]
            image = cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
            corner, shrink = low, size / (high - low)
    cosine, sine = np.cos(region.roll) * scale, np.sin(region.roll) * scale
    middle = side / 2
    to_x = (cosine, -sine, region.x - (cosine - sine) * middle)
    to_y = (sine, cosine, region.y - (sine + cosine) * middle)
    to_image = np.array([to_x, to_y])
    sampling = to_image.copy()
    sampling[:, 2] -= corner
    sampling *= shrink[:, None]
    sampling[:, 2] += sampling[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts pixel centres as integers
    flags = (cv2.INTER_CUBIC if scale < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(image, sampling, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(crop), to_image


def _levelled(view: np.ndarray) -> np.ndarray:
    """The picture with local contrast evened out (CLAHE on lightness), for dark, faded or backlit faces."""
    lab = cv2.cvtColor(view, cv2.COLOR_RGB2LAB)
    lab[:, :, 0] = cv2.createCLAHE(clipLimit=4.0, tileGridSize=(4, 4)).apply(lab[:, :, 0])
    return np.ascontiguousarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


def _require_mediapipe() -> None:
    try:
        from mediapipe.python.solutions import face_detection  # noqa: F401
    except (ImportError, AttributeError) as error:
        raise _unusable(f"{type(error).__name__}: {error}") from error


def _unusable(reason: str) -> DependencyError:
    return DependencyError(
        "The face mesh needs mediapipe 0.10.5 to 0.10.21, whose wheels carry their models; {advice} "
        "({reason}).",
        Foreign(reason),
        advice=advice("mediapipe"),
    )


def _full_square() -> Any:
    from mediapipe.framework.formats import rect_pb2

    rect: Any = getattr(rect_pb2, "NormalizedRect")  # noqa: B009  made at run time, unseen by type checkers
    return rect(x_center=0.5, y_center=0.5, width=1.0, height=1.0, rotation=0.0)


def _build(name: str) -> Any:
    from google.protobuf import text_format
    from mediapipe.framework import calculator_pb2
    from mediapipe.python.solution_base import SolutionBase
    from mediapipe.python.solutions.face_detection import FaceDetection

    try:
        if name == "mesh":
            empty: Any = calculator_pb2.CalculatorGraphConfig()
            graph = text_format.Parse(_MESH_GRAPH, empty)
            return SolutionBase(graph_config=graph, side_inputs={"with_attention": True})
        _, model, confidence = name.split()
        return FaceDetection(min_detection_confidence=float(confidence), model_selection=int(model))
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        raise _unusable(str(error)) from error
