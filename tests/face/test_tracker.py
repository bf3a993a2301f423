"""Following a face through frames: precision, no lag, faces that vanish and return."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.face import Face, FaceTracker, find_faces, load_picture

pytest.importorskip("mediapipe")
cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def photo(demo_portrait: Path) -> np.ndarray:
    return np.ascontiguousarray(load_picture(demo_portrait).image[:256, 100:356])


@pytest.fixture(scope="module")
def face(photo: np.ndarray) -> Face:
    return find_faces(photo)[0]


def moved(photo: np.ndarray, dx: float, dy: float, angle: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    matrix = cv2.getRotationMatrix2D((128, 128), angle, 1.0)
    matrix[:, 2] += dx, dy
    frame = cv2.warpAffine(photo, matrix, (256, 256), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return frame, matrix


def test_follows_a_moving_face_without_lag(photo: np.ndarray, face: Face) -> None:
    steps = [(9 * np.sin(k / 2), 6 * np.cos(k / 3), 5 * np.sin(k / 4)) for k in range(16)]
    frames = [moved(photo, *step) for step in steps]
    seen = list(FaceTracker().track(frame for frame, _ in frames))
    for found, (_, matrix) in zip(seen, frames, strict=True):
        assert found is not None
        expected = face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        away = np.linalg.norm(found.landmarks[:, :2] - expected, axis=1).mean()
        assert away < 0.012 * face.size


def test_is_streaming_and_takes_frames_with_alpha(photo: np.ndarray) -> None:
    taken = 0

    def frames():
        nonlocal taken
        for _ in range(5):
            taken += 1
            yield np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])

    faces = FaceTracker().track(frames())
    assert next(faces) is not None
    assert taken == 1


def test_a_face_that_vanishes_and_returns_elsewhere(photo: np.ndarray) -> None:
    blank = np.full_like(photo, 60)
    shifted, _ = moved(photo, 40, 30)
    seen = list(FaceTracker().track([photo, blank, blank, shifted, photo]))
    assert [face is None for face in seen] == [False, True, True, False, False]
    assert seen[3] is not None
    assert seen[0] is not None
    assert seen[3].centre[0] - seen[0].centre[0] == pytest.approx(40, abs=2)


def test_stays_with_its_face_beside_a_larger_one(photo: np.ndarray) -> None:
    small = cv2.resize(photo, (150, 150), interpolation=cv2.INTER_AREA)
    alone = np.full((300, 600, 3), 90, np.uint8)
    alone[100:250, 20:170] = small
    both = alone.copy()
    both[20:276, 320:576] = photo
    tracker = FaceTracker()
    first = tracker.follow(alone)
    second = tracker.follow(both)
    assert first is not None
    assert second is not None
    assert abs(second.centre[0] - first.centre[0]) < 2
    # A new tracker starts with the larger one.
    fresh = FaceTracker().follow(both)
    assert fresh is not None
    assert fresh.centre[0] > 320
