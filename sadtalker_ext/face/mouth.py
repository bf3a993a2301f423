"""Turns a picture and a face in it into whether its mouth is seen, covered, or outside the picture."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np

from ..errors import Named, Sentence
from ..system.caches import kept
from . import topology
from .faces import Face
from .geometry import face_width
from .mean import mean_face

SEEN, COVERED, OUTSIDE, SHUT = "", "covered", "outside", "shut"  # SHUT: because somebody said so
WIDTH = 128  # px to which a face is scaled before its colours are compared
SMALLEST = 48.0  # px of face width, below which what lies close around the lips is too few pixels to judge
MOST_OUTSIDE = 0.15  # share of the lips' points beyond the edge, from which a mouth counts as outside
# How much lightness counts beside the two axes of colour: little where cloth is compared with skin, for
# shadows lie on faces; more where lips are compared with what is around them.
SHADE, TONE = np.array([0.5, 1, 1]), np.array([0.8, 1, 1])
LIKEST = 20  # per cent of the skin that is most like what lies around the lips stand for it
# Measured on 860 faces whose lips are seen (photographs of several collections, paintings, renderings, a
# statue, animals; beards, shade, grey, small): two are above COVERED_FROM, a dog's and one of a moustache. Of
# 264 in masks nine in ten are, and so are cups, telephones and microphones before the lips.
LIP_SHARE = 1.5
COVERED_FROM = 6.0
# What is of another colour than skin and hair by more than this on all sides of the mouth is cloth or a
# thing, whatever is printed on it where the lips would be.
NO_SKIN = 15.0
# Where the lips are as even as this and no other than what is around them, there are none: a hand, or cloth
# of the skin's colour. Every mouth that is seen, a drawn one of a single line too, is more uneven. Of a face
# whose dark and light are FULL apart; less where they are nearer.
BARE, BARE_GRAIN, BARE_LINE, FULL = 2.5, 2.5, 8.0, 50.0
# Lips that stand out by LIT, with no edge of more than SOFT between them and the eyes, are seen in the
# light of a lamp of another colour. Of 145 faces lit so, the lips stand out by 8 and more and the edges are
# at most 11; of 119 covers two stand out by more than 4, and the edges of those are above 30.
LIT, SOFT = 6.0, 12.0
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        COVERED: "The mouth seems covered and is left as it is; set {mouth} to talk to move it all the same.",
        OUTSIDE: "The mouth lies outside the picture and nothing talks; choose a picture that shows it.",
    }
)


def mouth_of(image: np.ndarray, face: Face) -> str:
    """`SEEN`, `COVERED` or `OUTSIDE`: what is to be seen of a face's mouth.

    image: uint8 (H, W, 3) RGB. Points given by hand always count as a mouth that is seen.
    """
    if face.source == "points":
        return SEEN
    height, width = image.shape[:2]
    lips = face.landmarks[list(topology.LIPS), :2]
    beyond = (lips < 0).any(1) | (lips[:, 0] > width - 1) | (lips[:, 1] > height - 1)
    if beyond.mean() > MOST_OUTSIDE:
        return OUTSIDE
    return COVERED if cover(image, face.landmarks) > COVERED_FROM else SEEN


def told(mouth: str) -> str:
    """The sentence about a mouth that stays shut; "" where there is nothing to say."""
    text = SENTENCES.get(mouth, "")
    return Sentence(text, mouth=Named("mouth")) if "{mouth}" in text else text


def cover(image: np.ndarray, landmarks: np.ndarray) -> float:
    """How far what lies around the lips is from skin, less how well the lips stand out from it.

    In units of CIE Lab; above `COVERED_FROM` no lips are to be seen.
    """
    colours, valid = _colours(image, landmarks)
    part = {name: colours[region & valid] for name, region in _regions().items()}
    if min(map(len, part.values())) < 4:
        return 0.0
    lips = np.median(part["lips"], axis=0)
    small = face_width(landmarks) < SMALLEST
    plain, strange, unlike = [0.0], [], []
    for name in ("lower face", "around", "below"):
        here = np.median(part[name], axis=0)
        skinless = float(np.percentile(_apart(part["skin"], here, SHADE), LIKEST))
        strange.append(_strange(here, np.median(part["skin"], axis=0)))
        unlike.append(float(_apart(lips, here, TONE)))
        if name == "lower face" or not small:
            plain.append(skinless - LIP_SHARE * unlike[-1])
    grain, line = np.percentile(_apart(part["lips"], lips, TONE), (50, 95))
    contrast = float(np.ptp(np.percentile(colours[valid, 0], (5, 95))))
    share = min(1.0, contrast / FULL)
    even = max(unlike) < BARE * share and grain < BARE_GRAIN * share and line < BARE_LINE * share
    if even and not small:
        return 2 * COVERED_FROM
    apart = max(*plain, min(strange) - NO_SKIN + COVERED_FROM)
    if apart > COVERED_FROM and max(unlike) > LIT and _merge(colours, valid):
        return COVERED_FROM
    return apart


def _merge(colours: np.ndarray, valid: np.ndarray) -> bool:
    """Whether skin goes over into what is around the mouth without an edge, as it does in light and shade."""
    pairs = _neighbours()
    soft = _apart(colours[pairs[:, 0]], colours[pairs[:, 1]], SHADE) < SOFT
    one, other = pairs[soft & valid[pairs].all(1)].T
    patch = np.arange(len(colours))
    while True:  # each patch takes the lowest of its numbers
        lower = patch.copy()
        np.minimum.at(lower, one, patch[other])
        np.minimum.at(lower, other, patch[one])
        if (lower == patch).all():
            break
        patch = lower[lower]
    skin, around = (patch[_regions()[name] & valid] for name in ("skin", "around"))
    main = np.bincount(skin).argmax()
    return bool((skin == main).mean() >= 0.5 and (around == main).mean() >= 0.5)


@kept(1)
def _neighbours() -> np.ndarray:
    """Pairs (N, 2) of the mean face's triangles that share an edge."""
    sides = np.sort(mean_face().triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    of = np.repeat(np.arange(len(sides) // 3), 3)
    order = np.lexsort(sides.T)
    same = (sides[order[1:]] == sides[order[:-1]]).all(1)
    return np.stack([of[order[:-1]][same], of[order[1:]][same]], axis=1)


def _strange(colour: np.ndarray, skin: np.ndarray) -> float:
    """How far a colour's two axes are from every shade between those of skin and grey, which beards have."""
    own, reference = colour[1:], skin[1:]
    share = np.clip(own @ reference / max(float(reference @ reference), 1e-6), 0, 1)
    return float(np.linalg.norm(own - share * reference))


def _apart(colours: np.ndarray, colour: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm((colours - colour) * weights, axis=-1))


def _colours(image: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lab colours (N, 3) in the middles of the mesh's triangles, and which face the viewer, inside."""
    points = landmarks[:, :2].astype(np.float64)
    air = 0.1 * face_width(landmarks)
    edge = [image.shape[1], image.shape[0]]
    low = np.clip(np.floor(points.min(0) - air), 0, edge).astype(int)
    high = np.clip(np.ceil(points.max(0) + air), 0, edge).astype(int)
    triangles = mean_face().triangles
    if (high - low).min() < 2:
        return np.zeros((len(triangles), 3)), np.zeros(len(triangles), bool)
    zoom = WIDTH / max(face_width(landmarks), 1e-6)
    part = image[low[1] : high[1], low[0] : high[0]]
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    size = np.maximum(2, np.rint((high - low) * zoom)).astype(int)
    part = cv2.GaussianBlur(cv2.resize(part, (int(size[0]), int(size[1])), interpolation=way), (0, 0), 1.0)
    lab = cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    corners = (points[triangles] - low) * zoom
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0] > 0
    middles = corners.mean(1).astype(np.float32)
    inside = ((middles >= 0) & (middles < np.array(lab.shape[1::-1]) - 1)).all(1)
    x, y = np.ascontiguousarray(middles[:, :1]), np.ascontiguousarray(middles[:, 1:])
    seen = cv2.remap(lab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen[:, 0].astype(np.float64), facing & inside


@kept(1)
def _regions() -> dict[str, np.ndarray]:
    """Masks of the mean face's triangles: lips, the lower face, what is close around or below the mouth, and
    skin that nothing before a mouth covers: about and between the eyes."""
    points, triangles = mean_face().points[:, :2], mean_face().triangles
    middles = points[triangles].mean(1)
    red = np.isin(triangles, topology.LIPS).all(1)
    reach = _reach(topology.LIPS_OUTER, middles)
    oval = _reach(topology.FACE_OVAL, middles)
    eyes = np.maximum(_reach(topology.LEFT_EYE, middles), _reach(topology.RIGHT_EYE, middles))
    brows = points[list(topology.LEFT_BROW + topology.RIGHT_BROW)]
    to_brow = np.linalg.norm(middles[:, None] - brows, axis=2).min(1)
    height = middles[:, 1]
    corners = points[[topology.MOUTH_LEFT, topology.MOUTH_RIGHT], 1].mean()
    eye_corners = (
        topology.LEFT_EYE_INNER, topology.LEFT_EYE_OUTER, topology.RIGHT_EYE_INNER, topology.RIGHT_EYE_OUTER,
    )  # fmt: skip
    eye_line = points[list(eye_corners), 1].mean()
    near = ~red & (reach < -0.008) & (reach > -0.06)
    high = (height > points[9, 1] - 0.12) & (height < eye_line + 0.07)
    return {
        "lips": red & (reach > 0),
        "lower face": ~red
        & (reach < -0.015)
        & (oval > 0.03)
        & (height > points[topology.NOSE_BOTTOM, 1] + 0.02),
        "around": near,
        "below": near & (height > corners),
        "skin": high & (eyes < -0.03) & (to_brow > 0.03) & (np.abs(middles[:, 0]) < 0.36),
    }


def _reach(contour: tuple[int, ...], places: np.ndarray) -> np.ndarray:
    """How far inside a contour of the mean face places are, in face widths; outside negative."""
    line = mean_face().points[list(contour), :2].astype(np.float32).reshape(-1, 1, 2)
    return np.array([cv2.pointPolygonTest(line, (float(x), float(y)), True) for x, y in places])
