"""Turns the first bytes of a file that may be no picture into what it is and what can be done about it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ..errors import Named, PictureError

HEAD = 512  # bytes that tell what a file is
SAVE = "save it as PNG or JPEG in a program that opens it"
# Raw photographs are TIFF files inside, of which only a thumbnail would be read.
RAW = frozenset(
    (
        ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".kdc", ".mef", ".mrw", ".nef", ".nrw", ".orf",
        ".pef", ".raf", ".raw", ".rw2", ".srw", ".x3f",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of file that Pillow alone does not read.

    what: what it is, as "a HEIC picture". remedy: what to do, unless a package reads it. package: that adds
    it to Pillow; opener: its module and the function that does, where importing is not enough.
    """

    what: str
    remedy: str = SAVE
    package: str = ""
    opener: tuple[str, str] = ("", "")

    def refusal(self, name: str) -> PictureError:
        """Why the file of that name is not read."""
        if not self.package:
            return PictureError(f"{name} is {self.what}, not a picture to animate; {self.remedy}.")
        return PictureError(
            "{name} is {what}, which Pillow does not read here; {run}, or {remedy}.",
            Named("run", f"pip install {self.package}"),
            name=name,
            what=self.what,
            remedy=self.remedy,
        )

    def add(self) -> None:
        """Let Pillow read it, where the package is installed."""
        module, function = self.opener
        with contextlib.suppress(Exception):  # a package that is missing or broken adds nothing
            imported = import_module(module)
            if function:
                getattr(imported, function)()


VIDEO = Kind("a video", "give one of its frames as PNG or JPEG")
SOUND = Kind("a sound recording", "give the portrait here and the recording as speech")
HEIC = Kind("a HEIC picture", package="pillow-heif", opener=("pillow_heif", "register_heif_opener"))
AVIF = Kind("an AVIF picture", package="pillow-avif-plugin", opener=("pillow_avif", ""))
JXL = Kind("a JPEG XL picture", package="pillow-jxl-plugin", opener=("pillow_jxl", ""))
RAW_PHOTO = Kind("a raw photograph", "develop it to JPEG or PNG first")
PAGE = Kind("a web page", "the download went wrong: save the picture itself")
DOCUMENT = "export the picture in it as PNG or JPEG"

_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\x0a", JXL),
    (b"\x00\x00\x00\x0cJXL ", JXL),
    (b"%PDF", Kind("a PDF document", DOCUMENT)),
    (b"%!PS", Kind("a PostScript drawing", DOCUMENT)),
    (b"\xc5\xd0\xd3\xc6", Kind("a PostScript drawing", DOCUMENT)),
    (b"PK\x03\x04", Kind("an archive or a document", DOCUMENT)),
    (b"\xd0\xcf\x11\xe0", Kind("a document", DOCUMENT)),
    (b"Rar!", Kind("an archive", "unpack the picture first")),
    (b"7z\xbc\xaf\x27\x1c", Kind("an archive", "unpack the picture first")),
    (b"\x1f\x8b", Kind("a compressed file", "unpack the picture first")),
    (b"gimp xcf", Kind("a GIMP project")),
    (b"8BPB", Kind("a large Photoshop document")),
    (b"CSFCHUNK", Kind("a Clip Studio drawing")),
    (b"v/1\x01", Kind("an OpenEXR picture")),
    (b"#?R", Kind("a Radiance HDR picture")),
    (b"FUJIFILMCCD-RAW", RAW_PHOTO),
    (b"FOVb", RAW_PHOTO),
    (b"IIU\x00", RAW_PHOTO),
    (b"IIRO", RAW_PHOTO),
    (b"version https://git-lfs", Kind("a placeholder of Git LFS", "fetch the file itself with git lfs pull")),
    (b"\x1aE\xdf\xa3", VIDEO),
    (b"FLV\x01", VIDEO),
    (b"\x00\x00\x01\xba", VIDEO),
    (b"\x00\x00\x01\xb3", VIDEO),
    (b"0&\xb2u\x8ef\xcf\x11", VIDEO),
    (b"OggS", SOUND),
    (b"fLaC", SOUND),
    (b"ID3", SOUND),
    (b"\xff\xfb", SOUND),
    (b"\xff\xf1", SOUND),
)  # fmt: skip
_BRANDS: tuple[tuple[tuple[bytes, ...], Kind], ...] = (  # of ISO base media, after "ftyp"
    ((b"avif", b"avis"), AVIF),
    (
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"heif"),
        HEIC,
    ),
    ((b"crx ",), RAW_PHOTO),
    ((b"M4A ", b"M4B "), SOUND),
)  # fmt: skip


def kind_of(path: Path) -> Kind | None:
    """What a file is, if it is of a kind that Pillow needs help with, or does not read rightly."""
    if path.suffix.lower() in RAW:
        return RAW_PHOTO
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[4:8] == b"ftyp":
        return next((kind for brands, kind in _BRANDS if head[8:12] in brands), VIDEO)
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WAVE"):
        return VIDEO if head[8:12] == b"AVI " else SOUND
    if head[:4] != b"GIF8" and head[::188] == b"GGG":  # packets of 188 bytes, each of which begins so
        return VIDEO
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return PAGE
    if text.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        drawing = b"<svg" in head.lower() or path.suffix.lower() == ".svg"
        return Kind("an SVG drawing", "export it as PNG") if drawing else Kind("an XML document", DOCUMENT)
    return next((kind for start, kind in _STARTS if head.startswith(start)), None)
