"""Whether a mouth is seen: covers of many kinds and colours, mouths beyond the edge, no false alarms."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sadtalker_ext.face import Face, Portrait, load_picture, load_portrait, topology
from sadtalker_ext.face.mouth import COVERED, COVERED_FROM, OUTSIDE, SEEN, SHUT, cover, mouth_of

pytest.importorskip("mediapipe")

Paint = tuple[int, int, int]
Outline = list[tuple[float, float]]


@pytest.fixture(scope="module")
def portrait(demo_portrait: Path) -> Portrait:
    return load_portrait(demo_portrait)


@pytest.fixture(scope="module")
def large(portrait: Portrait) -> Portrait:
    """The demo face at twice the size, so that covers have room."""
    x0, y0, x1, y1 = (round(v) for v in portrait.face.box)
    air = (y1 - y0) // 2
    part = portrait.image[max(0, y0 - air) : y1 + air, x0 - air : x1 + air]
    return load_portrait(cv2.resize(part, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))


def place(face: Face, across: float, down: float) -> tuple[int, int]:
    """A place in pixels, from the middle of the lips, in face widths along the face's own axes."""
    points = face.landmarks[:, :2]
    span = points[topology.LEFT_CHEEK] - points[topology.RIGHT_CHEEK]
    axis = points[topology.CHIN] - points[topology.NOSE_BRIDGE]
    axis = axis / np.linalg.norm(axis) * np.linalg.norm(span)
    x, y = points[[13, 14]].mean(0) + across * span + down * axis
    return round(float(x)), round(float(y))


def covered(portrait: Portrait, corners: Outline, paint: Paint, grain: float = 5) -> np.ndarray:
    """The picture with a polygon of cloth or plastic over it."""
    image, mask = portrait.image.astype(np.float32), np.zeros(portrait.image.shape[:2], np.uint8)
    outline = np.array([place(portrait.face, *corner) for corner in corners])
    cv2.fillPoly(mask, [outline], 1)
    texture = np.random.default_rng(0).normal(0, grain, mask.shape)[:, :, None] + np.array(paint)
    return np.clip(np.where(mask[:, :, None] > 0, texture, image), 0, 255).astype(np.uint8)


MASK = [(-0.48, -0.2), (0, -0.3), (0.48, -0.2), (0.42, 0.3), (0.15, 0.48), (-0.15, 0.48), (-0.42, 0.3)]
SCARF = [(-0.8, -0.14), (0.8, -0.14), (0.8, 0.9), (-0.8, 0.9)]
PHONE = [(-0.22, -0.25), (0.22, -0.25), (0.22, 0.5), (-0.22, 0.5)]
CUP = [(-0.26, -0.1), (0.26, -0.1), (0.2, 0.5), (-0.2, 0.5)]
BALL = [(0.27 * float(np.sin(a)), 0.05 + 0.27 * float(np.cos(a))) for a in np.linspace(0, 6.28, 30)]
COVERS: dict[str, tuple[Outline, Paint]] = {
    "blue mask": (MASK, (110, 170, 220)),
    "white mask": (MASK, (238, 238, 240)),
    "black mask": (MASK, (24, 24, 28)),
    "green mask": (MASK, (120, 190, 160)),
    "red mask": (MASK, (170, 30, 40)),
    "grey mask": (MASK, (120, 120, 124)),
    "pink mask": (MASK, (240, 150, 180)),
    "scarf": (SCARF, (70, 90, 60)),
    "book": (SCARF, (40, 70, 130)),
    "black phone": (PHONE, (20, 20, 24)),
    "white phone": (PHONE, (240, 240, 242)),
    "cup": (CUP, (30, 90, 190)),
    "microphone": (BALL, (25, 25, 28)),
}


@pytest.mark.parametrize("kind", COVERS)
def test_what_lies_before_the_lips_is_seen(large: Portrait, kind: str) -> None:
    corners, paint = COVERS[kind]
    image = covered(large, corners, paint)
    assert mouth_of(image, large.face) == COVERED
    assert mouth_of(large.image, large.face) == SEEN


def test_a_hand_before_the_mouth(large: Portrait) -> None:
    places = large.face.landmarks[[50, 280, 205, 425]].astype(int)
    skin = np.median(large.image[places[:, 1], places[:, 0]], axis=0)
    image = large.image
    for finger in range(4):
        y = -0.2 + 0.12 * finger
        outline = [(-0.5, y), (0.4, y), (0.4, y + 0.13), (-0.5, y + 0.13)]
        image = covered(
            Portrait(load_picture(image), large.face), outline, tuple(skin * (0.97 - 0.02 * finger)), grain=3
        )
    assert mouth_of(image, large.face) == COVERED


@pytest.mark.parametrize("kind", ["blue mask", "black mask", "scarf"])
def test_a_covered_mouth_is_told_and_can_be_overruled(large: Portrait, kind: str) -> None:
    found = load_portrait(covered(large, *COVERS[kind]))
    assert found.mouth == COVERED
    (notice,) = found.notices
    assert "seems covered" in notice
    assert "--mouth" in notice
    assert found.with_mouth("auto") is found
    assert found.with_mouth("talk").mouth == SEEN
    assert found.with_mouth("talk").notices == ()
    assert found.with_mouth("shut").mouth == SHUT
    assert found.with_mouth("shut").notices == ()


