"""What a file lacks of its picture, and the frames of an animation as far as they can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.errors import PictureError
from sadtalker_ext.face import load_picture
from sadtalker_ext.face.picture import later_frames


@pytest.fixture(scope="module")
def grainy() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8)


@pytest.mark.parametrize(
    "margin", [(255, 255, 255), (0, 0, 0), (128, 128, 128), (127, 127, 127), (20, 90, 160)]
)
@pytest.mark.parametrize(
    "kind",
    ["jpg", "fine.jpg", "grey.jpg", "cmyk.jpg", "png", "gif", "bmp", "tif", "ppm", "grey.ppm", "cmyk.tif"],
)
def test_a_plain_margin_is_not_missing(
    grainy: np.ndarray, tmp_path: Path, margin: tuple[int, int, int], kind: str
) -> None:
    """Neither above nor below, nor where a part of the file is missing indeed."""
    image = Image.new("RGB", (320, 480), margin)
    image.paste(Image.fromarray(grainy), (80, 180))
    image = image.convert({"grey": "L", "cmyk": "CMYK"}.get(kind.split(".")[0], "RGB"))
    path = tmp_path / f"cut.{kind}"
    image.save(path, **({"quality": 95} if kind == "fine.jpg" else {}))
    data = path.read_bytes()
    path.write_bytes(data[:-2])
    assert load_picture(path).notices == ()
    path.write_bytes(data[: len(data) // 2])  # amid the grain
    (notice,) = load_picture(path).notices
    assert 40 <= int(re.search(r"(\d+)%", notice)[1]) <= 65


def test_words_behind_a_picture_are_not_missed(grainy: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cut.webp"
    Image.fromarray(grainy).save(path, exif=b"Exif\0\0" + b"words" * 5000, quality=40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 12000])
    assert load_picture(path).notices == ()


def noises(count: int, side: int = 128) -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)) for _ in range(count)]


@pytest.mark.parametrize("share", [0.35, 0.5, 0.62, 0.75, 0.9, 0.99])
@pytest.mark.parametrize("extension", ["gif", "webp", "png", "tiff"])
def test_the_frames_of_a_damaged_animation_end_where_it_does(
    tmp_path: Path, extension: str, share: float
) -> None:
    path = tmp_path / f"moving.{extension}"
    first, *others = noises(5)
    first.save(path, save_all=True, append_images=others)
    whole = path.read_bytes()
    for damaged in (whole[: int(len(whole) * share)], holed(whole, share)):
        path.write_bytes(damaged)
        try:
            picture = load_picture(path)
        except PictureError:
            assert extension == "webp"  # of which nothing can be opened without its end
            continue
        assert not any("missing" in told for told in picture.notices)  # the frame that is shown is whole
        assert len(list(later_frames(picture))) <= 4


def holed(data: bytes, share: float) -> bytes:
    begin = int(len(data) * share)
    return data[:begin] + b"\xff" * 999 + data[begin + 999 :]


@pytest.mark.parametrize("extension", ["tiff", "ico"])
def test_pages_layers_and_sizes_are_no_frames(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"several.{extension}"
    blank, large = Image.new("RGB", (128, 128)), noises(1, 256)[0]
    options: dict[str, Any] = {"sizes": [(128, 128)]} if extension == "ico" else {"save_all": True}
    blank.save(path, append_images=[large], **options)
    picture = load_picture(path)
    assert (picture.width, picture.scale, picture.notices) == (128, 1, ())
    assert picture.image.max() < 3
    assert list(later_frames(picture)) == []


@pytest.mark.parametrize("extension", ["gif", "webp", "png"])
def test_an_open_animation_is_looked_at_as_its_file_is(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"moving.{extension}"
    shown, last = noises(2)
    options: dict[str, Any] = {"lossless": True} if extension == "webp" else {}
    Image.new("RGB", (128, 128)).save(path, save_all=True, append_images=[shown, last], **options)
    of_file = load_picture(path)
    with Image.open(path) as opened:
        picture = load_picture(opened)
        assert (picture.image == of_file.image).all()
        (notice,) = picture.notices
        assert "first frame shows nothing; its frame 2" in notice
        for one, other in zip(later_frames(picture), later_frames(of_file), strict=True):
            assert (one.image == other.image).all()
        assert opened.tell() == 0
        opened.seek(1)
        opened.seek(2)  # on purpose
        turned = load_picture(opened)
        assert turned.notices == ()
        assert (turned.image != picture.image).any()
        assert list(later_frames(turned)) == []
        assert opened.tell() == 2
    assert len(list(later_frames(picture))) == 2  # also where that has been closed


def test_a_blank_animation_stays_its_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "blank.gif"
    black = Image.new("RGB", (128, 128))
    black.save(path, save_all=True, append_images=[Image.new("RGB", (128, 128), (9, 9, 9))], duration=80)
    picture = load_picture(path)
    assert (int(picture.image.max()), picture.notices) == (0, ())


def test_what_is_cut_short_and_scaled_down_is_told_of_both(tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    Image.new("RGB", (4200, 3000), (90, 120, 30)).save(path)
    path.write_bytes(path.read_bytes()[:30_000_000])
    picture = load_picture(path)
    cut, scaled = picture.notices
    assert "cut short; 21%" in cut
    assert "12.6 megapixels; it was scaled down" in scaled
    assert picture.scale == pytest.approx(picture.width / 4200)


def test_a_large_later_frame_is_told_to_be_scaled_down(tmp_path: Path) -> None:
    path = tmp_path / "large.gif"
    side = Image.linear_gradient("L").resize((4200, 3000))
    Image.new("L", side.size).save(path, save_all=True, append_images=[side])
    picture = load_picture(path)
    frame, scaled = picture.notices
    assert "its frame 2 is used" in frame
    assert "12.6 megapixels; it was scaled down" in scaled
    assert picture.scale == pytest.approx(picture.width / 4200, abs=1e-3)
