"""Results that cannot be written, and runs that stop half-way: a sentence, and nothing left on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import Speech
from sadtalker_ext.errors import Cancelled, OutputError
from sadtalker_ext.video import VideoWriter, check_output, process_sink, read_frames, read_metadata

WriteVideo = Callable[..., Path]
LeftOver = Callable[[Path], list[str]]
Pictures = Callable[..., Iterator[np.ndarray]]
EVERY_KIND = pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a/"])


@pytest.fixture(autouse=True)
def own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Temporary files of this test's writers go into a folder of their own, which must end up empty."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield scratch
    assert not any(scratch.iterdir())
    scratch.rmdir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every process started during the test."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        process = real(*arguments, **options)  # type: ignore[call-overload]
        started.append(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", start)
    return started


@EVERY_KIND
@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt, RuntimeError, GeneratorExit])
@pytest.mark.parametrize("count", [1, 6])
def test_nothing_is_left_when_the_run_stops(
    folder: Path,
    left_over: LeftOver,
    write_video: WriteVideo,
    processes: list[subprocess.Popen[bytes]],
    name: str,
    error: type[BaseException],
    count: int,
) -> None:
    def stop(writer: VideoWriter) -> None:
        raise error

    with pytest.raises(error):
        write_video(f"{folder}/{name}", count, halfway=stop)
    assert left_over(folder) == []
    assert all(process.poll() is not None for process in processes)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif"])
def test_cancelling_while_the_end_is_awaited(
    folder: Path,
    left_over: LeftOver,
    write_video: WriteVideo,
    processes: list[subprocess.Popen[bytes]],
    name: str,
) -> None:
    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        write_video(folder / name, 6, check=cancel)
    assert left_over(folder) == []
    assert all(process.poll() is not None for process in processes)


@EVERY_KIND
def test_the_name_appears_only_when_the_video_is_whole(
    folder: Path, left_over: LeftOver, moving_square: Pictures, name: str
) -> None:
    target = folder / name.rstrip("/")
    with VideoWriter(f"{folder}/{name}", width=64, height=48, fps=25) as writer:
        for frame in moving_square(4, 64, 48):
            writer.write(frame)
            assert not target.exists()
    assert left_over(folder) == [target.name]


@EVERY_KIND
def test_missing_frames_make_no_video(
    folder: Path, left_over: LeftOver, write_video: WriteVideo, name: str
) -> None:
    with pytest.raises(OutputError, match="3 of 5 frames"):
        write_video(f"{folder}/{name}", 3, frames=5)
    with pytest.raises(OutputError, match="not a single frame"):
        write_video(f"{folder}/{name}", 0)
    assert left_over(folder) == []


@EVERY_KIND
def test_existing_output_is_kept_unless_overwriting(
    folder: Path, left_over: LeftOver, write_video: WriteVideo, name: str
) -> None:
    path = write_video(f"{folder}/{name}", 3, metadata={"take": 1})
    for refuse in (check_output, lambda p: write_video(p, 3)):
        with pytest.raises(OutputError, match="overwrit"):
            refuse(f"{folder}/{name}")
    assert read_metadata(path) == {"take": 1}

    def stop(writer: VideoWriter) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        write_video(path, 4, overwrite=True, halfway=stop)
    assert read_metadata(path) == {"take": 1}  # a failed second take does not cost the first
    write_video(f"{folder}/{name}", 5, metadata={"take": 2}, overwrite=True)
    assert read_metadata(path) == {"take": 2}
    assert len(list(read_frames(path))) == 5
    assert left_over(folder) == [path.name]


def test_a_file_that_appears_meanwhile_is_not_replaced(folder: Path, write_video: WriteVideo) -> None:
    with pytest.raises(OutputError, match="meanwhile"):
        write_video(folder / "a.mp4", 3, halfway=lambda writer: writer.path.write_text("precious"))
    assert (folder / "a.mp4").read_text() == "precious"
    assert os.listdir(folder) == ["a.mp4"]


def test_folders_of_the_user_are_never_touched(
    folder: Path, left_over: LeftOver, write_video: WriteVideo
) -> None:
    mine = folder / "mine"
    mine.mkdir()
    (mine / "frame_000001.png").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="not frames of ours"):
            write_video(f"{mine}/", 3, overwrite=overwrite)
    assert (mine / "frame_000001.png").read_text() == "precious"
    assert left_over(mine) == ["frame_000001.png"]


def test_overwriting_a_folder_of_frames_keeps_other_files(
    folder: Path, left_over: LeftOver, write_video: WriteVideo
) -> None:
    path = write_video(f"{folder}/frames/", 5)
    (path / "notes.txt").write_text("precious")
    write_video(f"{folder}/frames/", 2, overwrite=True)
    assert left_over(path) == ["frame_000001.png", "frame_000002.png", "metadata.json", "notes.txt"]
    assert left_over(folder) == ["frames"]


def test_an_empty_folder_is_filled(folder: Path, left_over: LeftOver, write_video: WriteVideo) -> None:
    (folder / "empty").mkdir()
    path = write_video(folder / "empty", 1)
    assert left_over(path) == ["frame_000001.png", "metadata.json"]


@pytest.mark.parametrize("name", ["a.avi", "a.png", "a.mp3", "a.mp4.txt"])
def test_unknown_endings(folder: Path, name: str) -> None:
    with pytest.raises(OutputError, match="mp4, webm, gif"):
        check_output(folder / name)


def test_outputs_without_a_name_or_an_ending(folder: Path) -> None:
    for name in ("", "/"):
        with pytest.raises(OutputError, match="does not name"):
            check_output(name)
    with pytest.raises(OutputError, match="no ending"):
        check_output(f"{folder}/a")
    assert check_output(f"{folder}/a/") == folder / "a"
    assert check_output(f"{folder}/a", format="png") == folder / "a"
    assert check_output(f"{folder}/A.MP4") == folder / "A.MP4"
    (folder / "b.mp4").mkdir()
    with pytest.raises(OutputError):
        check_output(f"{folder}/b.mp4", format="mp4")


def test_missing_folder(folder: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        check_output(folder / "none" / "a.mp4")


def test_unwritable_folder(folder: Path) -> None:
    locked = Path("/proc/self/task")  # not even the superuser can write there
    if not locked.is_dir():
        if os.name != "posix" or os.geteuid() == 0:
            pytest.skip("no folder here that cannot be written")
        locked = folder / "locked"
        locked.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Cannot write into the folder"):
        check_output(locked / "a.mp4")


def test_early_refusal_leaves_no_trace(folder: Path) -> None:
    check_output(folder / "a.mp4")
    assert os.listdir(folder) == []


SMALL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
import numpy as np
from sadtalker_ext.errors import OutputError
from sadtalker_ext.video import VideoWriter
noise = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], width=256, height=256, fps=25, crf=1) as writer:
        for _ in range(60):
            writer.write(noise.integers(0, 256, (256, 256, 3), dtype=np.uint8))
except OutputError as error:
    print(error)
"""


