"""Pictures in: every kind of file that Pillow reads, and every way in which one can be unusable."""

from __future__ import annotations

import re
import struct
import sys
import types
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from sadtalker_ext.errors import PictureError
from sadtalker_ext.face import load_picture
from sadtalker_ext.face.picture import MAX_PIXELS, fill_transparent, later_frames


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """A smooth uint8 (120, 160, 3) picture whose quarters differ, so that turns and flips show."""
    y, x = np.mgrid[0:120, 0:160]
    return np.stack([x * 255 // 159, y * 255 // 119, np.full_like(x, 60)], 2).astype(np.uint8)


def _options(**given: Any) -> dict[str, Any]:
    """Those options that are set: not every file format takes every option."""
    return {name: value for name, value in given.items() if value}


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "webp", "tga", "ppm"])
def test_lossless_files_come_in_unchanged(colours: np.ndarray, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"ünï côde.{extension}"
    Image.fromarray(colours).save(path, **_options(lossless=extension == "webp"))
    picture = load_picture(path)
    assert difference(picture.image, colours) == 0
    assert picture.image.dtype == np.uint8
    assert picture.alpha is None
    assert picture.path == path
    assert picture.notices == ()


def test_avif_where_pillow_reads_it(colours: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "small.avif"
    try:
        Image.fromarray(colours).save(path, quality=95)
    except (KeyError, ValueError, OSError):
        pytest.skip("this Pillow has no AVIF")
    assert difference(load_picture(path).image, colours) < 4


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "RGBX", "RGBA"])
def test_colour_modes(colours: np.ndarray, mode: str) -> None:
    assert difference(load_picture(Image.fromarray(colours).convert(mode)).image, colours) < 1.5


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_modes_become_rgb(colours: np.ndarray, mode: str) -> None:
    picture = load_picture(Image.fromarray(colours).convert(mode))
    assert picture.image.shape == colours.shape
    assert (picture.image[..., 0] == picture.image[..., 2]).all()


def test_lab_and_profiles(colours: np.ndarray, tmp_path: Path) -> None:
    srgb = ImageCms.createProfile("sRGB")
    lab = ImageCms.profileToProfile(
        Image.fromarray(colours), srgb, ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    assert difference(load_picture(lab).image, colours) < 3
    for number, profile in enumerate((ImageCms.ImageCmsProfile(srgb).tobytes(), b"no profile" * 30)):
        path = tmp_path / f"{number}.png"
        Image.fromarray(colours).save(path, icc_profile=profile)
        assert difference(load_picture(path).image, colours) == 0


def test_sixteen_bits(colours: np.ndarray, tmp_path: Path) -> None:
    import cv2

    deep = colours.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "rgb.png"), deep[:, :, ::-1])
    assert difference(load_picture(tmp_path / "rgb.png").image, colours) < 0.6
    for extension in ("png", "tif"):
        path = tmp_path / f"grey.{extension}"
        Image.fromarray(deep[:, :, 0]).save(path)
        assert difference(load_picture(path).image[:, :, 0], colours[:, :, 0]) < 0.6
    for values in (deep[:, :, 0].astype(np.int32), colours[:, :, 0].astype(np.float32) / 255):
        assert difference(load_picture(Image.fromarray(values)).image[:, :, 0], colours[:, :, 0]) < 0.6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(colours: np.ndarray, tmp_path: Path, orientation: int) -> None:
    turns = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored, turn = Image.fromarray(colours), turns[orientation]
    exif = stored.getexif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    (stored if turn is None else stored.transpose(turn)).save(path, exif=exif)
    before = path.read_bytes()
    assert difference(load_picture(path).image, colours) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("extension", ["gif", "webp", "png"])
