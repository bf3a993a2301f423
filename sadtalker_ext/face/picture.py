"""Turns whatever Pillow reads (or an array) into a uint8 RGB picture with its alpha, if any, apart."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import PictureError, Place
from ..system.paths import existing_file
from .decoding import file_of, frames, is_flat, is_read, moves, open_file, read_pixels, tolerance
from .kinds import kind_of

PictureSource: TypeAlias = "str | Path | Image.Image | np.ndarray | Picture"

MIN_SIDE = 64  # px
MAX_PIXELS = 12_000_000  # larger pictures are scaled down to this
MAX_READ_PIXELS = 178_000_000  # larger ones are not even read: 0.7 GB as RGBA, and Pillow's own limit
LITTLE = 0.03  # share of a picture that may be missing without a word
MAX_ASPECT = 20  # longer side over shorter side
OPAQUE_ALPHA = 250  # of 255; with no less anywhere it is no transparency but text hidden in the low bits
SOLID_ALPHA = 8  # of 255; below it a pixel's own colour is unreliable and is replaced by its surroundings'


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A picture as the rest of the package sees it.

    image: uint8 (H, W, 3) RGB; transparent areas are filled with the colours around them, so that
        moving pixels across the edge shows no fringe.
    alpha: uint8 (H, W), or None where every pixel is opaque.
    path: the file it came from, if any.
    notices: sentences about what was changed on the way in.
    scale: pixels of `image` for one of the (upright) source; 1 unless it was scaled down.
    animation: the file of which it is the first frame, or the first that shows anything; None of other
        pictures.
    """

    image: np.ndarray
    alpha: np.ndarray | None = None
    path: Path | None = None
    notices: tuple[str, ...] = ()
    scale: float = 1.0
    animation: Path | bytes | None = None

    def __repr__(self) -> str:
        alpha = "" if self.alpha is None else " with alpha"
        return f"<Picture {self.name}: {self.width} × {self.height} pixels{alpha}>"

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return self.path.name if self.path else "the picture"