def test_points_given_by_hand_count_as_a_mouth(large: Portrait) -> None:
    marks = large.face.landmarks
    points = [tuple(map(float, marks[list(group), :2].mean(0))) for group in topology.FIVE_POINTS]
    assert load_portrait(covered(large, *COVERS["blue mask"]), points=points).mouth == SEEN


@pytest.mark.parametrize(
    "change",
    ["grey", "dark", "faded", "bleached", "small", "soft", "lips", "moustache", "beard", "sketch", "line"],
)
def test_faces_that_are_seen_badly_still_talk(large: Portrait, change: str) -> None:
    image, marks = large.image, large.face.landmarks
    lips = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(lips, [marks[list(topology.LIPS_OUTER), :2].astype(np.int32)], 1)
    grown = cv2.dilate(lips, np.ones((41, 41), np.uint8))
    skin = np.median(
        image[marks[[50, 280, 205, 425], 1].astype(int), marks[[50, 280, 205, 425], 0].astype(int)], 0
    )
    below = np.arange(image.shape[0])[:, None] > marks[topology.MOUTH_LEFT, 1]
    hair = np.random.default_rng(1).normal(0, 9, image.shape) + np.array((52, 38, 30))
    faces = {
        "grey": np.repeat(image.mean(2, keepdims=True), 3, 2),
        "dark": image * 0.25,
        "faded": image * 0.3 + 150,
        "bleached": image * 0.1 + 200,
        "small": cv2.resize(
            cv2.resize(image, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA), image.shape[1::-1]
        ),
        "soft": cv2.GaussianBlur(image, (0, 0), 8),
        "lips": np.where(lips[:, :, None] > 0, image * 0.4, image),
        "line": cv2.polylines(
            np.where(grown[:, :, None] > 0, skin, image).astype(np.uint8).copy(),
            [marks[[topology.MOUTH_RIGHT, 13, topology.MOUTH_LEFT], :2].astype(np.int32)],
            False,
            (90, 50, 40),
            3,
        ),
        "moustache": np.where(((grown > lips) & ~below)[:, :, None], hair, image),
        "beard": np.where((grown > lips)[:, :, None], hair, image),
        "sketch": np.repeat(255 - cv2.Canny(image, 60, 120)[:, :, None] // 2, 3, 2),
    }
    assert mouth_of(np.clip(faces[change], 0, 255).astype(np.uint8), large.face) == SEEN


LIGHTS = {
    "teal": (0.45, 0.6, 1.1),
    "cyan": (0.3, 1, 1.1),
    "green": (0.5, 1, 0.4),
    "blue": (0.4, 0.5, 1.1),
    "magenta": (1.1, 0.4, 1),
    "red": (1.1, 0.3, 0.3),
}


@pytest.mark.parametrize("softness", [0.06, 0.12, 0.25])
@pytest.mark.parametrize("colour", LIGHTS)
@pytest.mark.parametrize("where", ["below", "above", "left"])
def test_two_lights_cover_no_mouth(portrait: Portrait, where: str, colour: str, softness: float) -> None:
    """A lamp of another colour from one side: neon, rim light, a screen."""
    image = lit(portrait, where, colour, softness)
    assert mouth_of(image, portrait.face) == SEEN


def lit(portrait: Portrait, where: str, colour: str, softness: float) -> np.ndarray:
    image, (x0, y0, x1, y1) = portrait.image.astype(np.float32), portrait.face.box
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    along = (columns - x0) / (x1 - x0) if where == "left" else (rows - y0) / (y1 - y0)
    share = 1 / (1 + np.exp(-(along - 0.55) / softness))[:, :, None]
    if where != "below":
        share = 1 - share
    return np.clip(image * (1 - share) + image * np.array(LIGHTS[colour]) * share, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", ["teal", "magenta"])
@pytest.mark.parametrize("kind", COVERS)
def test_covers_are_seen_in_two_lights_too(large: Portrait, kind: str, colour: str) -> None:
    shown = Portrait(load_picture(lit(large, "left", colour, 0.25)), large.face)
    assert mouth_of(covered(shown, *COVERS[kind]), large.face) == COVERED


@pytest.mark.parametrize(("share", "mouth"), [(-0.06, OUTSIDE), (0.0, OUTSIDE), (0.15, SEEN)])
def test_a_mouth_beyond_the_lower_edge(large: Portrait, share: float, mouth: str) -> None:
    edge = place(large.face, 0, share)[1]
    assert mouth_of(large.image[:edge], large.face) == mouth


def test_a_mouth_half_beyond_the_side(large: Portrait) -> None:
    assert mouth_of(large.image[:, : place(large.face, 0.02, 0)[0]], large.face) == OUTSIDE
    assert mouth_of(large.image[:, : place(large.face, 0.3, 0)[0]], large.face) == SEEN


def test_a_face_cut_above_the_mouth_says_so(large: Portrait) -> None:
    found = load_portrait(large.image[: place(large.face, 0, -0.04)[1]])
    assert found.mouth == OUTSIDE
    assert "mouth lies outside the picture" in found.notices[0]


def test_a_flat_picture_has_no_cover(large: Portrait) -> None:
    assert cover(np.full_like(large.image, 128), large.face.landmarks) < COVERED_FROM


def test_no_sample_is_taken_for_covered(samples: Path) -> None:
    for path in sorted((samples / "images").iterdir()):
        assert load_portrait(path).mouth == SEEN, path.name
