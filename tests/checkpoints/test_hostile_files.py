"""One bad file among the weights: a sentence about that file, and nothing else is the worse."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import pickle
import struct
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bombs import PICKLES, encrypted, in_zip, of_header
from memory import traced_peak
from small_checkpoint import PLAIN, WHOLE

from sadtalker_ext import checkpoints as weights
from sadtalker_ext.checkpoints import DAMAGED, UNREADABLE, UNSAFE, WRONG, Fault, read_contents
from sadtalker_ext.checkpoints.contents import _LEGACY_MAGIC
from sadtalker_ext.checkpoints.state import faulty
from sadtalker_ext.checkpoints.tensors import read_tensors
from sadtalker_ext.cli import main
from sadtalker_ext.errors import WeightsError

LEGACY = _LEGACY_MAGIC + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)


def entry(shape: str = "[1]", offsets: str = "[0,4]", dtype: str = '"F32"') -> str:
    return f'{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}'


HEADERS: dict[str, str] = {
    "infinite": f'{{"a":{entry("[Infinity]")}}}',
    "not a number": f'{{"a":{entry("[NaN]")}}}',
    "too large for a double": f'{{"a":{entry("[1e999]")}}}',
    "a fraction": f'{{"a":{entry("[1.5]")}}}',
    "negative": f'{{"a":{entry("[-1]")}}}',
    "without end": f'{{"a":{entry("[" + "9" * 5000 + "]")}}}',
    "a product without end": f'{{"a":{entry("[4294967296,4294967296,4294967296,0]")}}}',
    "many sides": f'{{"a":{entry("[" + "1," * 900 + "1]")}}}',
    "a text": f'{{"a":{entry(chr(34) + "12" + chr(34))}}}',
    "true": f'{{"a":{entry("[true]")}}}',
    "another count": f'{{"a":{entry("[2]")}}}',
    "numbers of an unknown kind": f'{{"a":{entry("[99]", dtype=chr(34) + "X" + chr(34))}}}',
    "infinite offsets": f'{{"a":{entry(offsets="[0,Infinity]")}}}',
    "offsets backwards": f'{{"a":{entry(offsets="[4,0]")}}}',
    "negative offsets": f'{{"a":{entry(offsets="[-4,0]")}}}',
    "overlapping": f'{{"a":{entry()},"b":{entry()}}}',
    "a gap": f'{{"a":{entry(offsets="[4,8]")}}}',
    "one name twice": f'{{"a":{entry()},"a":{entry()}}}',
    "deep": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "no table": "[1,2]",
    "no entries": '{"a":3}',
    "no text": '{"\xff":1}',
    "many values": '{"a":[' + "[]," * 900_000 + "1]}",
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_safetensors(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(of_header(HEADERS[name].encode("latin1"), b"\0" * 4))

    def read() -> None:
        with pytest.raises(Fault, match="damaged header") as caught:
            read_contents(path)
        assert caught.value.state == DAMAGED

    assert traced_peak(read) < 60e6


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**62, 2**64 - 1])
def test_a_header_of_an_impossible_length(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"a":1}')
    with pytest.raises(Fault):
        read_contents(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", [name for name in PICKLES if name != "a list as a key"])
def test_pickles_of_torch_files(tmp_path: Path, name: str, legacy: bool) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(LEGACY + PICKLES[name] if legacy else in_zip(PICKLES[name]))

    if name == "lists of lists" and not legacy:
        assert read_contents(path).tensors == {}
    else:
        with pytest.raises(Fault) as caught:
            read_contents(path)
        assert caught.value.state in (DAMAGED, UNSAFE)
    with pytest.raises(WeightsError, match=r"a\.pth"):
        read_tensors(path)


@cache
def _bombs() -> dict[str, bytes]:
    good = in_zip(pickle.dumps({"a": 1}, 2))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        for number in range(8_000):
            archive.writestr(f"{'n' * 600}{number}", b"")
    end = good.rindex(b"PK\x05\x06")
    return {
        "encrypted": encrypted(good),
        "lzma": in_zip(b"\x80\x02}.", zipfile.ZIP_LZMA),
        "bzip2": in_zip(b"\x80\x02}.", zipfile.ZIP_BZIP2),
        "a bomb": in_zip(b"\x80\x02}." + bytes(40_000_000), zipfile.ZIP_DEFLATED),
        "many members": many.getvalue(),
        "a directory elsewhere": good[: end + 12] + b"\xff\xff\xff\x7f" * 2 + good[end + 20 :],
        "cut off": good[:-30],
        "no description": good.replace(b"data.pkl", b"data.xyz"),
        "another checksum": good.replace(b"\x80\x02}", b"\x80\x02]", 1),
    }


@pytest.mark.parametrize("name", _bombs())
def test_zip_archives(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(_bombs()[name])

    def read() -> None:
        with pytest.raises(Fault) as caught:
            read_contents(path)
        assert caught.value.state in (DAMAGED, WRONG)

    assert traced_peak(read) < 60e6


def test_long_names_of_tensors_are_left_out(tmp_path: Path) -> None:
    """Else a long name around many others would be written out for each."""
    inner = {f"k{number}": {"x": 1} for number in range(2000)}
    path = tmp_path / "a.pth"
    path.write_bytes(in_zip(pickle.dumps({"n" * 200_000: inner}, 2)))
    assert traced_peak(lambda: read_contents(path)) < 20e6


@pytest.fixture
def bad_folder(here: Path) -> Path:
    """A models folder with a good file and one of many kinds of bad ones."""
    here.mkdir(parents=True)
    (here / "good.safetensors").write_bytes(WHOLE)
    for number, name in enumerate(PICKLES):
        (here / f"bomb{number:02d}.pth").write_bytes(in_zip(PICKLES[name]))
    (here / "inf.safetensors").write_bytes(of_header(HEADERS["infinite"].encode(), b"\0" * 4))
    (here / "code.pth").write_bytes(in_zip(b"\x80\x02c\x1b[31mos\nsystem\n)R."))
    (here / "folder.pth").mkdir()
    if hasattr(os, "mkfifo"):
        (here / "red\x1b[31m.pth").write_bytes(b"nonsense")
        os.mkfifo(here / "pipe.pth")
        (here / "zero.ckpt").symlink_to("/dev/zero")
        (here / "loop.safetensors").symlink_to("loop.safetensors")
    return here


def test_a_good_file_among_bad_ones_is_found(bad_folder: Path) -> None:
    assert weights.find(PLAIN, bad_folder) == bad_folder / "good.safetensors"


@pytest.mark.parametrize("command", [["engines"], ["engines", "--json"], ["models"], ["models", "--json"]])
def test_every_list_works_and_names_the_bad_files(
    bad_folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--models-dir", str(bad_folder)]) == 0
    told = capsys.readouterr()
    if "--json" in command:
        assert json.loads(told.out)
    notes = told.err.splitlines()
    for name in ("inf.safetensors", "bomb00.pth", "folder.pth", "code.pth"):
        (line,) = [line for line in notes if name in line]
        assert line.endswith("so it is not used.")
    assert not any("good.safetensors" in line for line in notes)
    assert "\x1b" not in told.out + told.err


def test_a_file_that_may_not_be_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here.mkdir(parents=True)
    (here / PLAIN.file).write_bytes(WHOLE)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sadtalker_ext.checkpoints.contents.open_file", refuse)
    assert weights.status(PLAIN, here).note.endswith("thing.safetensors cannot be read (Permission denied).")
    assert len(faulty(here)) == 1


TROUBLES = [
    (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    (OSError(errno.ESTALE, "Stale file handle"), "Stale file handle"),
    (MemoryError(), "not enough memory"),
]


@pytest.mark.parametrize(("trouble", "told"), TROUBLES, ids=lambda value: repr(value)[:40])
@pytest.mark.parametrize("place", ["contents._read", "contents.parse_json", "contents.open_file"])
def test_what_cannot_be_read_now_is_not_damaged_and_can_be_read_again(
    here: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception, told: str, place: str
) -> None:
    home = weights.home(PLAIN, here)
    home.mkdir(parents=True)
    (home / PLAIN.file).write_bytes(WHOLE)

    def fail(*arguments: Any, **named: Any) -> None:
        raise trouble

    def fetch() -> None:
        weights.download(dataclasses.replace(PLAIN, urls=("http://127.0.0.1:9/x",), sha256="0" * 64), here)

    with monkeypatch.context() as patch:
        patch.setattr(f"sadtalker_ext.checkpoints.{place}", fail)
        found = weights.status(PLAIN, here)
        assert (found.state, found.usable) == (UNREADABLE, False)
        assert told in found.note
        for act in (lambda: weights.require(PLAIN, here), lambda: weights.verify(PLAIN, found.path), fetch):
            with pytest.raises(WeightsError, match=told) as caught:
                act()
            assert "damaged" not in str(caught.value)
            assert "fetch" not in str(caught.value).replace("not fetched", "")
        with pytest.raises(type(trouble)):
            read_contents(found.path)
    assert (home / PLAIN.file).read_bytes() == WHOLE
    assert weights.status(PLAIN, here).usable


def test_a_place_before_the_file_is_damage(tmp_path: Path) -> None:
    """A zip archive can say where its list of members begins, also before its own beginning."""
    whole = bytearray(in_zip(pickle.dumps({"a": 1}, 2)))
    end = whole.rindex(b"PK\x05\x06")
    for size in (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", struct.pack("<I", end + 100)):
        whole[end + 12 : end + 16] = size
        path = tmp_path / "a.pth"
        path.write_bytes(whole)
        with pytest.raises(Fault) as caught:
            read_contents(path)
        assert caught.value.state == DAMAGED


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(in_zip(pickle.dumps({"a": 1}, 2)))
    monkeypatch.setattr(
        "sadtalker_ext.checkpoints.contents._read", lambda file, size, named: _shrunk(file, path)
    )
    with pytest.raises(Fault, match="cut off or damaged"):
        read_contents(path)


def _shrunk(file: io.BufferedReader, path: Path) -> object:
    os.truncate(path, 20)
    with zipfile.ZipFile(file) as archive:
        return archive.read("archive/data.pkl")


def test_one_bad_file_is_one_sentence(here: Path) -> None:
    here.mkdir(parents=True)
    (here / "x.pth").write_bytes(in_zip(PICKLES["nested tuple as a key"]))
    assert [str(sentence) for sentence in faulty(here)] == [
        f"{here / 'x.pth'} is cut off or damaged, so it is not used."
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "nowhere", "itself"])
def test_what_has_the_name_of_a_weight_file_but_is_none(here: Path, kind: str) -> None:
    here.mkdir(parents=True)
    path = here / PLAIN.file
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"device": "/dev/zero", "nowhere": "/nowhere", "itself": path.name}[kind])
    found = weights.status(PLAIN, here)
    assert found.state == DAMAGED
    assert PLAIN.file in found.note
    with pytest.raises(WeightsError, match=r"thing\.safetensors"):
        weights.require(PLAIN, here)