def load_picture(source: PictureSource) -> Picture:
    """A picture from a file path, a Pillow image, or an array.

    Arrays are (H, W), (H, W, 1|3|4): uint8, uint16, bool, or floats in 0..1. Files may be anything
    Pillow opens; EXIF rotation and colour profiles are applied, of an animation the first frame that
    shows anything is taken, of a file that is cut short what is there, and more than 12 megapixels are
    scaled down, each with a notice. The source is never altered. Raises `PictureError` with a sentence
    for a missing, unreadable, too small or too narrow picture, or one of which nothing is left.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return _finish(_array_to_image(source), None, [])
    if isinstance(source, Image.Image):
        return _of_open(source)
    if not isinstance(source, (str, Path)):
        raise PictureError(
            f"A picture must be a file path, a Pillow image or an array, not {type(source).__name__}."
        )
    path, problem = existing_file(source)
    if problem:
        raise PictureError("The picture {path!r} {problem}.", Place(source), problem=problem)
    return _read(path)


def _read(path: Path) -> Picture:
    notices: list[str] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        full: tuple[int, int] | None = None  # size of what is read at less than that

        def open_it(tail: bytes | None) -> Image.Image:
            nonlocal full
            image = stack.enter_context(_open(path, tail))
            _check_shape(image.size, path.name)
            width, height = image.size
            if image.format == "JPEG" and width * height > MAX_PIXELS:
                shrink = (MAX_PIXELS / (width * height)) ** 0.5
                image.draft(None, (int(width * shrink), int(height * shrink)))  # a half, a quarter …
                full = (width, height) if image.size != (width, height) else None
            return image

        with _damage_as_sentence(path.name):
            image, missing = read_pixels(open_it)
            if missing > LITTLE:
                notices.append(f"{path.name} is cut short; {missing:.0%} of the picture seems to be missing.")
            decoded = _decode(_first_shown(image, path.name, notices), path.name)
        animation = path if moves(image) else None
    if full is None:
        return replace(_finish(decoded, path, notices), animation=animation)
    notices.append(_scaled_notice(path.name, full))
    return _finish(decoded, path, notices, max(decoded.size) / max(full))


def _of_open(source: Image.Image) -> Picture:
    """Of an animation that has been turned to a frame on purpose, that one."""
    notices: list[str] = []
    with _quiet(), _damage_as_sentence("the picture"):
        animation = file_of(source)
        # Once its pixels are read, Pillow lets go of a file; and a caller may have drawn on them.
        anew = animation is not None and not is_read(source)
        with tolerance(True):
            image = Image.open(io.BytesIO(animation or b"")) if anew else source.copy()
            image.load()
        if animation is not None and is_flat(image):
            image = _first_shown(Image.open(io.BytesIO(animation)), "the picture", notices)
        return replace(_finish(_decode(image, "the picture"), None, notices), animation=animation)


def _first_shown(image: Image.Image, name: str, notices: list[str]) -> Image.Image:
    """Of an animation the first frame that shows anything; a notice tells where that is another."""
    if not (moves(image) and is_flat(image)):
        return image
    first = image.copy()
    for number, frame in frames(image):
        notices.append(frame_notice(name, number, "nothing"))
        return frame
    return first


def later_frames(picture: Picture) -> Iterator[Picture]:
    """The other frames of an animation that show something new, in order, as far as they can be read; none
    of any other picture."""
    source, name = picture.animation, picture.name
    if source is None:
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        image = _open(source) if isinstance(source, Path) else Image.open(io.BytesIO(source))
        stack.enter_context(image)
        for number, frame in frames(image):
            try:
                with _damage_as_sentence(name):
                    later = _finish(
                        _decode(frame, name), picture.path, [frame_notice(name, number, "no face")]
                    )
            except PictureError:
                return
            yield later


def frame_notice(name: str, number: int, shown: str) -> str:
    return f"{name} is an animation whose first frame shows {shown}; its frame {number + 1} is used."


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings about large pictures and odd EXIF: both are handled here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(path: Path, tail: bytes | None = None) -> Image.Image:
    try:
        kind = kind_of(path)
        if kind is not None:
            kind.add()
        if kind is not None and not kind.package:
            raise kind.refusal(path.name)
        return open_file(path, tail)
    except UnidentifiedImageError as error:
        if kind is not None:
            raise kind.refusal(path.name) from error
        raise PictureError(
            f"{path.name} is not a picture, or of a kind that this Pillow cannot read; "
            "save it as PNG or JPEG and try again."
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(path.name) from error
    except PictureError:
        raise
    except Exception as error:  # decoders raise dozens of classes
        raise PictureError(
            "{name} cannot be opened as a picture ({error}); save it anew as PNG or JPEG.",
            error,
            name=path.name,
        ) from error


@contextlib.contextmanager
def _damage_as_sentence(name: str) -> Iterator[None]:
    try:
        yield
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError(f"{name} does not fit into memory; scale it down first.") from error
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except Exception as error:  # decoders raise dozens of classes
        raise PictureError(
            "{name} is damaged or cut short ({error}); get a complete copy of it.", error, name=name
        ) from error


def _too_large(name: str) -> PictureError:
    return PictureError(
        f"{name} has more than {MAX_READ_PIXELS // 1_000_000} megapixels; scale it down first "
        f"(anything above {MAX_PIXELS // 1_000_000} megapixels is scaled down anyway)."
    )


def _check_shape(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_READ_PIXELS:
        raise _too_large(name)
    if min(width, height) < MIN_SIDE:
        raise PictureError(
            f"{name} is {width}x{height} pixels; at least {MIN_SIDE} pixels are needed on each side."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError(
            f"{name} is {width}x{height} pixels, which is too long and narrow; crop it around the face."
        )


def _decode(image: Image.Image, name: str) -> Image.Image:
    """Upright, in sRGB: mode RGB, or RGBA where it has transparency."""
    _check_shape(image.size, name)
    with contextlib.suppress(Exception):  # a damaged EXIF block must not cost the picture
        image = ImageOps.exif_transpose(image) or image
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey(image, name)
    profile = image.info.get("icc_profile")
    if image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode in ("P", "PA", "LA", "RGBA") or "transparency" in image.info:
        flat = image.convert("RGBA")
        colours = _to_srgb(flat.convert("RGB"), profile)
        colours.putalpha(flat.getchannel("A"))
        return colours
    return _to_srgb(image, profile)


def _to_srgb(image: Image.Image, profile: Any) -> Image.Image:
    """RGB in the sRGB space; a profile that is missing, broken or already sRGB changes nothing."""
    if profile and image.mode in ("RGB", "CMYK", "L", "LAB"):
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(own).lower():
                srgb = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
                if isinstance(converted, Image.Image):
                    return converted
        except Exception:  # noqa: S110
            pass  # the plain conversion below is what a viewer without colour management shows
    return image if image.mode == "RGB" else image.convert("RGB")


def _deep_grey(image: Image.Image, name: str) -> Image.Image:
    """16- and 32-bit grey pictures, whose values Pillow's own conversion would clip at 255."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise PictureError(f"{name} holds values that are not numbers; save it anew as an 8-bit PNG.")
    top = float(values.max(initial=0))
    if image.mode == "F" and top <= 1:
        scale = 255.0
    elif image.mode == "F" and top <= 255:
        scale = 1.0
    else:
        scale = 255.0 / max(top, 65535.0)
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)).convert("RGB")