def test_first_frame_of_an_animation(colours: np.ndarray, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"moving.{extension}"
    first, second = Image.fromarray(colours), Image.fromarray(255 - colours)
    first.save(path, save_all=True, append_images=[second], duration=80, loop=0)
    assert difference(load_picture(path).image, colours) < 12


def test_transparency_is_kept_apart(colours: np.ndarray, tmp_path: Path) -> None:
    alpha = np.full(colours.shape[:2], 255, np.uint8)
    alpha[:, :80] = 0
    hidden = colours.copy()
    hidden[:, :80] = (255, 0, 255)  # what lies under transparency is often a glaring colour
    path = tmp_path / "cut out.png"
    Image.fromarray(np.dstack([hidden, alpha])).save(path)
    picture = load_picture(path)
    assert picture.alpha is not None
    assert (picture.alpha == alpha).all()
    assert (picture.image[:, 80:] == colours[:, 80:]).all()
    # The edge is extended: just beyond it the colour is that of the nearest opaque pixels.
    assert np.abs(picture.image[:, 79].astype(int) - colours[:, 80]).mean() < 16
    assert np.abs(picture.image[:, :80].astype(int) - [255, 0, 255]).sum(2).min() > 60


def test_palette_transparency(colours: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    image = Image.fromarray(colours).quantize(16)
    image.save(path, transparency=int(np.asarray(image)[0, 0]))
    picture = load_picture(path)
    assert picture.alpha is not None
    assert picture.alpha[0, 0] == 0
    assert picture.alpha.max() == 255


def test_text_hidden_in_alpha_is_no_transparency(colours: np.ndarray, tmp_path: Path) -> None:
    alpha = np.full(colours.shape[:2], 255, np.uint8)
    alpha[::2, ::3] = 254  # as Forge writes its generation parameters
    path = tmp_path / "forge.png"
    Image.fromarray(np.dstack([colours, alpha])).save(path)
    picture = load_picture(path)
    assert picture.alpha is None
    assert (picture.image == colours).all()


def test_opaque_alpha_is_dropped_and_a_wholly_transparent_picture_refused(colours: np.ndarray) -> None:
    opaque = Image.fromarray(colours).convert("RGBA")
    assert load_picture(opaque).alpha is None
    opaque.putalpha(0)
    with pytest.raises(PictureError, match="transparent"):
        load_picture(opaque)


def test_fill_transparent_leaves_opaque_pixels_alone(colours: np.ndarray) -> None:
    alpha = np.zeros(colours.shape[:2], np.uint8)
    alpha[40:60, 50:70] = 200
    filled = fill_transparent(colours, alpha)
    assert (filled[40:60, 50:70] == colours[40:60, 50:70]).all()
    inside = colours[40:60, 50:70].reshape(-1, 3).astype(int)
    assert np.abs(filled[0, 0].astype(int) - inside.mean(0)).max() < 40


def test_large_pictures_are_scaled_with_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (5000, 3000), (10, 200, 30)).save(path)
    for source in (path, Image.open(path), np.full((3000, 5000, 3), 7, np.uint8)):
        picture = load_picture(source)
        assert MAX_PIXELS * 0.9 < picture.width * picture.height <= MAX_PIXELS
        assert picture.width / picture.height == pytest.approx(5 / 3, rel=0.01)
        assert len(picture.notices) == 1
        assert "15.0 megapixels" in picture.notices[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a / 255.0,
        lambda a: (a / 255.0).astype(np.float16),
        lambda a: a.astype(np.uint16) * 257,
        lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1],
    ],
    ids=["float64", "float16", "uint16", "strided"],
)
def test_arrays(colours: np.ndarray, make) -> None:
    array = make(colours)
    before = array.copy()
    assert difference(load_picture(array).image, colours) < 0.6
    assert (array == before).all()


