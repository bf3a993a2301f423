"""Turns a picture's file into pixels as far as they are there, and an animation into its frames."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

MOST_MISSING = 0.9  # share of a picture's rows without which there is nothing to show
FLAT = 2.0  # spread of values, of 255, below which a picture shows nothing
NEW = 4.0  # mean difference, of 255, from which a frame of an animation is worth a look
LOOKS = 40  # frames that are looked at at most
PREVIEW = (96, 96)  # px at which frames are compared
# Kinds whose decoders are part of Pillow; the others may start programs (EPS) or have no clear beginning.
PLAIN_KINDS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
# Pillow has one switch for the whole process, and a host may have set it.
_switch = threading.Lock()


@contextmanager
def open_plain(path: Path) -> Iterator[Image.Image]:
    """The picture in a file, its head read, if it is of a kind that Pillow itself decodes.

    Raises `DecompressionBombError` for a large one, and whatever a damaged head makes Pillow stumble over.
    """
    Image.init()
    kinds = [kind for kind in PLAIN_KINDS if kind in Image.OPEN]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=kinds) as image:
            yield image


def is_picture(path: Path) -> bool:
    """Whether a file begins as a picture of a plain kind does."""
    try:
        with open_plain(path):
            return True
    except Image.DecompressionBombError:
        return True
    except MemoryError:
        raise
    except Exception:  # decoders raise dozens of classes
        return False


def open_file(path: Path) -> Image.Image:
    """The picture in a file, opened; a WebP file whose end is missing gets one.

    Raises what Pillow raises.
    """
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        present, whole = path.stat().st_size, struct.unpack("<I", head[4:8])[0] + 8
        if whole * (1 - MOST_MISSING) < present < whole:
            image = Image.open(io.BytesIO(path.read_bytes() + bytes(whole - present)))
            image.info["missing"] = 1 - present / whole
            return image
    return Image.open(path)


def read_pixels(open_it: Callable[[], Image.Image]) -> tuple[Image.Image, float]:
    """A picture with its pixels read, and the share of it, 0..1, that its file lacks.

    open_it: opens it anew each time. Raises what Pillow raises where too little is there.
    """
    with tolerance(False):
        try:
            image = open_it()
            image.load()
            return image, float(image.info.get("missing", 0))
        except OSError as error:
            if "truncated" not in str(error):
                raise
            broken = error
    with tolerance(True):
        image = open_it()
        image.load()
    missing = _missing(image)
    if missing > MOST_MISSING:
        raise broken
    return image, missing


@contextmanager
def tolerance(tolerant: bool) -> Iterator[None]:
    """Within, Pillow fills what a file lacks, or refuses it."""
    with _switch:
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def _missing(image: Image.Image) -> float:
    """Share of the rows that are as the last one, or of some formats the first, where that is nothing."""
    grey = np.asarray(image.convert("L"), np.int16)
    ends = [end for end in (grey[-1], grey[0]) if np.ptp(end) <= 1]
    return max((float((np.abs(grey - end) <= 1).all(1).mean()) for end in ends), default=0.0)


def is_flat(image: Image.Image) -> bool:
    """Whether a picture shows nothing at all."""
    return float(_preview(image).std(axis=(0, 1)).max()) < FLAT


def frames(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The later frames of an open animation that show something new: their numbers, from 1, and copies."""
    before = _preview(image)
    count = 0
    for number in range(1, getattr(image, "n_frames", 1)):
        image.seek(number)
        now = _preview(image)
        if np.abs(now - before).mean() < NEW or now.std(axis=(0, 1)).max() < FLAT:
            continue
        before, count = now, count + 1
        yield number, image.copy()
        if count == LOOKS:
            return


def _preview(image: Image.Image) -> np.ndarray:
    small = image.convert("RGBA").resize(PREVIEW)
    ground = Image.new("RGBA", PREVIEW, "black")
    return np.asarray(Image.alpha_composite(ground, small).convert("RGB"), np.float32)
