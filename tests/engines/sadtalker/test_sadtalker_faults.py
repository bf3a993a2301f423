"""What is wrong with SadTalker's weight files is told when the engine is chosen."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from sadtalker_ext.cli import main
from sadtalker_ext.engines import choose_engine
from sadtalker_ext.errors import EngineError
from sadtalker_ext.options import Options

MAPPING = "mapping_00229-model.pth.tar"
PACKAGE = "SadTalker_V0.0.2_256.safetensors"


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("made by a pickle",)


def cut_off(path: Path) -> None:
    torch.save({"mapping": {"first.0.weight": torch.zeros(1024, 70, 7)}}, path)
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("file", "write", "told"),
    [
        (MAPPING, cut_off, "is cut off or damaged"),
        (MAPPING, lambda path: torch.save({"x": Hostile()}, path), "would run .*mkdir"),
        (
            MAPPING,
            lambda path: torch.save({"mapping": {"first.0.weight": torch.zeros(1024, 73, 7)}}, path),
            "holds what belongs into mapping_00109",
        ),
        (PACKAGE, lambda path: path.write_bytes(b"<!DOCTYPE html>"), "is a web page"),
        (PACKAGE, lambda path: path.write_bytes(b""), "is empty"),
    ],
    ids=["cut off", "code", "other", "page", "empty"],
)
def test_a_fault_is_told(file: str, write: Callable[[Path], object], told: str, tmp_path: Path) -> None:
    write(tmp_path / file)
    with pytest.raises(EngineError, match=told) as caught:
        choose_engine(Options(engine="sadtalker"), tmp_path)
    missing, _, faulty = str(caught.value).partition("missing ")[2].partition(f"{file} ")
    assert file not in missing
    assert re.match(told, faulty)
    assert "sadtalker models download" in str(caught.value)
    assert choose_engine(Options(), tmp_path).name == "instant"


def test_the_command_line_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut_off(tmp_path / MAPPING)
    picture = tmp_path / "face.png"
    Image.new("RGB", (64, 64)).save(picture)
    flags = ["--engine", "sadtalker", "--models-dir", str(tmp_path), "--idle", "1"]
    assert main(["animate", str(picture), *flags, "-o", str(tmp_path / "o.mp4")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{MAPPING} is cut off or damaged" in line
    assert MAPPING not in line.partition("missing ")[2].partition(", mapping_00109")[0]
    assert str(tmp_path) in line
