"""Motion files that were made to break what reads them: each is one sentence, within bounds."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bombs import encrypted
from memory import traced_peak

from sadtalker_ext.cli import main
from sadtalker_ext.errors import TrackError
from sadtalker_ext.tracks import ARKIT, MotionTrack
from sadtalker_ext.tracks.files import load_track, save_track


def members() -> dict[str, bytes]:
    """What is in a good file of three frames, by name."""
    file = io.BytesIO()
    np.savez(
        file, version=np.int64(1), space=np.str_("arkit"), columns=np.array(ARKIT.columns),
        fps=np.float64(25), data=np.zeros((3, ARKIT.dim), np.float32), provenance=np.str_("{}"),
    )  # fmt: skip
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def npy(value: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(value))
    return file.getvalue()


def header(text: str, numbers: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + numbers


def of_shape(shape: str, kind: str = "<f4", order: str = "False", numbers: bytes = bytes(660)) -> bytes:
    return header(f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}", numbers)


BAD: dict[str, dict[str, bytes]] = {
    "a version without an end of its text": {"version.npy": header("{'descr':")},
    "a version of brackets": {"version.npy": header("(" * 9000)},
    "a version of minuses": {"version.npy": header("-" * 9000 + "1")},
    "an infinite version": {"version.npy": npy(float("inf"))},
    "a version that is no number": {"version.npy": npy(float("nan"))},
    "a version that is many": {"version.npy": npy([1, 2])},
    "a version that is a text": {"version.npy": npy("one")},
    "an infinite rate": {"fps.npy": npy(float("inf"))},
    "a negative rate": {"fps.npy": npy(-1.0)},
    "a tiny rate": {"fps.npy": npy(1e-300)},
    "a complex rate": {"fps.npy": npy(1j)},
    "a strange space": {"space.npy": npy("\x1b[31mred")},
    "a long space": {"space.npy": npy("x" * 200_000)},
    "a space of too many vertices": {"space.npy": npy("mesh999999999999")},
    "columns of one": {"columns.npy": npy("jawOpen")},
    "columns of numbers": {"columns.npy": npy(np.arange(55))},
    "columns twice": {"columns.npy": npy(["jawOpen"] * 55)},
    "deep columns": {"columns.npy": npy(np.array(ARKIT.columns).reshape(5, 11))},
    "a deep provenance": {"provenance.npy": npy("[" * 100_000 + "]" * 100_000)},
    "no provenance": {"provenance.npy": npy("{")},
    "a provenance of objects": {"provenance.npy": of_shape("()", "|O")},
    "numbers without end": {"data.npy": of_shape("(99999999999, 55)")},
    "numbers of less than nothing": {"data.npy": of_shape("(-3, 55)")},
    "numbers of an overflowing shape": {"data.npy": of_shape("(4294967296, 4294967296)")},
    "numbers by columns without end": {"data.npy": of_shape("(99999999999, 55)", order="True")},
    "fewer numbers than announced": {"data.npy": of_shape("(4, 55)")},
    "numbers that are texts": {"data.npy": of_shape("(3, 55)", "<U9")},
    "numbers that are times": {"data.npy": of_shape("(3, 55)", "<M8")},
    "numbers that are complex": {"data.npy": npy(np.zeros((3, 55), np.complex64))},
    "numbers that are true": {"data.npy": npy(np.zeros((3, 55), bool))},
    "infinite numbers": {"data.npy": npy(np.full((3, 55), np.inf, np.float32))},
    "numbers that become infinite": {"data.npy": npy(np.full((3, 55), 1e300))},
    "no array": {"data.npy": b"\x93NUMPX"},
    "an array of another version": {"data.npy": b"\x93NUMPY\x09\0\x01\0x"},
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BAD)
def test_members(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.npz"
    path.write_bytes(packed(members() | BAD[name]))

    def read() -> None:
        with pytest.raises(TrackError) as caught:
            load_track(path)
        assert str(caught.value).startswith("t.npz ")
        assert str(caught.value).endswith(".")

    assert traced_peak(read) < 30e6


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_rare_ways_of_packing(tmp_path: Path, method: int) -> None:
    path = tmp_path / "t.npz"
    path.write_bytes(packed(members(), method))
    with pytest.raises(TrackError, match=r"t\.npz is damaged"):
        load_track(path)


def test_the_command_tells_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.npz"
    path.write_bytes(packed(members() | BAD["a strange space"]))
    assert main(["export", str(path), str(tmp_path / "o.npy")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "t.npz is in the motion space" in line
    assert "\x1b" not in line
    path.write_bytes(encrypted(packed(members())))
    assert main(["export", str(path), str(tmp_path / "o.npy")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "sadtalker: t.npz is damaged or not a motion track; save it again."
    assert [file.name for file in tmp_path.iterdir()] == ["t.npz"]


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sadtalker_ext.tracks.files.LARGE_BYTES", 1 << 20)
    path = tmp_path / "t.npz"
    rows = 100_000
    path.write_bytes(
        packed(members() | {"data.npy": of_shape(f"({rows}, 55)", "<f4", numbers=bytes(220 * rows))})
    )
    assert path.stat().st_size < 100_000
    with pytest.raises(TrackError, match="too large"):
        load_track(path)


def test_still_motion_of_an_hour_is_no_bomb(tmp_path: Path) -> None:
    track = MotionTrack.rest(90_000, 25.0)
    assert load_track(save_track(track, tmp_path / "t.npz")) == track


def test_a_provenance_of_strange_numbers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    text = json.dumps({"a": float("nan"), "b": 10**30, "c": {"d": [1]}})
    path.write_bytes(packed(members() | {"provenance.npy": npy(text)}))
    assert load_track(path).provenance == {"a": None, "b": 1e30, "c": {"d": [1]}}


ROW = ",".join(["12:00:00:00.000", "61", *["0.1"] * 61])
HEADER = "Timecode,BlendShapeCount," + ",".join(
    [name[0].upper() + name[1:] for name in ARKIT.columns] + [f"Eye{number}" for number in range(6)]
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "text",
    [
        HEADER + "\n" + "x" * 200_000 + "\n",
        HEADER + '\n"' + ROW,
        HEADER + "\n" + ROW.replace("12:00", "9" * 400 + ":00") + "\n" + ROW,
        HEADER + "\n" + ROW.replace("0.1", "9" * 400),
        HEADER + "\n" + ROW.replace("0.1", "\x1b[31m"),
        HEADER + "\n" + "\n".join([ROW.replace("12:00:00:00", "99:99:99:99"), ROW, ROW]),
        HEADER * 2000,
        "\x00" + HEADER,
    ],
    ids=range(8),
)
def test_recordings(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert main(["export", str(path), str(tmp_path / "o.npy")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sadtalker: ")
    assert line.isprintable()
    assert len(line) < 500
