"""The restricted reader of pickles: data come back as they were, and nothing else gets in."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bombs import PICKLES
from memory import traced_peak

from sadtalker_ext.errors import MeshError
from sadtalker_ext.mesh.pickles import read_pickle


def written(folder: Path, data: bytes) -> Path:
    path = folder / "a.pkl"
    path.write_bytes(data)
    return path


DATA = {
    "s": {"sentence01": {"sample_rate": 22050, "audio": np.arange(5, dtype=np.int16)}},
    "index": {"a": {"sentence01": {0: 3, 1: 4}}},
    "rest": [1, 2.5, "ä", None, True, (1, 2), np.float64(3.5), np.zeros((2, 0), np.float32), b"raw"],
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_the_corpora_have(tmp_path: Path, protocol: int):
    found = read_pickle(written(tmp_path, pickle.dumps(OrderedDict(DATA), protocol)))
    np.testing.assert_array_equal(found["s"]["sentence01"]["audio"], np.arange(5))
    assert found["s"]["sentence01"]["sample_rate"] == 22050
    assert found["index"] == DATA["index"]
    rest = found["rest"]
    assert rest[:7] == [1, 2.5, "ä", None, True, (1, 2), 3.5]
    assert rest[7].shape == (2, 0)


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_either_generation_of_numpy(tmp_path: Path, module: bytes):
    data = pickle.dumps([np.arange(3.0), np.float32(2)], 2)
    for known in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        data = data.replace(b"c" + known, b"c" + module)
    assert data.count(module) == 2
    array, number = read_pickle(written(tmp_path, data))
    np.testing.assert_array_equal(array, [0, 1, 2])
    assert number == 2


class Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> Any:
        return self.what


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "hostile",
    [
        Runs(os.mkdir, "was-run"),
        Runs(eval, "__import__('os').mkdir('was-run')"),
        Runs(getattr, "text", "join"),
        Runs(bytes, 10**12),
        Runs(np.frombuffer, b"1234"),
        Path("x"),
        np.zeros(2, dtype=object),
        np.zeros(2, dtype=[("a", "f4")]),
        np.array(["text"]),
        np.ma.zeros(3),
        np.memmap,
        {1, 2},
        1j,
    ],
)
def test_nothing_else_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: Any, protocol: int):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, pickle.dumps({"ann": np.zeros((3, 3)), "bad": hostile}, protocol))
    with pytest.raises(MeshError, match=r"a\.pkl"):
        read_pickle(path)
    assert not (tmp_path / "was-run").exists()


def test_the_name_of_what_is_refused_is_told(tmp_path: Path):
    path = written(tmp_path, pickle.dumps(Runs(os.system, "true")))
    with pytest.raises(MeshError, match=r"holds more than numbers \((posix|nt)\.system\)"):
        read_pickle(path)


def test_an_array_may_not_claim_what_it_does_not_have(tmp_path: Path):
    data = pickle.dumps(np.zeros((2, 3), np.float32), 2)
    for shape in ((b"K\x02K\x03\x86", b"K\xffK\xff\x86"), (b"K\x02K\x03\x86", b"J\xff\xff\xff\xffK\x06\x86")):
        assert shape[0] in data
        with pytest.raises(MeshError):
            read_pickle(written(tmp_path, data.replace(*shape)))


def test_bombs_are_refused(tmp_path: Path):
    memo = b"\x80\x02]r" + struct.pack("<I", 2**32 - 2) + b"."  # a memo of 32 GB
    nested: list[Any] = []
    for _ in range(40):
        nested = [nested, nested]
    endless: list[Any] = []
    endless.append(endless)
    for data in (memo, pickle.dumps(nested), pickle.dumps(endless), b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f"):
        with pytest.raises(MeshError):
            read_pickle(written(tmp_path, data))


def test_too_large_a_file(tmp_path: Path):
    with pytest.raises(MeshError, match="too large"):
        read_pickle(written(tmp_path, pickle.dumps(b"x" * 100)), size_limit=99)


def test_no_file(tmp_path: Path):
    with pytest.raises(MeshError, match="cannot be read"):
        read_pickle(tmp_path / "absent.pkl")
    with pytest.raises(MeshError, match="cannot be read"):
        read_pickle(tmp_path)


WHOLE = pickle.dumps({"ann": np.arange(9.0).reshape(3, 3), "bob": [1, 2]}, 2)


@pytest.mark.parametrize("kept", range(0, len(WHOLE), 3))
def test_a_pickle_that_is_cut_off(tmp_path: Path, kept: int):
    with pytest.raises(MeshError, match="cut off"):
        read_pickle(written(tmp_path, WHOLE[:kept]))


def test_an_array_of_a_number_of_bytes_is_refused(tmp_path: Path):
    """Else a few bytes of file would become as many zeros as they say."""
    state = pickle.dumps(np.zeros(4, np.uint8), 2)
    whole = pickletools.optimize(state)
    start = whole.index(b"c_codecs\nencode")  # the call that makes the array's bytes
    end = whole.index(b"R", whole.index(b"latin1", start)) + 1
    path = written(tmp_path, whole[:start] + b"K\x04" + whole[end:])
    with pytest.raises(MeshError, match="is not a pickle"):
        read_pickle(path)


@pytest.mark.parametrize("width", [2, 200])
def test_a_key_that_takes_for_ever_to_hash_is_refused(tmp_path: Path, width: int):
    """Each tuple holds the one before it many times: a small file, and more values than can be counted."""
    levels = b"".join(b"(" + b"h%c" % number * width + b"tq%c0" % (number + 1) for number in range(60))
    path = written(tmp_path, b"\x80\x02)q\x000" + levels + b"}h\x3cK\x01s.")
    with pytest.raises(MeshError, match="is not a pickle"):
        read_pickle(path)


@pytest.mark.parametrize("name", PICKLES)
def test_any_bomb_is_one_sentence_within_bounds(tmp_path: Path, name: str):
    path = written(tmp_path, PICKLES[name])
    told: list[str] = []
    assert traced_peak(lambda: told.append(refusal(path))) < 100e6
    assert all(text.startswith(str(path)) and text.isprintable() and len(text) < 600 for text in told if text)


def refusal(path: Path) -> str:
    """What is said of a pickle; "" where it is read."""
    try:
        read_pickle(path)
    except MeshError as error:
        return str(error)
    return ""


def test_what_is_named_often_is_made_once(tmp_path: Path):
    inner = [np.zeros(3), "x"]
    found = read_pickle(written(tmp_path, pickle.dumps({str(number): inner for number in range(500)}, 4)))
    assert len({id(value) for value in found.values()}) == 1


@pytest.mark.parametrize("protocol", [2, 4])
def test_bytes_are_made_no_more_often_than_there_are(tmp_path: Path, protocol: int):
    """A text that is turned into bytes again and again."""
    text = b"X" + struct.pack("<I", 50_000) + b"x" * 50_000 + b"q\x01"
    call = b"h\x00h\x01X\x06\x00\x00\x00latin1\x86R"
    data = b"\x80" + bytes([protocol]) + b"c_codecs\nencode\nq\x000" + text + b"0(" + call * 5000 + b"l."

    def read() -> None:
        with pytest.raises(MeshError):
            read_pickle(written(tmp_path, data))

    assert traced_peak(read) < 20e6


def test_a_set_is_called_one(tmp_path: Path):
    with pytest.raises(MeshError, match=r"more than numbers \(a set\)"):
        read_pickle(written(tmp_path, pickle.dumps({"a": {1, 2}}, 4)))