@EVERY_KIND
def test_disk_full(folder: Path, left_over: LeftOver, name: str) -> None:
    """A file size limit on a process of its own stands in for a disk that is full."""
    pytest.importorskip("resource")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, f"{folder}/{name}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=root,
    )
    assert "disk is full" in done.stdout
    assert left_over(folder) == []


@pytest.mark.parametrize("phrase", ["No space left on device", "Disk quota exceeded"])
def test_disk_full_by_ffmpegs_words(phrase: str) -> None:
    class Ended:
        def messages(self) -> str:
            return f"[out#0/mp4 @ 0x1] Error writing trailer: {phrase}\nConversion failed!"

        def complaint(self) -> str:
            return ""

    assert "disk is full" in str(process_sink.failure(Ended(), 1, "a.mp4"))  # type: ignore[arg-type]


def test_an_encoder_that_fails_is_quoted(folder: Path, left_over: LeftOver, write_video: WriteVideo) -> None:
    with pytest.raises(OutputError, match="preset"):
        write_video(folder / "a.mp4", 5, preset="no-such-preset")
    assert left_over(folder) == []


def test_a_soundtrack_that_vanished(
    folder: Path, left_over: LeftOver, write_video: WriteVideo, make_speech: Callable[..., Speech]
) -> None:
    from dataclasses import replace

    speech = replace(make_speech(), original=None, source=folder / "gone.wav")
    with pytest.raises(OutputError, match="No such file"):
        write_video(folder / "a.mp4", 30, soundtrack=speech)
    assert left_over(folder) == []


def test_ffmpeg_that_is_killed(
    folder: Path, left_over: LeftOver, write_video: WriteVideo, processes: list[subprocess.Popen[bytes]]
) -> None:
    with pytest.raises(OutputError, match="signal 9"):
        write_video(folder / "a.mp4", 1000, halfway=lambda writer: processes[-1].kill())
    assert left_over(folder) == []


@EVERY_KIND
@pytest.mark.parametrize("stem", ["größe 声音 🎤", "50%d %03d", "-y", 'it\'s "q"', "n" * 200])
def test_any_file_name(
    folder: Path,
    left_over: LeftOver,
    write_video: WriteVideo,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    stem: str,
) -> None:
    monkeypatch.chdir(folder)
    path = write_video(name.replace("a", stem, 1), 2, metadata={"stem": stem})
    assert left_over(folder) == [path.name]
    assert read_metadata(path) == {"stem": stem}
    assert len(list(read_frames(path))) == 2
