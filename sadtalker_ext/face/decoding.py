"""Turns a picture's file into pixels as far as they are there, and an animation into its frames."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

MOST_MISSING = 0.9  # share of a picture's rows without which there is nothing to show
FLAT = 2.0  # spread of values, of 255, below which a picture shows nothing
NEW = 4.0  # mean difference, of 255, from which a frame of an animation is worth a look
LOOKS = 40  # frames that are looked at at most
PREVIEW = (96, 96)  # px at which frames are compared
ANIMATED = frozenset(("GIF", "WEBP", "PNG", "AVIF"))
TOO_SHORT = ("truncated", "buffer is not large enough")  # what Pillow says, the latter of a mapped file
JPEGS = frozenset(("JPEG", "MPO"))
# What no encoder writes: the decoder makes other pixels of it than the grey with which it goes on at an end.
_JPEG_TAIL = b"\0" + np.random.default_rng(0).integers(0, 255, 4096, np.uint8).tobytes() + b"\xff\xd9"
# Kinds whose decoders are part of Pillow; the others may start programs (EPS) or have no clear beginning.
PLAIN_KINDS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
# Pillow has one switch for the whole process, and a host may have set it.
_switch = threading.Lock()


@contextlib.contextmanager
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


def open_file(path: Path, tail: bytes | None = None) -> Image.Image:
    """The picture in a file, opened; with `tail` from memory, as if that stood at its end.

    A WebP file whose end is missing gets one. Raises what Pillow raises.
    """
    if tail is not None:
        return Image.open(io.BytesIO(path.read_bytes() + tail))
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        present, whole = path.stat().st_size, struct.unpack("<I", head[4:8])[0] + 8
        if whole * (1 - MOST_MISSING) < present < whole:
            image = Image.open(io.BytesIO(path.read_bytes() + bytes(whole - present)))
            image.info["missing"] = _missing_of_webp(path.read_bytes())
            return image
    return Image.open(path)


def _missing_of_webp(data: bytes) -> float:
    """Share of its picture, of an animation the first frame, that a file lacks; what follows is no loss."""
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name in (b"VP8 ", b"VP8L", b"ANMF"):
            return max(0.0, 1 - (len(data) - at) / max(size, 1))
        at += size + size % 2
    return 1.0


def read_pixels(open_it: Callable[[bytes | None], Image.Image]) -> tuple[Image.Image, float]:
    """A picture with its pixels read, and the share of it, 0..1, that its file lacks.

    open_it: opens it anew each time, see `tail` of `open_file`. Raises what Pillow raises
    where too little is there.
    """
    with tolerance(False):
        try:
            image = open_it(None)
            image.load()
            return image, float(image.info.get("missing", 0))
        except (OSError, ValueError) as error:
            if not any(words in str(error) for words in TOO_SHORT):
                raise
            broken = error
    with tolerance(True):
        image = open_it(b"")
        image.load()
        missing = _missing_of_jpeg(image, open_it) if image.format in JPEGS else _missing(image, open_it)
    if missing > MOST_MISSING:
        raise broken
    return image, missing


@contextlib.contextmanager
def tolerance(tolerant: bool) -> Iterator[None]:
    """Within, Pillow fills what a file lacks, or refuses it."""
    with _switch:
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def _missing(image: Image.Image, open_it: Callable[[bytes | None], Image.Image]) -> float:
    """Share of the pixels that come from no file: which are others where the decoder starts from white."""
    other: Any = open_it(b"")
    prepare = other.load_prepare

    def prepare_white() -> None:
        prepare()
        bands = len(other.getbands())
        other.im.paste((255,) * bands if bands > 1 else 255, (0, 0, *other.size))

    other.load_prepare = prepare_white
    other.load()
    differ = np.asarray(image) != np.asarray(other)
    return float((differ.any(2) if differ.ndim == 3 else differ).mean())


def _missing_of_jpeg(image: Image.Image, open_it: Callable[[bytes | None], Image.Image]) -> float:
    """Share of the rows at the end that the decoder made up: all grey, and others where the file goes on."""
    other = open_it(_JPEG_TAIL)
    other.load()
    pixels = np.asarray(image).reshape(image.height, -1)
    differ = (pixels != np.asarray(other).reshape(image.height, -1)).any(1)
    if not differ.any():
        return 0.0
    grey = ((pixels > 125) & (pixels < 130)).all(1)
    drawn = np.flatnonzero(~grey)
    begin = max(int(differ.argmax()), int(drawn[-1]) + 1 if len(drawn) else 0)
    return 1 - begin / image.height


def is_flat(image: Image.Image) -> bool:
    """Whether a picture shows nothing at all."""
    return float(_preview(image).std(axis=(0, 1)).max()) < FLAT


def moves(image: Image.Image) -> bool:
    """Whether a picture is an animation; what others hold several of are pages, layers, sizes or views."""
    return image.format in ANIMATED and bool(getattr(image, "is_animated", False))


def file_of(image: Image.Image) -> bytes | None:
    """The file of an open animation that stands at its beginning; None of any other picture.

    Pillow cannot turn every animation back, so what is somebody else's is never turned but opened again.
    """
    with contextlib.suppress(Exception):  # decoders raise dozens of classes
        if moves(image) and image.tell() == 0:
            return _bytes_of(image)
    return None


def is_read(image: Image.Image) -> bool:
    """Whether an open picture's pixels have been read."""
    with contextlib.suppress(Exception):  # newer Pillow refuses to show what is not there yet
        return image.im is not None
    return False


def _bytes_of(image: Image.Image) -> bytes:
    for name in ("_fp", "fp"):
        with contextlib.suppress(Exception):  # it may be closed, or no file
            file = getattr(image, name)
            at = file.tell()
            try:
                file.seek(0)
                return bytes(file.read())
            finally:
                file.seek(at)
    return Path(getattr(image, "filename", "")).read_bytes()


def frames(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The later frames of an open animation that show something new: their numbers, from 1, and copies.

    They end before the first one that cannot be read.
    """
    try:
        with tolerance(True):
            before, count = _preview(image), 0
    except Exception:  # decoders raise dozens of classes
        return
    for number in itertools.count(1):
        frame = _frame(image, number)
        if frame is None:
            return
        now = _preview(frame)
        if np.abs(now - before).mean() < NEW or now.std(axis=(0, 1)).max() < FLAT:
            continue
        before, count = now, count + 1
        yield number, frame
        if count == LOOKS:
            return


def _frame(image: Image.Image, number: int) -> Image.Image | None:
    with contextlib.suppress(Exception), tolerance(False):  # decoders raise dozens of classes
        image.seek(number)
        return image.copy()
    return None


def _preview(image: Image.Image) -> np.ndarray:
    small = image.convert("RGBA").resize(PREVIEW)
    ground = Image.new("RGBA", PREVIEW, "black")
    return np.asarray(Image.alpha_composite(ground, small).convert("RGB"), np.float32)
