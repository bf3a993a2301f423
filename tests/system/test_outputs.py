"""A result gets its name whole or not at all, whatever interrupts it; on a full disk nothing is left."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sadtalker_ext.errors import OutputError, SadTalkerError
from sadtalker_ext.face import save_picture
from sadtalker_ext.mesh.export import export_track
from sadtalker_ext.system import interrupts, leftovers, outputs
from sadtalker_ext.system.array_files import write_arrays
from sadtalker_ext.system.outputs import Written, move_file, move_folder, write_whole
from sadtalker_ext.tracks import MotionTrack
from sadtalker_ext.tracks.files import save_track
from sadtalker_ext.video import VideoWriter

NOISE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)


def track() -> MotionTrack:
    rest, rng = MotionTrack.rest(100, 25.0), np.random.default_rng(1)
    return rest.with_columns({name: rng.random(100) for name in rest.space.columns[:40]})


def video(path: str) -> None:
    with VideoWriter(path, width=200, height=200, fps=25, crf=1) as writer:
        for turn in range(30):
            writer.write(np.ascontiguousarray(np.roll(NOISE, turn, axis=0)))


def training(folder: Path, what: str) -> None:
    pytest.importorskip("torch")
    import torch

    from sadtalker_ext.training.run_folder import RunFolder

    run = RunFolder(folder, "model.pt", resume=False)
    if what == "model":
        run.save_model({"weights": torch.rand(40000)})
    else:
        run.tell({"text": "x" * 40000})


WRITERS: dict[str, Callable[[Path], object]] = {
    "npz": lambda folder: save_track(track(), folder / "m.npz"),
    "csv": lambda folder: save_track(track(), folder / "m.csv"),
    "png": lambda folder: save_picture(NOISE, folder / "a.png"),
    "jpg": lambda folder: save_picture(NOISE, folder / "a.jpg"),
    "webp": lambda folder: save_picture(NOISE, folder / "a.webp"),
    "glb": lambda folder: export_track(track(), folder / "a.glb"),
    "npy": lambda folder: export_track(track(), folder / "a.npy"),
    "obj": lambda folder: export_track(track(), f"{folder}/a_obj/"),
    "ply": lambda folder: export_track(track(), f"{folder}/a_ply/"),
    "mp4": lambda folder: video(f"{folder}/a.mp4"),
    "webm": lambda folder: video(f"{folder}/a.webm"),
    "gif": lambda folder: video(f"{folder}/a.gif"),
    "frames": lambda folder: video(f"{folder}/frames/"),
    "weights": lambda folder: training(folder, "model"),
    "run.json": lambda folder: training(folder, "about"),
    "clip": lambda folder: write_whole(
        folder / "c.npz", True, lambda file: write_arrays(file, {"audio": NOISE, "file": NOISE})
    ),
}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A limit on the size of files stands in for a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 30, 6000])
@pytest.mark.parametrize("kind", WRITERS)
def test_on_a_full_disk_every_writer_says_so_and_leaves_nothing(
    kind: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    with largest_file(size), pytest.raises(SadTalkerError) as refusal:
        WRITERS[kind](tmp_path)
    assert isinstance(refusal.value, OutputError)
    del refusal
    gc.collect()
    assert lost == []
    assert [path for path in tmp_path.rglob("*")] == []


@pytest.mark.parametrize("kind", WRITERS)
def test_every_writer_of_the_table_writes(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](tmp_path)
    (made,) = tmp_path.iterdir()
    assert not made.name.startswith(".")


def test_a_full_disk_is_called_that(tmp_path: Path) -> None:
    def full(file: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"the disk is full .*free space"):
        write_whole(tmp_path / "a.bin", False, full)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["link", "claim"])
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished file; in file systems with and without second names for files."""
    if request.param == "claim":

        def refuse(*arguments: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / ".made"
    path.write_bytes(b"whole")
    return path


def test_a_free_name_is_given(made: Path, tmp_path: Path) -> None:
    move_file(made, tmp_path / "a", overwrite=False)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"whole")]


