"""Eyelids close, look and rest as asked, where the eyes are and nowhere else."""

from __future__ import annotations

import itertools
from types import ModuleType

import cv2
import numpy as np
import pytest

from sadtalker_ext.engines.instant.warp.lids import Eyelids

WIDTH = 220.0


@pytest.fixture(scope="module")
def points(face: ModuleType) -> np.ndarray:
    return face.mesh(WIDTH)


@pytest.fixture(scope="module")
def picture(face: ModuleType, points: np.ndarray) -> np.ndarray:
    return face.paint(points)


@pytest.fixture(scope="module")
def lids(picture: np.ndarray, points: np.ndarray) -> Eyelids:
    return Eyelids(picture, points, WIDTH)


def identity(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps (x, y), float32 (size, size), of a picture that does not move."""
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    return x, y


def drawn(lids: Eyelids, picture: np.ndarray, **pose: tuple[float, float]) -> np.ndarray:
    out = picture.copy()
    lids.draw(out, *identity(len(picture)), **pose)
    return out


def eye_window(points: np.ndarray, upper: tuple[int, ...], lower: tuple[int, ...]) -> tuple[slice, slice]:
    ring = points[list(upper) + list(lower), :2]
    x0, y0 = np.floor(ring.min(0)).astype(int)
    x1, y1 = np.ceil(ring.max(0)).astype(int)
    return slice(y0, y1), slice(x0, x1)


def bluish(image: np.ndarray) -> int:
    """Pixels of the iris: bluer than red, as nothing else in the picture is."""
    pixels = image.astype(int)
    return int((pixels[..., 2] > pixels[..., 0] + 20).sum())


def test_rest_changes_nothing(lids: Eyelids, picture: np.ndarray) -> None:
    assert np.array_equal(drawn(lids, picture), picture)


def test_both_eyes_are_found(lids: Eyelids) -> None:
    assert len(lids.boxes) == 2


def test_full_blink_hides_the_eyes_under_skin(lids: Eyelids, picture: np.ndarray, points: np.ndarray) -> None:
    out = drawn(lids, picture, blink=(1.0, 1.0))
    assert bluish(picture) > 100
    assert bluish(out) == 0
    for middle, lower in ((468, 145), (473, 374)):
        x, y = points[middle, :2].astype(int)
        y = int(0.7 * y + 0.3 * points[lower, 1]) - 4
        lid = out[y - 3 : y + 1, x - 3 : x + 4].reshape(-1, 3).mean(0)
        cheek = picture[y + 40 : y + 46, x - 3 : x + 4].reshape(-1, 3).mean(0)
        assert np.abs(lid - cheek).max() < 35


def test_closed_eye_has_a_lash_line_at_its_lower_half(
    lids: Eyelids, picture: np.ndarray, points: np.ndarray
) -> None:
    out = drawn(lids, picture, blink=(1.0, 1.0)).mean(-1)
    x = int(points[468, 0])
    top, bottom = int(points[159, 1]) - 6, int(points[145, 1]) + 6
    column = out[top:bottom, x - 2 : x + 3].mean(1)
    darkest = top + int(column.argmin())
    assert column.min() < 0.75 * np.median(column)
    assert darkest > (points[159, 1] + points[145, 1]) / 2


def test_the_iris_disappears_steadily(lids: Eyelids, picture: np.ndarray) -> None:
    seen = [bluish(drawn(lids, picture, blink=(b, b))) for b in np.linspace(0, 1, 11)]
    assert all(after <= before for before, after in itertools.pairwise(seen))
    assert 0.2 * seen[0] < seen[5] < 0.9 * seen[0]


def test_movement_is_continuous(lids: Eyelids, picture: np.ndarray) -> None:
    frames = [drawn(lids, picture, blink=(b, b)).astype(int) for b in np.linspace(0, 1, 41)]
    box = lids.boxes[0]
    region = (slice(box[1], box[3]), slice(box[0], box[2]))
    steps = [np.abs(a[region] - b[region]).mean() for a, b in itertools.pairwise(frames)]
    assert max(steps) < 4 * (np.mean(steps) + 0.1)


def test_eyes_blink_alone(lids: Eyelids, picture: np.ndarray) -> None:
    half = picture.shape[1] // 2
    left = drawn(lids, picture, blink=(1.0, 0.0))
    assert np.array_equal(
        left[:, :half], picture[:, :half]
    )  # the person's right eye is at the picture's left
    assert not np.array_equal(left[:, half:], picture[:, half:])


def test_nothing_outside_the_boxes_changes(lids: Eyelids, picture: np.ndarray) -> None:
    out = drawn(lids, picture, blink=(0.7, 1.0), look=(1.0, -1.0), squint=(1.0, 0.0), wide=(0.0, 1.0))
    for x0, y0, x1, y1 in lids.boxes:
        out[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    assert np.array_equal(out, picture)


@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_gaze_moves_the_iris_and_not_the_lids(
    face: ModuleType, lids: Eyelids, picture: np.ndarray, points: np.ndarray, direction: float
) -> None:
    out = drawn(lids, picture, look=(direction, 0.0))
    window = eye_window(points, face.UPPER_LID, face.LOWER_LID)

    def place(image: np.ndarray) -> float:
        pixels = image[window].astype(int)
        columns = np.nonzero(pixels[..., 2] > pixels[..., 0] + 20)[1]
        return float(columns.mean())

    eye_width = float(np.hypot(*(points[33, :2] - points[133, :2])))
    moved = (place(out) - place(picture)) * direction
    assert 0.04 * eye_width < moved < 0.16 * eye_width
    above = slice(window[0].start - 12, window[0].start - 2)
    assert np.array_equal(out[above], picture[above])


def test_eyes_follow_the_head(lids: Eyelids, picture: np.ndarray) -> None:
    x, y = identity(len(picture))
    shift = 17
    moved = np.roll(picture, shift, axis=1)
    lids.draw(moved, x - np.float32(shift), y, blink=(0.8, 0.8))
    still = drawn(lids, picture, blink=(0.8, 0.8))
    assert np.abs(np.roll(still, shift, axis=1).astype(int) - moved.astype(int)).max() <= 2


def test_wide_and_squint_move_lids_apart_and_together(
    face: ModuleType, lids: Eyelids, picture: np.ndarray
) -> None:
    def opened(**pose: tuple[float, float]) -> int:
        pixels = drawn(lids, picture, **pose).astype(int)
        return int((np.abs(pixels - face.WHITE).max(-1) < 30).sum() + bluish(pixels))

    assert opened(squint=(1.0, 1.0)) < opened() < opened(wide=(1.0, 1.0))


def test_strength_zero_leaves_unknown_eyes_alone(picture: np.ndarray, points: np.ndarray) -> None:
    lids = Eyelids(picture, points, WIDTH, strength=0.0)
    assert lids.boxes == []
    assert np.array_equal(drawn(lids, picture, blink=(1.0, 1.0), look=(1.0, 1.0)), picture)


def test_shut_eyes_stay_as_they_are(face: ModuleType, picture: np.ndarray, points: np.ndarray) -> None:
    shut = points.copy()
    for upper, lower in (
        (face.UPPER_LID, face.LOWER_LID),
        (face.MIRRORED_UPPER_LID, face.MIRRORED_LOWER_LID),
    ):
        shut[list(upper)] = shut[list(lower)]
    assert Eyelids(picture, shut, WIDTH).boxes == []


@pytest.mark.parametrize("size", [40, 64, 1400])
def test_any_size_of_picture(face: ModuleType, size: int) -> None:
    points = face.mesh(size * 0.45, size)
    picture = face.paint(points, size)
    lids = Eyelids(picture, points, size * 0.45)
    out = drawn(lids, picture, blink=(1.0, 0.5), look=(0.5, 0.5))
    assert out.shape == picture.shape


@pytest.mark.parametrize("offset", [(-170, 0), (190, 0), (0, -230), (0, 260), (-600, -600)])
def test_eyes_partly_or_wholly_outside(
    picture: np.ndarray, points: np.ndarray, offset: tuple[int, int]
) -> None:
    moved = points.copy()
    moved[:, :2] += offset
    lids = Eyelids(picture, moved, WIDTH)
    drawn(lids, picture, blink=(1.0, 1.0), look=(1.0, 1.0))


def test_a_drawing_is_measured_in_the_drawing(face: ModuleType) -> None:
    """Eyes of a comic are far taller than any mesh says; shut, they still show skin and a dark arc."""
    points = face.mesh(WIDTH)
    image = face.paint(points, flat=True)
    centres = [points[i, :2] for i in (468, 473)]
    for x, y in centres:
        x, y = int(x), int(y) + 12
        cv2.ellipse(image, (x, y), (28, 32), 0, 0, 360, (255.0, 255.0, 255.0), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, y), (16, 28), 0, 0, 360, (60.0, 90.0, 190.0), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, y), (29, 33), 0, 190, 350, (30.0, 20.0, 25.0), 5, cv2.LINE_AA)
    lids = Eyelids(image, points, WIDTH)
    out = drawn(lids, image, blink=(1.0, 1.0))
    assert bluish(image) > 2000
    assert bluish(out) < 0.02 * bluish(image)
    x, y = int(centres[0][0]), int(centres[0][1]) + 12
    column = out[y - 20 : y + 40, x].mean(-1)
    assert column.min() < 90
    assert np.median(column) > 140


def test_spectacles_stay_rigid(picture: np.ndarray, points: np.ndarray) -> None:
    worn = picture.copy()
    rims = []
    for outer, inner, iris in ((33, 133, 468), (263, 362, 473)):
        width = float(np.hypot(*(points[outer, :2] - points[inner, :2])))
        x, y = points[iris, :2]
        corner = (round(x - 0.75 * width), round(y - 0.5 * width))
        opposite = (round(x + 0.75 * width), round(y + 0.62 * width))
        cv2.rectangle(worn, corner, opposite, (25.0, 22.0, 22.0), 3)
        rims.append((slice(corner[1] - 1, corner[1] + 2), slice(corner[0], opposite[0])))
    out = drawn(Eyelids(worn, points, WIDTH), worn, blink=(1.0, 1.0))
    assert bluish(out) == 0
    for rim in rims:
        assert np.abs(out[rim].astype(int) - worn[rim]).max() <= 2


@pytest.mark.parametrize("turn_deg", [-40.0, 25.0, 90.0, 180.0])
def test_tilted_heads(picture: np.ndarray, points: np.ndarray, turn_deg: float) -> None:
    size = len(picture)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), turn_deg, 1.0)
    tilted = cv2.warpAffine(picture, turn, (size, size), borderMode=cv2.BORDER_REPLICATE)
    moved = points.copy()
    moved[:, :2] = points[:, :2] @ turn[:, :2].T + turn[:, 2]
    out = drawn(Eyelids(tilted, moved, WIDTH), tilted, blink=(1.0, 1.0))
    assert bluish(tilted) > 100
    assert bluish(out) <= 2


def test_a_part_of_the_picture_is_enough(lids: Eyelids, picture: np.ndarray) -> None:
    whole = drawn(lids, picture, blink=(0.6, 1.0), look=(0.5, 0.2))
    x0, y0 = min(b[0] for b in lids.boxes) - 8, min(b[1] for b in lids.boxes) - 8
    x1, y1 = max(b[2] for b in lids.boxes) + 8, max(b[3] for b in lids.boxes) + 8
    part = (slice(y0, y1), slice(x0, x1))
    x, y = identity(len(picture))
    out = picture[part].copy()
    lids.draw(out, x[part], y[part], blink=(0.6, 1.0), look=(0.5, 0.2))
    assert np.array_equal(out, whole[part])