def test_the_picture_does_not_share_memory_with_the_array(colours: np.ndarray) -> None:
    source = colours.copy()
    picture = load_picture(source)
    source[:] = 0
    assert picture.image.max() > 0


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((100, 100, 2), np.uint8), "channels"),
        (np.zeros((4, 100, 100, 3), np.uint8), "channels"),
        (np.zeros((100, 100, 3), np.int64), "int64"),
        (np.full((100, 100, 3), np.nan), "finite"),
        (np.full((100, 100, 3), 255.0), "0 to 1"),
        (np.zeros((0, 0, 3), np.uint8), "64 pixels"),
        (12, "file path"),
    ],
)
def test_unusable_arrays(array: np.ndarray, sentence: str) -> None:
    with pytest.raises(PictureError, match=sentence):
        load_picture(array)


@pytest.mark.parametrize(
    ("size", "sentence"),
    [((1, 1), "1x1"), ((20000, 10), "20000x10"), ((63, 200), "64 pixels"), ((3000, 100), "long and narrow")],
)
def test_impossible_shapes(tmp_path: Path, size: tuple[int, int], sentence: str) -> None:
    path = tmp_path / "shape.png"
    Image.new("RGB", size).save(path)
    with pytest.raises(PictureError, match=sentence):
        load_picture(path)


def test_smallest_picture(tmp_path: Path) -> None:
    assert load_picture(np.zeros((64, 64, 3), np.uint8)).width == 64


def test_a_decompression_bomb_is_refused_without_decoding(tmp_path: Path) -> None:
    side = 20000
    path = tmp_path / "bomb.png"
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, data in (
            (b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)),
            (b"IDAT", zlib.compress(bytes(side * (1 + side // 8)))),
            (b"IEND", b""),
        ):
            file.write(
                struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            )
    with pytest.raises(PictureError, match="megapixels"):
        load_picture(path)


def test_missing_folder_and_text(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="does not exist"):
        load_picture(tmp_path / "no.png")
    with pytest.raises(PictureError, match="folder"):
        load_picture(tmp_path)
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    with pytest.raises(PictureError, match="not a picture"):
        load_picture(str(text))
    text.write_text("")
    with pytest.raises(PictureError, match="empty"):
        load_picture(text)


@pytest.fixture(scope="module")
def grainy(colours: np.ndarray) -> np.ndarray:
    return (colours + np.random.default_rng(1).integers(0, 60, colours.shape)).astype(np.uint8)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "gif", "tif", "bmp", "ppm"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_files_that_are_cut_short_show_what_is_there(
    grainy: np.ndarray, tmp_path: Path, extension: str, share: float
) -> None:
    path = tmp_path / f"cut.{extension}"
    Image.fromarray(grainy).save(path)
    whole = load_picture(path).image.astype(int)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    picture = load_picture(path)
    lost = (np.abs(picture.image - whole).mean((1, 2)) > 8).mean()
    assert lost < 1 - share + 0.15
    if extension == "jpg" and share > 0.9:  # less than a row of blocks
        return
    (notice,) = picture.notices
    assert "cut short" in notice
    said = int(re.search(r"(\d+)%", notice)[1]) / 100
    assert said == pytest.approx(lost, abs=0.15)
    assert path.read_bytes() == data[: int(len(data) * share)]


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "gif"])
@pytest.mark.parametrize("lost", [1, 2, 5])
def test_the_last_bytes_are_not_missed(grainy: np.ndarray, tmp_path: Path, extension: str, lost: int) -> None:
    path = tmp_path / f"cut.{extension}"
    Image.fromarray(grainy).save(path)
    whole = load_picture(path).image
    path.write_bytes(path.read_bytes()[:-lost])
    picture = load_picture(path)
    assert difference(picture.image, whole) < (1 if extension == "tif" else 0.5)  # it loses a whole row
    assert picture.notices == ()


def test_a_progressive_jpeg_that_is_cut_short_is_coarse(demo_portrait: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    with Image.open(demo_portrait) as image:
        image.convert("RGB").save(path, progressive=True)
    whole, data = load_picture(path).image, path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 5])
    assert difference(load_picture(path).image, whole) < 10


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_of_a_file_with_next_to_nothing_in_it_no_picture_is_made(
    grainy: np.ndarray, tmp_path: Path, extension: str
) -> None:
    path = tmp_path / f"cut.{extension}"
    Image.fromarray(grainy).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.02)])
    with pytest.raises(PictureError, match="cut"):
        load_picture(path)


