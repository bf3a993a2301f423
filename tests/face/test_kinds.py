"""Beginnings of files: no picture is taken for something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sadtalker_ext.face import load_picture
from sadtalker_ext.face.kinds import kind_of


@pytest.mark.parametrize("version", [b"GIF87a", b"GIF89a"])
def test_no_gif_is_taken_for_a_video(tmp_path: Path, version: bytes) -> None:
    path = tmp_path / "me.gif"
    Image.effect_noise((160, 120), 90).convert("RGB").quantize(256).save(path)
    data = bytearray(path.read_bytes())
    data[:6] = version
    for at in (188, 376):  # of the palette
        data[at] = ord("G")
    path.write_bytes(data)
    assert load_picture(path).width == 160


SIGNATURES = {
    "gif": b"GIF89a", "png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF", "bmp": b"BM",
    "tif": b"II*\0", "webp": b"RIFF\x10\1\0\0WEBPVP8 ", "psd": b"8BPS\0\1", "ppm": b"P6\n80 80\n255\n",
    "ico": b"\0\0\1\0\1\0", "tga": b"\0\0\2\0\0\0\0\0\0\0\0\0", "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "dds": b"DDS |\0\0\0", "pcx": b"\n\5\1\x08", "qoi": b"qoif\0\0\0\x50",
}  # fmt: skip


@pytest.mark.parametrize("extension", SIGNATURES)
def test_no_beginning_of_a_picture_is_taken_for_something_else(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"me.{extension}"
    for rest in (b"G" * 600, bytes(600), b"<html><svg" * 60, b"\xff" * 600):
        path.write_bytes(SIGNATURES[extension] + rest)
        assert kind_of(path) is None
