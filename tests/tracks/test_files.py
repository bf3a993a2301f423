"""Motion tracks in files: exact .npz, where tracks may be written, and a sentence for every bad file."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.errors import OutputError, TrackError
from sadtalker_ext.tracks import ARKIT, BIWI_VERTICES, MotionSpace, MotionTrack, files, vertex_space
from sadtalker_ext.tracks.files import check_track_output, load_track, save_track


def random_track(frames: int = 60, fps: float = 25.0) -> MotionTrack:
    rng = np.random.default_rng(1)
    data = rng.random((frames, ARKIT.dim))
    data[:, ARKIT.indices(["pose"])] = rng.uniform(-20, 20, (frames, 3))
    return MotionTrack(ARKIT, fps, data, {"seed": 3, "lips": {"generator": "tést", "hash": "ab12"}})


def test_npz_keeps_everything(tmp_path: Path) -> None:
    track = random_track(fps=29.97)
    path = save_track(track, tmp_path / "tráck with spaces.npz")
    again = load_track(path)
    np.testing.assert_array_equal(again.data, track.data)
    assert again.fps == track.fps
    assert again.provenance == track.provenance
    assert again.space == ARKIT
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_npz_columns_are_found_by_name(tmp_path: Path) -> None:
    track = random_track(5)
    path = save_track(track, tmp_path / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    parts["columns"], parts["data"] = parts["columns"][::-1], parts["data"][:, ::-1]
    np.savez(path, **parts)
    np.testing.assert_array_equal(load_track(path).data, track.data)


def damaged_npz(folder: Path, kind: str) -> Path:
    path = save_track(random_track(4), folder / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "scrambled":  # within the compressed numbers
        whole = bytearray(path.read_bytes())
        start = whole.index(b"data.npy") + 40
        whole[start : start + 200] = bytes(200)
        path.write_bytes(whole)
    elif kind == "encrypted":
        whole = bytearray(path.read_bytes())
        for entry in re.finditer(rb"PK\x01\x02", bytes(whole)):
            whole[entry.start() + 8] |= 1  # of the directory's flags: this member is encrypted
        path.write_bytes(whole)
    elif kind == "text":
        path.write_text("not a zip")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"data": 1}))
    elif kind == "objects":
        parts["data"] = np.array([{"a": 1}], dtype=object)
        np.savez(path, **parts)
    else:
        changed: dict[str, dict[str, object]] = {
            "no fps": {"fps": None},
            "nan": {"data": np.full_like(parts["data"], np.nan)},
            "no rows": {"data": parts["data"][:0]},
            "few columns": {"data": parts["data"][:, :3]},
            "zero fps": {"fps": np.float64(0)},
            "word fps": {"fps": np.str_("fast")},
            "other space": {"space": np.str_("flame")},
            "newer": {"version": np.int64(99)},
            "bad json": {"provenance": np.str_("{")},
        }
        parts = {name: value for name, value in (parts | changed[kind]).items() if value is not None}
        np.savez(path, **parts)
    return path


@pytest.mark.parametrize(
    "kind",
    ["truncated", "scrambled", "encrypted",
     "text", "empty", "pickle", "objects", "no fps", "nan", "no rows", "few columns", "zero fps",
     "word fps", "other space", "newer", "bad json"],
)  # fmt: skip
def test_bad_npz_is_a_sentence(tmp_path: Path, kind: str) -> None:
    with pytest.raises(TrackError, match=r"t\.npz") as caught:
        load_track(damaged_npz(tmp_path, kind))
    assert str(caught.value).endswith(".")


def test_a_late_nan_is_found(tmp_path: Path) -> None:
    path = save_track(random_track(4), tmp_path / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    parts["data"] = parts["data"].copy()
    parts["data"][-1, 0] = np.nan
    np.savez(path, **parts)
    with pytest.raises(TrackError, match="not finite"):
        load_track(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_may_stand_in_any_order(tmp_path: Path, order: str) -> None:
    """Of a large mesh, too: the search for names must not grow with their square."""
    space = vertex_space(BIWI_VERTICES)
    track = MotionTrack(space, 25.0, np.arange(3 * space.dim).reshape(3, -1) / space.dim)
    path = save_track(track, tmp_path / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    parts["columns"] = parts["columns"][::-1]
    parts["data"] = np.asarray(parts["data"][:, ::-1], np.float64, order=order)
    np.savez(path, **parts)
    np.testing.assert_array_equal(load_track(path).data, track.data)


def test_vertices_may_be_more_than_coefficients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 4000)
    track = MotionTrack.rest(100, 30.0, vertex_space(10))
    assert len(load_track(save_track(track, tmp_path / "t.npz"))) == 100
    with pytest.raises(TrackError, match="too large"):
        load_track(save_track(MotionTrack.rest(100, 30.0), tmp_path / "u.npz"))


class Trap:
    """Code that runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_code_in_a_track_never_runs(tmp_path: Path) -> None:
    path = save_track(random_track(4), tmp_path / "t.npz")
    with np.load(path) as stored:
        parts = dict(stored)
    parts["provenance"] = np.array([Trap(tmp_path / "ran")], dtype=object)
    np.savez(path, **parts)
    with pytest.raises(TrackError):
        load_track(path)
    assert not (tmp_path / "ran").exists()