def test_a_name_that_is_taken_meanwhile_is_left_alone(made: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"precious")
    with pytest.raises(OutputError, match="meanwhile"):
        move_file(made, tmp_path / "a", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("step", "when"), [("open", "before"), *product(("close", "replace", "link"), ("before", "after"))]
)
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_move_leaves_no_empty_file(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str, error: type
) -> None:
    """At each step of it; what is there under the name afterwards is whole."""
    real, target = getattr(os, step), tmp_path / "a"

    def interrupted(*arguments: Any) -> Any:
        if when == "before":
            raise error(errno.EIO, "interrupted")
        real(*arguments)
        raise error(errno.EIO, "interrupted")

    monkeypatch.setattr(os, step, interrupted)
    with suppress(KeyboardInterrupt, OutputError):
        move_file(made, target, overwrite=False)
    monkeypatch.undo()
    assert not target.exists() or target.read_bytes() == b"whole"


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("overwrite", [False, True])
def test_whoever_is_stopped_after_a_move_is_told_of_the_file(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    import signal

    def pressed_after(real: Callable[..., None]) -> Callable[..., None]:
        def pressed(*arguments: Any) -> None:
            real(*arguments)
            signal.raise_signal(signal.SIGINT)

        return pressed

    for name in ("replace", "link"):
        monkeypatch.setattr(os, name, pressed_after(getattr(os, name)))
    with Written() as written, pytest.raises(KeyboardInterrupt):
        move_file(made, tmp_path / "a", overwrite)
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert written.names == "a"


def frames(folder: Path, content: bytes, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_replaced_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files are in it; of thousands on a network disk some would be moved and some not."""
    new, there = frames(tmp_path / "new", b"new", *"12m"), frames(tmp_path / "there", b"old", *"123m")
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("file by file"))
    move_folder(new, there, [there / name for name in "123"])  # the last one is in the new folder too
    assert contents(there) == dict.fromkeys("12m", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("kind", ["others", "folder", "late", "mode", "link", "busy", "taken"])
def test_a_folder_that_cannot_be_replaced_as_one_keeps_what_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    new, there = frames(tmp_path / "new", b"new", *"12m"), frames(tmp_path / "there", b"old", *"13m")
    target, real, others = there, os.rename, {}
    if kind == "others":
        others = {"notes.txt": b"mine"}
        (there / "notes.txt").write_bytes(b"mine")
    elif kind == "folder":
        (there / "4").mkdir()
    elif kind == "mode" and os.name == "posix":
        there.chmod(0o750 if new.stat().st_mode & 0o777 != 0o750 else 0o700)
    elif kind == "link" and os.name == "posix":
        target = tmp_path / "link"
        target.symlink_to(there, target_is_directory=True)

    def rename(source: Path, to: Path) -> None:
        if kind == "busy" or (kind == "taken" and source == new):
            raise OSError(errno.EBUSY, "Device or resource busy")
        if kind == "late" and source == there:
            others["late"] = b"mine"
            (there / "late").write_bytes(b"mine")
        real(source, to)

    monkeypatch.setattr(os, "rename", rename)
    old = [target / name for name in "134"] if kind != "folder" else [target / "1", target / "3"]
    mode = there.stat().st_mode
    if kind == "taken":  # nothing at all is moved
        with pytest.raises(OSError, match="busy"):
            move_folder(new, target, old)
        assert contents(there) == dict.fromkeys("13m", b"old")
        return
    move_folder(new, target, old)
    assert not new.exists()
    assert there.stat().st_mode == mode
    if kind == "folder":
        (there / "4").rmdir()
    assert contents(there) == {**dict.fromkeys("12m", b"new"), **others}
    assert target.is_symlink() == (kind == "link" and os.name == "posix")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_waits_for_a_claimed_name_and_for_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    def pressed_before(real: Callable[..., None]) -> Callable[..., None]:
        def pressed(*arguments: Any) -> None:
            signal.raise_signal(signal.SIGINT)
            real(*arguments)

        return pressed

    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, pressed_before(getattr(os, name)))
    monkeypatch.delattr(os, "link")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError()), raising=False)
    (tmp_path / "made").write_bytes(b"whole")
    with pytest.raises(KeyboardInterrupt):
        move_file(tmp_path / "made", tmp_path / "a", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"whole"
    folders = [tmp_path / "new", tmp_path / "there"]
    for folder in folders:
        folder.mkdir()
    for name in ("1", "2", "metadata"):
        (folders[0] / name).write_bytes(b"new")
    (folders[1] / "1").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        move_folder(folders[0], folders[1], [folders[1] / "1"])
    assert {path.name: path.read_bytes() for path in folders[1].iterdir()} == dict.fromkeys(
        ("1", "2", "metadata"), b"new"
    )


def test_what_was_written_is_known_to_whoever_asks(tmp_path: Path) -> None:
    def write(name: str) -> None:
        write_whole(tmp_path / name, True, lambda file: file.write(b"x"))

    write("before")
    with Written() as written:
        assert written.names == ""
        for name in ("a", "b", "a", "c\x1b", "d", "e"):
            write(name)
    write("after")
    assert written.names == "a, b, c and 2 more"
    assert interrupts.SENTENCE.startswith("Cancelled")
    assert outputs.NAMES_TOLD == 3


def test_an_old_folder_whose_name_is_taken_meanwhile_is_kept_under_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, target = tmp_path / "made", tmp_path / "frames"
    for folder in (made, target):
        folder.mkdir(0o700)
        (folder / "1").write_text(folder.name)
    rename = os.rename

    def taken(source: Path, name: Path) -> None:
        if Path(source) == made:
            target.mkdir()
            (target / "x").touch()
            raise OSError(39, "Directory not empty")
        rename(source, name)

    monkeypatch.setattr(os, "rename", taken)
    with pytest.raises(OSError, match="not empty"):
        move_folder(made, target, [target / "1"])
    leftovers.remove_all()
    assert [path.read_text() for path in tmp_path.glob("frames before*/1")] == ["frames"]
