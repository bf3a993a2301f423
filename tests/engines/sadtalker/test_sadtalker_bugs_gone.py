"""What went wrong in the reference and has no test elsewhere: places, shapes, sound, files."""

from __future__ import annotations

import re
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext import Options, animate
from sadtalker_ext.engines.sadtalker.crop import as_mode, face_crop
from sadtalker_ext.engines.sadtalker.render.source import cut_out, landmarks_68
from sadtalker_ext.face import face_from_points, load_portrait
from sadtalker_ext.system.ffmpeg import ffmpeg_executable

RATE, CHANNELS = 44100, 2


@pytest.fixture
def files(face: np.ndarray, tmp_path: Path) -> tuple[Path, Path]:
    """A picture and stereo speech at 44.1 kHz, in a folder of the user's."""
    folder = tmp_path / "mine"
    folder.mkdir()
    Image.fromarray(face).save(folder / "face.png")
    noise = np.random.default_rng(0).integers(-9000, 9000, (RATE // 4, CHANNELS))
    with wave.open(str(folder / "voice.wav"), "wb") as sound:
        sound.setnchannels(CHANNELS)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(noise.astype("<i2").tobytes())
    return folder / "face.png", folder / "voice.wav"


def streams(video: Path) -> str:
    """What ffmpeg says of a file."""
    return subprocess.run(
        [ffmpeg_executable(), "-hide_banner", "-i", str(video)], capture_output=True, text=True
    ).stderr


@pytest.mark.parametrize("mode", ["full", "extfull", "crop"])
def test_a_huge_face_stays_where_it_is(mode: str) -> None:
    """The reference shrinks the picture first, and pasted into the large one at the small one's places."""
    side = 2600
    points = np.array([(0.33, 0.4), (0.67, 0.4), (0.5, 0.55), (0.38, 0.7), (0.62, 0.7)]) * side
    picture = np.zeros((side, side, 3), np.uint8)
    portrait = load_portrait(picture, points=tuple(map(tuple, points)))
    landmarks = landmarks_68(portrait.face)
    assert face_crop(landmarks, side, side).picture[0] < side  # it is shrunk
    _, inside, box = cut_out(picture, portrait.face, as_mode(mode), 256)
    again = inside * (box.width / 256, box.height / 256) + (box.left, box.top)
    assert np.abs(again - landmarks).max() <= 2
    assert box.width > side / 2


def test_frames_of_the_outer_crop_have_its_shape(files: Any, points: Any, tiny: Path, tmp_path: Path) -> None:
    """The reference gave them the inner one's."""
    face = load_portrait(files[0], points=points).face
    crop = face_crop(landmarks_68(face), 120, 140)
    for mode, box in (("crop", crop.inner), ("extcrop", crop.outer)):
        options = Options(engine="sadtalker", points=points, crop=mode, end=0.1, fps=10)
        made = animate(*files, f"{tmp_path}/{mode}/", options)
        with Image.open(next(made.path.glob("*.png"))) as frame:
            assert frame.size == (256, int(256 * box.height / box.width))


@pytest.mark.parametrize("crop", ["full", "crop"])
def test_browsers_play_it_and_its_sound_is_the_original(
    crop: str, files: Any, points: Any, tiny: Path, tmp_path: Path
) -> None:
    """The reference wrote MPEG-4 part 2 in the mode full, and sound at 16 kHz."""
    made = animate(*files, tmp_path / "o.mp4", Options(engine="sadtalker", points=points, crop=crop))
    told = streams(made.path)
    assert re.search(r"Video: h264.*yuv420p", told)
    assert re.search(rf"Audio: aac.* {RATE} Hz, stereo", told)


def test_nothing_is_moved_and_nothing_lies_about(
    files: Any, points: Any, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference moved what it was given and worked in the current folder; a second run failed."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    options = Options(engine="sadtalker", points=points, end=0.1, crop="full")
    made = [animate(*files, None, options).path for _ in range(2)]
    assert len(set(made)) == 2  # the second one got a name of its own, though in the same second
    assert {path.name for path in here.iterdir()} == {path.name for path in made}
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before
    assert {path.name for path in files[0].parent.iterdir()} == {"face.png", "voice.wav"}


def test_five_points_serve_where_no_landmarks_are_found(points: Any) -> None:
    found = landmarks_68(face_from_points(points, 120, 140))
    assert found.shape == (68, 2)
    assert np.isfinite(found).all()
