"""Faces by the face-alignment package: its 68 points, lifted to the 478-point mesh.

Slower than mediapipe (a second or more a picture on a CPU) and without irises, but with another
detector, which finds some faces that mediapipe's misses. Its two weight files (about 180 MB) are not
ours: they are downloaded from their author's site on first use, into torch's own folder.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import threading
import warnings
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import numpy as np

from ..errors import DependencyError, Place, WeightsError
from ..system import leftovers
from ..system.caches import kept
from ..system.outputs import move_file
from ..system.paths import is_file
from . import topology
from .faces import Face, face_from_landmarks, is_plausible
from .points import lift_turned

INSTALL = "This face detector needs the face-alignment package; install it with: pip install face-alignment"
MOST_BYTES = 400_000_000  # of a weight file; the larger one has about 100 MB
TIMEOUT_SECONDS = 30.0  # without a byte
SEARCH_SIDE = 960  # px of the longer side at which faces are looked for; its detector's time grows with area


class FaceAlignmentDetector:
    """Faces by face-alignment on the CPU. Safe to share between threads: calls take turns.

    allow_download: fetch missing weights; otherwise their absence raises `WeightsError` naming the
    files and their folder. Raises `DependencyError` where the package is not installed.
    """

    name = "face-alignment"

    def __init__(self, *, allow_download: bool = False) -> None:
        self._lock = threading.Lock()
        self._network = _network(allow_download)

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces of a uint8 (H, W, 3) RGB picture, in no particular order; [] when there is none."""
        height, width = image.shape[:2]
        zoom = max(1.0, max(height, width) / SEARCH_SIDE)
        size = (max(1, round(width / zoom)), max(1, round(height / zoom)))
        small = image if zoom == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "No faces were detected" is an answer here
            boxes = self._network.face_detector.detect_from_image(np.ascontiguousarray(small).copy())
            boxes = [np.asarray(box, np.float64) * [zoom, zoom, zoom, zoom, 1] for box in boxes]
            if not boxes:
                return []
            all_points = self._network.get_landmarks_from_image(image.copy(), detected_faces=boxes) or []
        groups = [(index,) for index in topology.IBUG_68]
        faces = []
        for points, box in zip(all_points, boxes, strict=True):
            mesh = lift_turned(groups, np.asarray(points, np.float64)[:, :2])
            if is_plausible(mesh, width, height):
                faces.append(face_from_landmarks(mesh, float(box[4]), self.name))
        return faces


@kept(2)
def face_alignment_detector(allow_download: bool) -> FaceAlignmentDetector:
    """The shared detector; see `FaceAlignmentDetector` for what it raises."""
    return FaceAlignmentDetector(allow_download=allow_download)


def _network(allow_download: bool) -> Any:
    try:
        import face_alignment
        from face_alignment import api
        from face_alignment.detection.sfd import sfd_detector
    except ImportError as error:
        raise DependencyError("{install} ({error}).", error, install=INSTALL) from error
    kinds: Any = face_alignment.LandmarksType  # releases up to 1.3 name it _2D
    kind = kinds.TWO_D if hasattr(kinds, "TWO_D") else kinds._2D
    files = _weight_files([sfd_detector.models_urls["s3fd"], api.models_urls["2DFAN-4"]], allow_download)
    options: dict[str, Any] = {
        "device": "cpu",
        "flip_input": False,
        "face_detector_kwargs": {"path_to_detector": str(files[0])},
    }
    if "compile" in inspect.signature(face_alignment.FaceAlignment).parameters:
        options["compile"] = False  # compiling takes minutes, for one picture
    try:
        return face_alignment.FaceAlignment(kind, **options)
    except MemoryError:
        raise
    except Exception as error:  # damaged weights make torch raise dozens of classes
        raise WeightsError(
            "The weights of face-alignment cannot be loaded ({error}); delete {first} and {second} in {path} "
            "to have them fetched anew.",
            error,
            Place(files[0].parent, "torch's cache"),
            first=files[0].name,
            second=files[1].name,
        ) from error


def _weight_files(urls: list[str], allow_download: bool) -> list[Path]:
    """Local paths of the weights, fetched and verified by the hash in their names where allowed."""
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    place = Place(folder, "torch's cache")
    files = [folder / url.rsplit("/", 1)[-1] for url in urls]
    wanted = " and ".join(file.name for file in files)
    for url, file in zip(urls, files, strict=True):
        if is_file(file):
            continue
        if not allow_download:
            raise WeightsError(
                "face-alignment needs {wanted} in {path}; put them there, or ask for {detector} "
                "face-alignment once while online.",
                "detector",
                place,
                wanted=wanted,
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(url, file)
        except (OSError, HTTPException) as error:  # no network, a full disk, or another file
            raise WeightsError(
                "face-alignment could not fetch its weights ({error}); download {wanted} from {page}/ and "
                "put them into {path}.",
                error,
                place,
                wanted=wanted,
                page=url.rsplit("/", 1)[0],
            ) from error
    return files


def _fetch(url: str, target: Path) -> None:
    """The file whose name ends with the beginning of its hash; raises `OSError` where it is not that one."""
    found = re.search(r"-([0-9a-f]{8,64})\.", target.name)
    if found is None or not url.startswith("https://"):
        raise OSError("its address tells no hash by which it could be verified")
    digest, size, part = hashlib.sha256(), 0, leftovers.beside(target)
    try:
        with (
            urlopen(url, timeout=TIMEOUT_SECONDS) as response,  # noqa: S310 - the scheme is checked above
            part.open("wb") as file,
        ):
            while piece := response.read(1 << 18):
                size += len(piece)
                if size > MOST_BYTES:
                    raise OSError(f"the server sends more than {MOST_BYTES / 1e6:.0f} MB")
                digest.update(piece)
                file.write(piece)
        if not digest.hexdigest().startswith(found.group(1)):
            raise OSError("what the server sends is another file: its sha256 differs")
        move_file(part, target, overwrite=True)
    finally:
        leftovers.remove(part)
