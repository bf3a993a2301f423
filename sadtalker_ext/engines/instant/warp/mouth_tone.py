"""Turns the light and style of a portrait into the colours of its teeth, tongue and mouth cavity."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .style import flatness, pixels_around

INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIP_POINTS = (17, 16, 0, 11, 84, 314, 37, 267)
EYES = ((33, 160, 158, 133, 153, 144), (263, 387, 385, 362, 380, 373))

ENAMEL = np.array([1.00, 0.935, 0.835])  # of the light that falls on it
TONGUE = np.array([0.78, 0.36, 0.35])
CAVITY = np.array([0.20, 0.062, 0.055])
SKIN_ALBEDO = 0.74  # of bright skin; darker skin is told from a dark scene by the whites of the eyes
TEETH_LIMIT = 238.0  # grey levels: never pure white
OWN_GAP = 0.012  # fw of open lips above which the picture may show its own teeth
COLOURED = 0.08  # of a pure colour: skin below it belongs to a picture in black and white
REDDER = 1.12  # times as red as skin: lips
LIPS_VARY = 0.4  # of the skin's light, by which lips may be lighter and darker from place to place
GREYER = 0.72  # teeth have at most this share of the lips' colour


@dataclass(frozen=True, eq=False)
class MouthTone:
    """RGB 0..255 of what is inside the mouth, fully lit; `flat` 0..1: how far it is drawn, not shaded."""

    teeth: np.ndarray
    tongue: np.ndarray
    cavity: np.ndarray
    flat: float
    own_teeth: np.ndarray | None  # colour of the teeth that the picture itself shows


def mouth_tone(
    image: np.ndarray, landmarks: np.ndarray, face_width: float, skin_rgb: np.ndarray, marked: bool = False
) -> MouthTone:
    """Colours for the mouth of one face.

    image: uint8 (H, W, 3). landmarks: (≥468, ≥2) px. face_width: px. skin_rgb: (3,) 0..255. marked: whether
    somebody has marked the face, which may then be an animal's: where its lips are not redder than its skin,
    the mouth is drawn.
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    skin = np.maximum(np.asarray(skin_rgb, np.float64), 4.0)
    tones = [pixels_around(image, points[i], 0.008 * face_width).mean(0) for i in LIP_POINTS]
    lips = np.median(tones, axis=0)
    flat = flatness(image, points, face_width)
    if marked and not _lips_seen(np.asarray(tones), skin):
        flat = 1.0
    white = _eye_white(image, points)
    light = skin.mean() / SKIN_ALBEDO
    if white is not None:
        light = max(light, 1.05 * float(white.mean())) * 0.6 + min(light, 1.05 * float(white.mean())) * 0.4
    light = float(np.clip(light, 12, 262))
    # Skin is warm by itself: only what exceeds its usual warmth is the colour of the light.
    cast = skin / skin.mean() / np.array([1.20, 0.97, 0.83])
    cast = np.clip(cast, 0.6, 1.6) ** 0.50
    cast /= cast.mean()
    teeth = ENAMEL * light * cast * (0.90 + 0.10 * flat)
    own = _own_teeth(image, points, face_width)
    if own is not None:
        # What is seen of them may lie in shade or be mixed with lip; teeth further out match it anyhow.
        trust = float(np.clip(own.mean() / teeth.mean() / 0.8, 0.5, 1.0))
        teeth = own * trust + teeth * (1 - trust)
    teeth = teeth * min(1.0, TEETH_LIMIT / float(teeth.max()))
    lip_hue = lips / max(float(lips.mean()), 1.0)
    tongue = TONGUE * light * cast * 0.6 + 0.4 * lip_hue * (TONGUE.mean() * light)
    cavity = CAVITY * light * cast
    if flat > 0:
        drawn = lip_hue * np.array([1.15, 0.75, 0.75]) * 0.30 * light
        cavity = cavity * (1 - flat) + drawn * flat
        tongue = tongue * (1 - flat) + drawn * 1.9 * flat
    # A picture in black and white, or nearly, has no red in it.
    colour = float(np.clip(_colourful(skin[None])[0] / COLOURED, 0, 1))
    teeth, tongue, cavity = (
        np.clip(c.mean() + (c - c.mean()) * colour, 3, TEETH_LIMIT).astype(np.float32)
        for c in (teeth, tongue, cavity)
    )
    return MouthTone(teeth, tongue, cavity, flat, own)


def _inside(image: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Pixels (n, 3) of the picture inside a polygon."""
    low = np.maximum(np.floor(polygon.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(polygon.max(0)).astype(int) + 1, [image.shape[1], image.shape[0]])
    if (high <= low).any():
        return np.zeros((0, 3))
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(polygon - low).astype(np.int32)], (1,))
    return image[low[1] : high[1], low[0] : high[0]][mask > 0].astype(np.float64)


def _eye_white(image: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """Colour (3,) of the whites of the eyes, or None where the eyes are too small to tell."""
    whites = []
    for eye in EYES:
        pixels = _inside(image, points[list(eye)])
        if len(pixels) < 12:
            continue
        lum = pixels.mean(1)
        whites.append(pixels[lum >= np.percentile(lum, 80)].mean(0))
    return np.max(whites, axis=0) if whites else None


def _own_teeth(image: np.ndarray, points: np.ndarray, face_width: float) -> np.ndarray | None:
    """Colour (3,) of the teeth that the picture itself shows, or None."""
    if np.hypot(*(points[14] - points[13])) < OWN_GAP * face_width:
        return None
    pixels = _inside(image, points[list(INNER_UPPER) + list(INNER_LOWER[-2:0:-1])])
    if len(pixels) < 12:
        return None
    tones = [pixels_around(image, points[i], 0.006 * face_width).mean(0) for i in LIP_POINTS]
    lips = np.median(tones, axis=0)
    lit = pixels[pixels.mean(1) > 0.55 * lips.mean()]
    if len(lit) < 6:
        return None
    # The mesh's lip line may run through a lip, so teeth are told by being the greyest there.
    grey = lit[_colourful(lit) <= np.percentile(_colourful(lit), 35)]
    teeth = grey[grey.mean(1) >= np.percentile(grey.mean(1), 40)].mean(0)
    if float(_colourful(teeth[None])[0]) > GREYER * float(_colourful(lips[None])[0]):
        return None
    return teeth


def _lips_seen(tones: np.ndarray, skin: np.ndarray) -> bool:
    """Whether colours (n, 3) sampled over the lips are those of lips: alike, and redder than the skin."""
    alike = float(np.ptp(tones.mean(1))) < LIPS_VARY * float(skin.mean())
    return alike and _redness(np.median(tones, axis=0)) > REDDER * _redness(skin)


def _redness(rgb: np.ndarray) -> float:
    return float(rgb[0] / max(float(rgb[1:].mean()), 1.0))


def _colourful(pixels: np.ndarray) -> np.ndarray:
    """0 for grey … 1 for a pure colour, (n,)."""
    return (pixels.max(1) - pixels.min(1)) / np.maximum(pixels.max(1), 1.0)