def test_missing_folder_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(TrackError, match="does not exist"):
        load_track(tmp_path / "none.npz")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TrackError, match="is a folder"):
        load_track(tmp_path / "folder.csv")
    with pytest.raises(TrackError, match="Live Link Face"):
        load_track(tmp_path / "track.json")
    with pytest.raises(TrackError, match="frame rate"):
        load_track(tmp_path / "none.csv", fps=0)


def test_output_refused_before_work(tmp_path: Path) -> None:
    assert check_track_output(tmp_path / "new.csv") == tmp_path / "new.csv"
    (tmp_path / "old.npz").write_text("mine")
    for name, words in (
        ("t.json", "npz"), ("t", "npz"), ("old.npz", "exists"), ("no/t.csv", "create it"),
    ):  # fmt: skip
        with pytest.raises(OutputError, match=words):
            check_track_output(tmp_path / name)
        with pytest.raises(OutputError, match=words):
            save_track(random_track(2), tmp_path / name)
    (tmp_path / "dir.npz").mkdir()
    with pytest.raises(OutputError, match="folder"):
        check_track_output(tmp_path / "dir.npz", overwrite=True)
    assert (tmp_path / "old.npz").read_text() == "mine"
    save_track(random_track(2), tmp_path / "old.npz", overwrite=True)
    assert len(load_track(tmp_path / "old.npz")) == 2


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere"
)
def test_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Cannot write"):
            save_track(random_track(2), tmp_path / "t.npz")
    finally:
        tmp_path.chmod(0o700)


def test_a_failed_write_leaves_nothing_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.csv").write_text("mine")

    def full(track: MotionTrack, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_livelink", full)
    with pytest.raises(OutputError, match="No space left"):
        save_track(random_track(2), tmp_path / "t.csv", overwrite=True)
    with pytest.raises(OutputError, match="No space left"):
        save_track(random_track(2), tmp_path / "new.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "mine"


def test_a_file_that_appears_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_livelink

    def slow(track: MotionTrack, file: object) -> None:
        write(track, file)  # type: ignore[arg-type]
        (tmp_path / "t.csv").write_text("theirs")

    monkeypatch.setattr(files, "write_livelink", slow)
    with pytest.raises(OutputError, match="meanwhile"):
        save_track(random_track(2), tmp_path / "t.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "theirs"


def test_other_spaces_are_not_csv(tmp_path: Path) -> None:
    other = MotionTrack.rest(2, 25.0, MotionSpace("other", ("a",), {"pose": (0,)}))
    with pytest.raises(TrackError, match="arkit"):
        save_track(other, tmp_path / "t.csv")


def test_provenance_that_is_not_json_becomes_text(tmp_path: Path) -> None:
    track = MotionTrack(ARKIT, 25.0, np.zeros((1, ARKIT.dim)), {"path": tmp_path, "n": 3})
    assert load_track(save_track(track, tmp_path / "t.npz")).provenance == json.loads(
        json.dumps({"path": str(tmp_path), "n": 3})
    )
