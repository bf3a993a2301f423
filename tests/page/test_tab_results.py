"""A finished video on the page, and the page set again from a finished video."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

import gradio as gr

from sadtalker_ext.audio import load_speech
from sadtalker_ext.errors import OptionsError, OutputError, VideoError
from sadtalker_ext.options import Options
from sadtalker_ext.options.presets import PRESETS
from sadtalker_ext.page import generate, knob_panel, portrait_panel, read_back, result_panel, speech_panel
from sadtalker_ext.page.last_frame import last_frame
from sadtalker_ext.page.result_panel import Finished
from sadtalker_ext.tracks import MotionTrack
from sadtalker_ext.tracks.files import load_track
from sadtalker_ext.version import __version__
from sadtalker_ext.video import VideoWriter, read_frames, read_metadata

FRAMES = 3  # of the tests' videos, in each of which another third is bright
DARK, BRIGHT = 40, 220


def write_video(path: Path, options: Options | None = None) -> Path:
    metadata = {
        "software": "sadtalker-ext",
        "version": __version__,
        "engine": "instant",
        "options": (options or Options()).to_dict(),
        "picture": None,
        "speech": "hello.wav",
    }
    with VideoWriter(path, width=96, height=64, fps=25.0, frames=FRAMES, metadata=metadata) as writer:
        for number in range(FRAMES):
            frame = np.full((64, 96, 3), DARK, np.uint8)
            frame[:, 32 * number : 32 * (number + 1)] = BRIGHT
            writer.write(frame)
    return path


def finished(path: Path, frames: int = 3) -> Finished:
    return Finished(path, MotionTrack.rest(frames, 25.0), "Engine: instant", 7, None)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_the_last_frame(tmp_path: Path, suffix: str) -> None:
    picture = last_frame(write_video(tmp_path / f"a{suffix}"))
    assert picture.size == (96, 64)
    thirds = [picture.convert("RGB").getpixel((x, 32))[0] for x in (16, 48, 80)]
    assert np.allclose(thirds, [DARK, DARK, BRIGHT], atol=12)


def test_the_last_frame_where_the_sound_goes_on(tmp_path: Path) -> None:
    """Seeking from the end of the file lands behind every picture."""
    path, sound = tmp_path / "a.mp4", (np.zeros(6 * 16000, np.float32), 16000)
    with VideoWriter(path, width=96, height=64, fps=25, soundtrack=load_speech(sound)) as writer:
        for level in (DARK, BRIGHT):
            writer.write(np.full((64, 96, 3), level, np.uint8))
    *_, last = read_frames(path)
    np.testing.assert_array_equal(np.asarray(last_frame(path)), last)


def test_without_imageio_there_is_no_last_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    with pytest.raises(VideoError, match=r"a\.mp4 has no last frame \(.*imageio"):
        last_frame(path)


def test_no_last_frame(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"broken\.mp4 has no last frame"):
        last_frame(broken)


def test_motion_files_are_named_after_the_video(tmp_path: Path) -> None:
    files = result_panel.track_files(finished(tmp_path / "elsewhere" / "me talking.mp4"), tmp_path)
    assert [path.name for path in files] == ["me talking.npz", "me talking.csv"]
    assert all(len(load_track(path)) == 3 for path in files)
    assert files[0].parent == tmp_path


def test_a_long_motion_has_no_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_panel, "CSV_FRAMES", 2)
    assert [path.suffix for path in result_panel.track_files(finished(tmp_path / "a.mp4"), tmp_path)] == [
        ".npz"
    ]


def shown(shell: Any, given: Finished) -> tuple[dict[str, Any], list[str]]:
    with gr.Blocks():
        panel = result_panel.build(shell)
    values, notices = result_panel.show(shell, panel, given)
    assert len(values) == len(panel.shown)
    names = ("finished", "video", "animation", "actions", "download", "track", "image", "metadata")
    return dict(zip(names, values, strict=True)), notices


def test_a_video_is_played_and_a_gif_is_looked_at(shell: Any, tmp_path: Path) -> None:
    values, notices = shown(shell, finished(tmp_path / "a.mp4"))
    assert notices == []
    assert (values["video"]["value"], values["video"]["visible"]) == (str(tmp_path / "a.mp4"), True)
    assert (values["animation"]["value"], values["animation"]["visible"]) == (None, False)
    assert values["actions"]["visible"] is True
    assert values["metadata"] == "Engine: instant"
    tracks = [Path(path) for path in values["track"]["value"]]
    assert [path.name for path in tracks] == ["a.npz", "a.csv"]
    assert len(load_track(tracks[0])) == 3
    values, _ = shown(shell, finished(tmp_path / "a.gif"))
    assert values["video"]["visible"] is False
    assert values["animation"]["value"] == values["download"] == str(tmp_path / "a.gif")


def test_a_full_disk_does_not_hide_the_video(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OutputError("Cannot write (no space).")

    monkeypatch.setattr(result_panel, "track_files", full)
    values, notices = shown(shell, finished(tmp_path / "a.mp4"))
    assert values["video"]["visible"] is True
    assert values["track"]["visible"] is False
    assert "The motion could not be saved" in notices[0]


def test_nothing_changes_when_nothing_was_made(shell: Any) -> None:
    with gr.Blocks():
        panel = result_panel.build(shell)
    assert len(result_panel.unchanged(panel)) == len(panel.shown) - 1
    assert all("value" not in update for update in result_panel.unchanged(panel))


def test_a_real_run(shell: Any, demo_portrait: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From filled-in components to a video, its last frame, its line, and back to components."""
    pytest.importorskip("mediapipe")
    from PIL import Image

    picture = Image.open(demo_portrait).convert("RGBA").resize((256, 256))
    shell.folder.mkdir()
    with gr.Blocks():
        form = generate.Form(
            portrait_panel.build(shell), speech_panel.build(shell), knob_panel.build(), gr.Radio(), gr.Radio()
        )
    monkeypatch.setattr(speech_panel, "read", lambda _: speech_panel.SpeechChoice(idle=0.3))
    own = [component.value for component in form.knobs.inputs]
    filled = [picture, None, "1", *(None for _ in form.speech.inputs), *own, "auto", "mp4"]
    outcome = generate.run(shell, form, "task(a)", filled)
    assert outcome.finished is not None, outcome.message
    assert outcome.finished.path.is_file()
    assert outcome.finished.last_frame is not None
    assert outcome.finished.last_frame.size == (256, 256)

    page = settings(form.knobs, read_metadata(outcome.finished.path))
    assert "The knobs are set as they were." in page["message"]
    assert page["idle"]["value"] == 0.3
    again = generate.rerun(shell, form, "task(b)", outcome.finished, None, filled)
    assert again.finished is not None, again.message
    assert again.finished.path != outcome.finished.path