def test_pillow_stays_as_strict_as_it_was(grainy: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(grainy).save(path)
    path.write_bytes(path.read_bytes()[:-2])
    for before in (False, True):
        ImageFile.LOAD_TRUNCATED_IMAGES = before
        try:
            load_picture(path)
            assert ImageFile.LOAD_TRUNCATED_IMAGES is before
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "gif", "bmp"])
def test_what_follows_a_picture_and_what_it_is_called_do_not_matter(
    grainy: np.ndarray, tmp_path: Path, extension: str
) -> None:
    path = tmp_path / f"whole.{extension}"
    Image.fromarray(grainy).save(path)
    whole = load_picture(path).image
    other = tmp_path / "called.jpeg.png"
    other.write_bytes(path.read_bytes() + b"\0rubbish" * 999)
    assert (load_picture(other).image == whole).all()
    assert load_picture(other).notices == ()


@pytest.mark.parametrize("exif", [b"", b"MM\0*\xff\xff\xff\xff", b"\xff" * 90])
def test_exif_that_makes_no_sense_does_not_cost_the_picture(
    grainy: np.ndarray, tmp_path: Path, exif: bytes
) -> None:
    for name, given in (("with.jpg", b"Exif\0\0" + exif), ("without.jpg", None)):
        Image.fromarray(grainy).save(tmp_path / name, **_options(exif=given))
    with_it, without = (load_picture(tmp_path / name).image for name in ("with.jpg", "without.jpg"))
    assert (with_it == without).all()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "L"])
def test_jpegs_of_other_colours(colours: np.ndarray, tmp_path: Path, mode: str) -> None:
    path = tmp_path / "print.jpg"
    image = Image.fromarray(colours).convert(mode)
    image.save(path, quality=95)
    assert difference(load_picture(path).image, np.asarray(image.convert("RGB"))) < 6