def _array_to_image(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise PictureError(
            f"A picture array must be (height, width), or that with 3 or 4 channels, not {array.shape}."
        )
    _check_shape((array.shape[1], array.shape[0]), "the picture")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype == np.uint16:
        array = np.rint(array / 257.0).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < -0.001 or array.max() > 1.001:
            raise PictureError("A picture array of floats must hold finite values from 0 to 1.")
        array = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise PictureError(
            f"A picture array must be uint8, uint16, bool or floats in 0..1, not {array.dtype}."
        )
    image = Image.fromarray(np.ascontiguousarray(array))
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _finish(image: Image.Image, path: Path | None, notices: list[str], scale: float = 1.0) -> Picture:
    """Transparency apart, size bounded; scale: by which `image` has been scaled already."""
    name = path.name if path else "the picture"
    pixels = np.asarray(image)
    colours, alpha = np.ascontiguousarray(pixels[:, :, :3]), None
    if pixels.shape[2] == 4 and pixels[:, :, 3].min() < OPAQUE_ALPHA:
        alpha = np.ascontiguousarray(pixels[:, :, 3])
        if alpha.max() < SOLID_ALPHA:
            raise PictureError(f"{name} is wholly transparent; choose a picture with something in it.")
        colours = fill_transparent(colours, alpha)
    height, width = colours.shape[:2]
    if width * height > MAX_PIXELS:
        shrink = (MAX_PIXELS / (width * height)) ** 0.5
        size = (max(1, int(width * shrink)), max(1, int(height * shrink)))
        if scale == 1:  # otherwise that has been told
            notices.append(_scaled_notice(name, (width, height)))
        colours = cv2.resize(colours, size, interpolation=cv2.INTER_AREA)
        alpha = None if alpha is None else cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
        scale *= max(size) / max(width, height)
    return Picture(colours, alpha, path, tuple(notices), scale)


def _scaled_notice(name: str, size: tuple[int, ...]) -> str:
    megapixels = size[0] * size[1] / 1e6
    return (
        f"{name} has {megapixels:.1f} megapixels; "
        f"it was scaled down to at most {MAX_PIXELS // 1_000_000} megapixels."
    )


def fill_transparent(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours uint8 (H, W, 3) in which near-transparent pixels take the colours around the opaque ones.

    Push and pull over a pyramid: averages weighted by alpha going down, holes filled from the coarser
    level coming up.
    """
    weight = np.where(alpha >= SOLID_ALPHA, alpha, 0).astype(np.float32) / 255
    levels: list[tuple[np.ndarray, np.ndarray]] = [(colours.astype(np.float32) * weight[:, :, None], weight)]
    while min(levels[-1][1].shape) > 1 and len(levels) < 16:
        height, width = levels[-1][1].shape
        size = ((width + 1) // 2, (height + 1) // 2)
        colour, cover = (np.asarray(cv2.resize(a, size, interpolation=cv2.INTER_AREA)) for a in levels[-1])
        levels.append((colour, cover))
    colour, cover = levels[-1]
    total = max(float(cover.sum()), 1e-6)
    filled = np.broadcast_to(colour.reshape(-1, 3).sum(0) / total, colour.shape).astype(np.float32)
    for colour, cover in reversed(levels):
        if filled.shape != colour.shape:
            size = (colour.shape[1], colour.shape[0])
            filled = np.asarray(cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR))
        seen = np.clip(cover * 4, 0, 1)[:, :, None]  # a quarter covered is enough to trust a cell's own mean
        filled = filled * (1 - seen) + colour / np.maximum(cover, 1e-4)[:, :, None] * seen
    result = np.clip(np.rint(filled), 0, 255).astype(np.uint8)
    return np.where((alpha >= SOLID_ALPHA)[:, :, None], colours, result)
