"""Values that hold arrays can be compared and shown: field by field, `==` would raise and repr be endless."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sadtalker_ext.audio import Speech, silence
from sadtalker_ext.face import Face, Picture, Portrait
from sadtalker_ext.host import Progress

PACKAGE = Path(__file__).resolve().parents[1] / "sadtalker_ext"
ARRAY = re.compile(r"\b(ndarray|Tensor|Arrays)\b")


def dataclasses_with_arrays() -> Iterator[tuple[str, ast.ClassDef, ast.expr]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
            holds = any(
                ARRAY.search(ast.unparse(part))
                and "compare=False" not in ast.unparse(part)
                and "Callable" not in ast.unparse(part.annotation)
                for part in fields
            )
            for decorator in node.decorator_list:
                if holds and ast.unparse(decorator).startswith("dataclass"):
                    yield f"{path.relative_to(PACKAGE)}: {node.name}", node, decorator


def test_none_that_holds_arrays_compares_them_field_by_field() -> None:
    classes = list(dataclasses_with_arrays())
    assert len(classes) > 30
    assert [name for name, _, decorator in classes if "eq=False" not in ast.unparse(decorator)] == []


def test_what_a_notebook_shows_fits_on_a_line() -> None:
    pixels = np.zeros((300, 200, 3), np.uint8)
    picture = Picture(pixels, pixels[..., 0], Path("folder/me.png"))
    face = Face(np.zeros((478, 3), np.float32), (10.0, 20.0, 110.0, 140.0), 0.987, "mediapipe")
    sound = np.zeros((32000, 2), np.float32)
    assert repr(picture) == "<Picture me.png: 200 × 300 pixels with alpha>"
    assert repr(face) == "<Face 100 × 120 pixels at 10,20; mediapipe, score 0.99>"
    assert repr(Portrait(picture, face, (face,))) == f"<Portrait {picture!r}, {face!r}; faces: 1>"
    assert repr(silence(2)) == "<Speech 2.00 s of silence>"
    speech = Speech(sound[:, 0], 2.0, None, 0.0, sound, 16000, 2)
    assert repr(speech) == "<Speech 2.00 s of an array; 16000 Hz, channels: 2>"
    speech = Speech(sound[:, 0], 2.0, Path("folder/a.wav"), 1.5, None, 44100, 1)
    assert repr(speech) == "<Speech 2.00 s of a.wav from 1.5 s on; 44100 Hz, channels: 1>"


def test_they_can_be_compared() -> None:
    pixels = np.zeros((300, 200, 3), np.uint8)
    assert Picture(pixels) != Picture(pixels)  # by identity: pixels are not looked through
    assert silence(1) != silence(1)
    assert Progress("render", 1, 2, pixels) == Progress("render", 1, 2)