def test_of_a_stereo_pair_the_first_is_taken(colours: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "pair.mpo"
    blank = Image.new("RGB", (160, 120))
    blank.save(path, save_all=True, append_images=[Image.fromarray(colours)])
    picture = load_picture(path)
    assert picture.image.max() < 3
    assert list(later_frames(picture)) == []


@pytest.mark.parametrize("extension", ["gif", "webp", "png"])
@pytest.mark.parametrize("blank", ["black", "white", "clear"])
def test_a_blank_first_frame_is_passed_over(
    colours: np.ndarray, tmp_path: Path, extension: str, blank: str
) -> None:
    path = tmp_path / f"moving.{extension}"
    colour = {"black": (0, 0, 0, 255), "white": (255, 255, 255, 255), "clear": (0, 0, 0, 0)}[blank]
    empty, full = Image.new("RGBA", (160, 120), colour), Image.fromarray(colours).convert("RGBA")
    empty.save(path, save_all=True, append_images=[empty, full, full], duration=80, loop=0, disposal=1)
    picture = load_picture(path)
    assert difference(picture.image, colours) < 14
    (notice,) = picture.notices
    assert "first frame shows nothing" in notice
    assert "frame 3" in notice or "frame 2" in notice  # Pillow may have joined the empty ones


def media(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + b"\x11" * 400


FOREIGN = {
    "a.heic": (media(b"heic"), "HEIC.*pillow-heif"),
    "b.jpg": (media(b"mif1"), "HEIC.*pillow-heif"),
    "c.avif": (media(b"avif"), "AVIF.*pillow-avif-plugin"),
    "d.jxl": (b"\xff\x0a" + b"\1" * 300, "JPEG XL.*pillow-jxl-plugin"),
    "e.jpg": (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\1" * 300, "JPEG XL"),
    "f.pdf": (b"%PDF-1.7\n" + b"x" * 300, "PDF document"),
    "g.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "PostScript"),
    "h.svg": (b'<?xml version="1.0"?>\n<svg xmlns="x"></svg>', "SVG drawing"),
    "i.svg": (b'<svg width="9"></svg>', "SVG drawing"),
    "j.mp4": (media(b"isom"), "a video, not .*; give one of its frames"),
    "k.png": (media(b"qt  "), "a video"),
    "l.webm": (b"\x1aE\xdf\xa3" + b"\1" * 300, "a video"),
    "m.avi": (b"RIFF\xff\0\0\0AVI LIST" + b"\1" * 300, "a video"),
    "n.ts": ((b"G" + b"\1" * 187) * 3, "a video"),
    "o.wav": (b"RIFF\xff\0\0\0WAVEfmt " + b"\1" * 300, "sound recording"),
    "p.mp3": (b"ID3\3" + b"\1" * 300, "sound recording"),
    "q.m4a": (media(b"M4A "), "sound recording"),
    "r.jpg": (b"<!DOCTYPE html><html>404</html>", "web page"),
    "s.cr2": (b"II*\0\x10\0\0\0CR" + b"\1" * 300, "raw photograph"),
    "t.NEF": (b"MM\0*" + b"\1" * 300, "raw photograph"),
    "u.cr3": (media(b"crx "), "raw photograph"),
    "v.xcf": (b"gimp xcf file" + b"\1" * 300, "GIMP"),
    "w.zip": (b"PK\3\4" + b"\1" * 300, "archive"),
    "x.clip": (b"CSFCHUNK" + b"\1" * 300, "Clip Studio"),
    "y.exr": (b"v/1\1" + b"\1" * 300, "OpenEXR"),
    "z.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_picture_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pillow_heif", "pillow_avif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, package, None)
    data, sentence = FOREIGN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PictureError, match=sentence) as caught:
        load_picture(tmp_path / name)
    assert str(caught.value).startswith(name)
    assert str(caught.value).endswith(".")


def test_a_package_that_adds_a_kind_is_used(
    colours: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is installed, it is asked to make itself known to Pillow before the file is opened."""
    known: list[str] = []
    package = types.ModuleType("pillow_heif")
    package.register_heif_opener = lambda: known.append("heif")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    path = tmp_path / "phone.heic"
    path.write_bytes(media(b"heic"))
    monkeypatch.setattr("sadtalker_ext.face.picture.open_file", lambda path, tail: Image.fromarray(colours))
    assert difference(load_picture(path).image, colours) == 0
    assert known == ["heif"]


def test_damaged_bytes_never_escape_as_another_error(colours: np.ndarray, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    refused = 0
    for extension in ("png", "jpg", "gif", "tif", "webp"):
        path = tmp_path / f"whole.{extension}"
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(colours).save(path, **_options(exif=extension in ("png", "jpg") and exif))
        data = path.read_bytes()
        for _ in range(25):
            broken = bytearray(data)
            for at in rng.integers(0, len(data), 12):
                broken[at] = rng.integers(0, 256)
            path.write_bytes(broken)
            try:
                load_picture(path)
            except PictureError:
                refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    "error",
    [RecursionError(), AttributeError("no"), RuntimeError(), ZeroDivisionError(), AssertionError()],
    ids=repr,
)
@pytest.mark.parametrize("where", ["open", "load"])
def test_whatever_a_decoder_raises_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, where: str
) -> None:
    path = tmp_path / "me.png"
    Image.new("RGB", (80, 80)).save(path)

    def fail(*arguments: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr(*((Image, "open") if where == "open" else (Image.Image, "load")), fail)
    with pytest.raises(PictureError, match=r"^me\.png (cannot be opened|is damaged)"):
        load_picture(path)
