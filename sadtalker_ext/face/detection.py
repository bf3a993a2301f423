"""Turns a picture into its faces: one direct look, and harder looks where that finds nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import cv2
import numpy as np

from ..errors import DependencyError, OptionsError, WeightsError
from ..host import Check, nothing
from ..system.caches import Kept
from .faces import Face, LandmarkDetector, distinct
from .mediapipe_mesh import CERTAIN, Look, MediapipeDetector, Region, mediapipe_detector, region_of

DETECTORS = ("auto", "mediapipe", "face-alignment")

SEARCH_SIDE = 1600  # px of the longer side at which a large picture is searched; meshes use all its pixels
TILE_SHARES = (0.55, 0.3)  # tile side over the picture's shorter side
TINY_TILE_SHARE = 0.16  # the same where nothing was found yet
TILE_STEP = 0.6  # of a tile's side
SMALL_FACE = 0.15  # of the picture's shorter side: with a face larger than this no tiles are searched
SURE = 0.6  # score from which a face found in a part of the picture counts
FINDINGS_KEPT = 8  # pictures whose faces are remembered
LIKELY = 0.8  # score from which a face is believed that only a turned look at the whole picture shows
LYING = 40.0  # degrees of roll from which faces are taken to lie, or to stand on their heads
FAINT = 0.2  # score from which the last, hardest looks take a hint


# Most runs are of a picture that was looked at before, by the page or by the run before.
_found: Kept[list[Face]] = Kept(FINDINGS_KEPT)
_seen: Kept[list[Face]] = Kept(FINDINGS_KEPT)


def find_faces(
    image: np.ndarray, *, detector: str = "auto", thorough: bool = False, check: Check = nothing
) -> list[Face]:
    """Every face of a uint8 (H, W, 3) RGB picture, largest first; [] when there is none.

    detector: one of `DETECTORS`; "auto" is mediapipe, and face-alignment after it where its weights
    are on disk already. A face that fills a good part of the picture is found by a direct look, and
    then smaller ones far behind it may stay unseen unless `thorough` is set. check: called between
    steps; may raise to stop. Raises `DependencyError` or `WeightsError` where the detector cannot run.
    """
    if detector not in DETECTORS:
        raise OptionsError(f"Unknown face detector {detector!r}; choose one of {', '.join(DETECTORS)}.")
    key = (_digest(image), detector, thorough)
    faces = _found.get(key, lambda: _faces(image, detector, thorough, check))
    if not faces:  # another detector may come, which finds one
        _found.drop(key)
    return list(faces)


def _faces(image: np.ndarray, detector: str, thorough: bool, check: Check) -> list[Face]:
    if detector == "face-alignment":
        return distinct(_face_alignment(allow_download=True).detect(image))
    try:
        faces = search(mediapipe_detector(), image, thorough=thorough, check=check)
    except DependencyError:
        second = _second_detector(detector)
        if second is None:
            raise
        return distinct(second.detect(image))
    if not faces:
        second = _second_detector(detector)
        faces = [] if second is None else distinct(second.detect(image))
    return faces


def search(
    detector: MediapipeDetector, image: np.ndarray, *, thorough: bool = False, check: Check = nothing
) -> list[Face]:
    """The search cascade: the whole picture, its tiles, then harder looks until one finds a face."""
    check()
    small, zoom = _reduced(image)
    # Kept, so that a look for all faces and one for the largest of the same picture share it.
    faces = _seen.get((detector, _digest(image)), lambda: _direct_look(detector, image, small, zoom))
    if faces and max(face.score for face in faces) < CERTAIN:
        check()
        faces = _turned_looks(detector, image, faces, small, zoom, np.radians((90, 180, -90)))
    if _lying(faces):  # those beside it lie as it does
        check()
        faces = _turned_looks(detector, image, faces, small, zoom, [_lying(faces)])
    if thorough or not faces or faces[0].size < SMALL_FACE * min(image.shape[:2]):
        hints: list[Region] = []
        for look in _tiles(small.shape[1], small.shape[0], roll=_lying(faces)):
            check()
            hints += [hint for hint in detector.propose(small, look) if hint.score >= SURE]
        faces = _joined(detector, image, faces, _enlarged(hints, zoom))
    for look in [] if faces else _harder_looks(small.shape[1], small.shape[0]):
        check()
        faces = detector.fit(image, _enlarged(detector.propose(small, look), zoom))
        if faces:
            break
    return faces


def _direct_look(
    detector: MediapipeDetector, image: np.ndarray, small: np.ndarray, zoom: float
) -> list[Face]:
    faces = detector.fit(image, _enlarged(detector.propose(small), zoom))
    return _joined(detector, image, faces, _enlarged(detector.propose(small, Look(full_range=True)), zoom))


def _turned_looks(
    detector: MediapipeDetector,
    image: np.ndarray,
    faces: list[Face],
    small: np.ndarray,
    zoom: float,
    rolls: Sequence[float] | np.ndarray,
) -> list[Face]:
    """`faces` and those that are seen when the whole picture is turned by `rolls`, in radians."""
    height, width = small.shape[:2]
    side = float(np.hypot(height, width))
    looks = [
        Look(Region(width / 2, height / 2, side, float(roll)), full_range)
        for roll in rolls
        for full_range in (False, True)
    ]
    hints = [hint for look in looks for hint in detector.propose(small, look) if hint.score >= LIKELY]
    return _joined(detector, image, faces, _enlarged(hints, zoom))


def _lying(faces: list[Face]) -> float:
    """How far the surest face is turned, in radians; 0 where it stands upright."""
    if not faces:
        return 0.0
    roll = region_of(max(faces, key=lambda face: face.score).landmarks).roll
    return roll if abs(np.degrees(roll)) > LYING else 0.0


def _digest(image: np.ndarray) -> tuple[object, ...]:
    return image.shape, blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _reduced(image: np.ndarray) -> tuple[np.ndarray, float]:
    """The picture at no more than `SEARCH_SIDE`, and the factor back to its own pixels."""
    zoom = max(image.shape[:2]) / SEARCH_SIDE
    if zoom <= 1:
        return np.ascontiguousarray(image), 1.0
    size = (max(1, round(image.shape[1] / zoom)), max(1, round(image.shape[0] / zoom)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), image.shape[1] / size[0]


def _enlarged(regions: list[Region], zoom: float) -> list[Region]:
    return [Region(r.x * zoom, r.y * zoom, r.side * zoom, r.roll, r.score) for r in regions]


def _joined(
    detector: MediapipeDetector, image: np.ndarray, faces: list[Face], hints: list[Region]
) -> list[Face]:
    """`faces` and those fitted to the hints that lie on none of them."""
    kept: list[Region] = []
    for hint in sorted(hints, key=lambda h: -h.score):
        known = any(face.contains(hint.x, hint.y) and face.size > 0.4 * hint.side for face in faces)
        apart = (np.hypot(hint.x - k.x, hint.y - k.y) > 0.2 * max(hint.side, k.side) for k in kept)
        if not known and all(apart):
            kept.append(hint)
    return distinct(faces + detector.fit(image, kept)) if kept else faces


def _tiles(
    width: int, height: int, shares: tuple[float, ...] = TILE_SHARES, roll: float = 0.0
) -> Iterator[Look]:
    """Overlapping squares over the whole picture, coarse to fine; the finest for faces far off."""
    for share in shares:
        side = share * min(width, height)
        for y in _centres(height, side):
            for x in _centres(width, side):
                yield Look(Region(x, y, side, roll), full_range=share <= TILE_SHARES[-1])


def _centres(length: int, side: float) -> np.ndarray:
    count = max(1, int(np.ceil((length - side) / (TILE_STEP * side))) + 1)
    return np.linspace(side / 2, length - side / 2, count)


def _harder_looks(width: int, height: int) -> Iterator[Look]:
    """For faces cut by the edge, faint, backlit, or lying on their side."""
    whole = Region(width / 2, height / 2, float(max(width, height)))
    for air in (1.5, 2.2):  # a face that fills the picture is too large for the detectors
        yield Look(Region(whole.x, whole.y, whole.side * air))
    yield Look(whole, contrast=True)
    for angle in (90, -90, 180, 45, -45):
        roll = float(np.radians(angle))
        yield Look(Region(whole.x, whole.y, whole.side * (1.0 if angle % 90 == 0 else 1.2), roll))
    for air in (1.0, 1.5, 2.2):
        for full_range in (False, True):
            for contrast in (False, True):
                yield Look(Region(whole.x, whole.y, whole.side * air), full_range, FAINT, contrast)
    for look in _tiles(width, height, (TINY_TILE_SHARE,)):
        yield Look(look.within, look.full_range, SURE)


def _second_detector(asked: str) -> LandmarkDetector | None:
    """face-alignment, when nothing was asked for by name and it can run without a download."""
    if asked != "auto":
        return None
    try:
        return _face_alignment(allow_download=False)
    except (DependencyError, WeightsError):
        return None


def _face_alignment(*, allow_download: bool) -> LandmarkDetector:
    from .face_alignment_mesh import face_alignment_detector

    return face_alignment_detector(allow_download)