@pytest.fixture(scope="module")
def knobs() -> knob_panel.KnobPanel:
    with gr.Blocks():
        return knob_panel.build()


def settings(panel: knob_panel.KnobPanel, document: Any, kind: str | None = None) -> dict[str, Any]:
    """What is set, by name of the knob or component."""
    names = [*panel.components, "manner", "engine", "format", "source", "idle", "message"]
    return dict(zip(names, read_back.settings_of(panel, document, kind), strict=True))


def test_a_video_sets_the_knobs(tmp_path: Path, knobs: knob_panel.KnobPanel) -> None:
    options = Options(**PRESETS["Lively"], yaw=(0, 20), crf=30, seed=5)
    path = write_video(tmp_path / "a.webm", options)
    page = settings(knobs, read_metadata(path), read_back.suffix_of(path))
    assert page["seed"]["value"] == 5
    assert page["yaw"]["value"] == "0 20"
    assert page["crf"]["value"] == 30
    assert page["manner"]["value"] == "Lively"
    assert page["engine"]["value"] == "instant"
    assert page["format"]["value"] == "webm"
    assert "value" not in page["idle"]
    assert "hello.wav" in page["message"]


def test_idle_seconds_are_set(knobs: knob_panel.KnobPanel) -> None:
    page = settings(knobs, {"options": {"idle": 4.5}})
    assert page["source"]["value"] == speech_panel.IDLE
    assert page["idle"]["value"] == 4.5


def test_contradictions_are_told(knobs: knob_panel.KnobPanel) -> None:
    page = settings(knobs, {"options": {"start": 5.0, "end": 2.0}})
    assert "“Stop at second” (2 s) must be later" in page["message"]


def test_a_reference_video_has_to_be_given_again(knobs: knob_panel.KnobPanel) -> None:
    page = settings(knobs, {"options": {"ref_pose": "dance.mp4", "gaze": 99}})
    assert "“Head motion from a video”: give the file &#x27;dance.mp4&#x27; again." in page["message"]
    assert "“Eye movement” was 99, which cannot be set here." in page["message"]


def test_a_foreign_video_is_refused(knobs: knob_panel.KnobPanel) -> None:
    with pytest.raises(OptionsError, match="not one of ours"):
        settings(knobs, {"software": "something else"})


def test_names_in_a_video_are_no_html(knobs: knob_panel.KnobPanel) -> None:
    page = settings(knobs, {"options": {"<b>": 1}, "speech": "<script>", "version": "<i>"})
    assert "<b>" not in page["message"]
    assert "<script>" not in page["message"]
    assert "<i>" not in page["message"]
