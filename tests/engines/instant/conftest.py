"""A drawn face, so that the renderer can be tested without a detector."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from sadtalker_ext.face import Portrait
from sadtalker_ext.face.faces import face_from_landmarks
from sadtalker_ext.face.mean import mean_face
from sadtalker_ext.face.picture import Picture
from sadtalker_ext.face.topology import (
    CHIN,
    FACE_OVAL,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_LOWER_RINGS,
    LIPS_OUTER,
    RIGHT_BROW,
    RIGHT_EYE,
)

SKIN, LIP, TEETH = (205, 160, 135), (165, 70, 75), (235, 230, 215)


def draw_face(
    width: int = 260,
    height: int = 320,
    face_width: float = 110.0,
    centre: tuple[float, float] | None = None,
    own_gap: float = 0.0,
    jaw: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """A picture (uint8 RGB) of the mean face, and its mesh; with `own_gap` fw of teeth between the lips.

    jaw: fw by which the jaw hangs besides, with the lower lip and the chin.
    """
    x, y = centre or (width / 2, height / 2)
    points = mean_face().points.astype(np.float32) * face_width
    points = points - np.append(points[list(FACE_OVAL), :2].mean(0), 0).astype(np.float32)
    points[:, 2] -= points[:, 2].mean()
    for ring, share in ((LIPS_INNER_UPPER, -0.5), (LIPS_INNER_LOWER, 0.5)):
        inner = list(ring[1:-1])
        profile = np.sin(np.linspace(0, np.pi, len(inner) + 2))[1:-1]
        points[inner, 1] += share * own_gap * face_width * profile
    if jaw:
        points = hang_jaw(points, jaw * face_width)
    points[:, :2] += (x, y)
    noise = np.random.default_rng(1)
    picture = np.full((height, width, 3), (70, 95, 120), np.uint8)

    def fill(indices: tuple[int, ...], colour: tuple[int, int, int], size: float = 1.0) -> None:
        outline = points[list(indices), :2]
        outline = outline.mean(0) + (outline - outline.mean(0)) * size
        cv2.fillPoly(picture, [np.round(cv2.convexHull(outline)).astype(np.int32)], colour, cv2.LINE_AA)

    def fill_exact(indices: tuple[int, ...], colour: tuple[int, int, int]) -> None:
        cv2.fillPoly(picture, [np.round(points[list(indices), :2]).astype(np.int32)], colour, cv2.LINE_AA)

    fill(FACE_OVAL, (60, 40, 30), 1.25)
    fill(FACE_OVAL, SKIN)
    for brow in (LEFT_BROW, RIGHT_BROW):
        fill(brow, (70, 45, 35))
    for eye in (LEFT_EYE, RIGHT_EYE):
        fill(eye, (235, 235, 235))
    fill_exact(LIPS_OUTER, LIP)
    if own_gap or jaw:
        fill_exact(LIPS_INNER, TEETH)
    else:
        line = np.round(points[list(LIPS_INNER_UPPER), :2]).astype(np.int32)
        cv2.polylines(picture, [line], False, (70, 20, 25), 1, cv2.LINE_AA)
    grain = noise.normal(0, 3, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8), points


def hang_jaw(points: np.ndarray, drop: float) -> np.ndarray:
    """The mesh with its jaw hanging by `drop` px: the chin by three quarters of it, the lower lip by all."""
    hung = points.copy()
    corner = float(points[LIPS_INNER_UPPER[0], 1])
    chin = float(points[CHIN, 1])
    share = np.clip((points[:, 1] - corner) / (chin - corner), 0, 1)
    hung[:, 1] += 0.75 * drop * share
    for ring in LIPS_LOWER_RINGS:
        inner = list(ring[1:-1])
        profile = np.sin(np.linspace(0, np.pi, len(ring)))[1:-1] ** 0.7
        hung[inner, 1] = points[inner, 1] + drop * profile
    return hung


def make_portrait(picture: np.ndarray, points: np.ndarray, alpha: np.ndarray | None = None) -> Portrait:
    face = face_from_landmarks(points, 1.0, "mediapipe")
    return Portrait(Picture(picture, alpha), face, (face,))


@pytest.fixture(scope="session")
def portrait() -> Portrait:
    return make_portrait(*draw_face())


@pytest.fixture(scope="session")
def smiling() -> Portrait:
    return make_portrait(*draw_face(own_gap=0.06))


@pytest.fixture(scope="session")
def draw() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """`draw_face`, for tests that want another one."""
    return draw_face


@pytest.fixture(scope="session")
def as_portrait() -> Callable[..., Portrait]:
    """`make_portrait`."""
    return make_portrait


@pytest.fixture(scope="session")
def colours() -> dict[str, tuple[int, int, int]]:
    """What the drawn face is painted with."""
    return {"lip": LIP, "teeth": TEETH, "skin": SKIN}
