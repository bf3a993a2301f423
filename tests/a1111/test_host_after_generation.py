"""Animate after generation: each picture becomes a video beside it, and nothing ever breaks a batch."""

from __future__ import annotations

import base64
import json
import threading

import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

import fake_webui  # noqa: E402
import talkative  # noqa: E402
from fake_generation import NO_FACE, SPEECH, batch, comments, prepared, videos  # noqa: E402

from sadtalker_ext import pipeline  # noqa: E402
from sadtalker_ext.a1111.webui_shell import the_shell  # noqa: E402
from sadtalker_ext.errors import AudioError, OutputError  # noqa: E402
from sadtalker_ext.options import Options  # noqa: E402


@pytest.fixture(params=fake_webui.HOSTS)
def webui(request, tmp_path, monkeypatch):
    yield from prepared(request.param, tmp_path, monkeypatch)


@pytest.fixture
def a1111(tmp_path, monkeypatch):
    yield from prepared("a1111", tmp_path, monkeypatch)


def test_off_by_default(webui, tmp_path):
    with gr.Blocks():
        controls = webui.script.ui(False)
    p, processed = batch(tmp_path)
    webui.script.postprocess(p, processed, *[control.value for control in controls])
    webui.script.postprocess(p, processed, False, SPEECH)
    webui.script.postprocess(p, processed)
    assert webui.requests == []
    assert comments(processed) == []
    assert processed.extra_generation_params == {"Sampler": "x"}
    assert webui.done == []


def test_each_picture_becomes_a_video_beside_it(webui, tmp_path):
    p, processed = batch(tmp_path, 2)
    webui.script.postprocess(p, processed, True, SPEECH, "", 5, "auto", "Lively")
    assert videos(processed) == [tmp_path / "00000-1234.mp4", tmp_path / "00001-1234.mp4"]
    assert comments(processed).count("SadTalker: A notice.") == 1
    (first, speech, text), (second, _, _) = webui.requests
    assert speech == base64.b64decode(SPEECH)
    assert (first.picture, second.picture) == tuple(processed.images)
    assert first.options == Options(
        still=False, head_motion=1.5, expression_scale=1.2, blink_rate=1.2, gaze=1.4
    )
    assert text == "SadTalker 1/2: Preparing"
    assert the_shell().latest.path == tmp_path / "00001-1234.mp4"
    assert webui.servable == [str(path) for path in videos(processed)]
    assert "torch_gc" in webui.done


def test_answer_of_the_api_names_the_videos(webui, tmp_path):
    p, processed = batch(tmp_path, 1)
    webui.script.postprocess(p, processed, True, None, "", 3)
    info = json.loads(json.dumps(processed.extra_generation_params))
    assert info["SadTalker videos"] == [str(tmp_path / "00000-1234.mp4")]
    assert p.extra_generation_params == {"Sampler": "x"}  # nothing of it in the infotext of further pictures


def test_host_state_is_as_before(webui, tmp_path):
    state = webui.state
    state.begin("task(host)")
    state.job_count, state.job_no, state.textinfo = 2, 2, "host"
    before = {name: getattr(state, name) for name in webui.batch.PROGRESS_FIELDS}
    p, processed = batch(tmp_path, 2)
    webui.script.postprocess(p, processed, True, SPEECH)
    assert {name: getattr(state, name) for name in before} == before
    assert state.job == "task(host)"


def test_runs_inside_the_queue(a1111, tmp_path):
    busy = a1111.generating()  # the lock is held by who calls us: to take it again would hang
    p, processed = batch(tmp_path, 1)
    thread = threading.Thread(target=a1111.script.postprocess, args=(p, processed, True), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert len(videos(processed)) == 1
    busy.close()


def test_pictures_without_a_face_are_skipped(webui, tmp_path):
    p, processed = batch(tmp_path, 3)
    processed.images[1] = Image.new("RGB", (64, 64), NO_FACE)
    webui.script.postprocess(p, processed, True)
    assert len(videos(processed)) == 2
    assert "SadTalker: picture 2 was skipped: no face was found" in processed.comments
    # Comments are not in the answers of the host's API; these are.
    _, note = processed.extra_generation_params["SadTalker notes"]
    assert note.startswith("picture 2 was skipped: no face was found")
    assert p.extra_generation_params == {"Sampler": "x"}


def test_grid_masks_and_control_maps_are_left_out(a1111, tmp_path):
    pick = a1111.batch.generated_pictures
    p, processed = batch(tmp_path, 4, grid=True, n_iter=2)
    pictures = processed.images[1:]
    processed.images.extend(Image.new("RGB", (8, 8)) for _ in range(2))  # ControlNet's maps
    assert pick(p, processed) == pictures

    p, processed = batch(tmp_path, 2, mask_for_overlay=Image.new("L", (8, 8)))
    first, second = processed.images
    mask, composite = Image.new("RGB", (8, 8)), Image.new("RGBA", (8, 8))
    a1111.shared.opts.data.update(return_mask=True, return_mask_composite=True)
    processed.images = [first, mask, composite, second, mask, composite]
    assert pick(p, processed) == [first, second]
    a1111.shared.opts.data.update(return_mask=True, return_mask_composite=False)
    processed.images = [first, mask, second, mask]
    assert pick(p, processed) == [first, second]

    p, processed = batch(tmp_path, 4)  # interrupted after one
    del processed.images[1:], processed.infotexts[1:]
    assert pick(p, processed) == processed.images
    processed.images = []
    assert pick(p, processed) == []


def test_unsaved_pictures_go_to_the_folder_for_results(webui, tmp_path):
    p, processed = batch(tmp_path, 2, saved=False)
    webui.script.postprocess(p, processed, True)
    first, second = videos(processed)
    assert first.parent.parent == tmp_path / "outputs" / "sadtalker"
    assert (first.name, second.name) == ("00000-talking.mp4", "00001-talking.mp4")


def test_no_file_is_replaced(webui, tmp_path):
    (tmp_path / "00000-1234.mp4").write_bytes(b"mine")
    p, processed = batch(tmp_path, 1)
    webui.script.postprocess(p, processed, True)
    assert videos(processed) == [tmp_path / "00000-1234-1.mp4"]
    assert (tmp_path / "00000-1234.mp4").read_bytes() == b"mine"


def test_relative_names_of_saved_pictures(a1111, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    p, processed = batch(tmp_path, 1)
    processed.images[0].already_saved_as = "00000-a.b.c.png"
    a1111.script.postprocess(p, processed, True)
    assert videos(processed) == [tmp_path / "00000-a.b.c.mp4"]


def test_folder_that_cannot_be_written(webui, tmp_path, monkeypatch):
    willing = webui.batch.perform

    def perform(request, **more):
        if request.output.parent == tmp_path:
            raise OutputError("Cannot write into the folder.")
        return willing(request, **more)

    monkeypatch.setattr(webui.batch, "perform", perform)
    p, processed = batch(tmp_path, 1)
    webui.script.postprocess(p, processed, True)
    assert videos(processed)[0].parent.parent == tmp_path / "outputs" / "sadtalker"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AudioError("It has no sound."), "It has no sound."),
        (ZeroDivisionError("ouch"), "the pictures could not be animated (ZeroDivisionError: ouch)."),
        (MemoryError(), "Out of memory; use a smaller picture or close other programs."),
    ],
)
def test_errors_are_comments(webui, tmp_path, monkeypatch, error, told):
    tries = []

    def perform(*_, **__):
        tries.append(1)
        raise error

    monkeypatch.setattr(webui.batch, "perform", perform)
    p, processed = batch(tmp_path, 3)
    webui.script.postprocess(p, processed, True)
    (line,) = comments(processed)
    assert line == f"SadTalker: {told}"
    assert len(tries) == 1  # the next picture would fail likewise


def test_nothing_is_made_after_an_interruption(webui, tmp_path):
    webui.state.interrupted = True
    p, processed = batch(tmp_path, 2)
    webui.script.postprocess(p, processed, True)
    assert comments(processed) == ["SadTalker: interrupted; no videos were made."]
    assert webui.state.interrupted  # the host has still to see it


@pytest.mark.parametrize("how", ["interrupted", "skipped", "button"])
def test_stopping_in_between(webui, tmp_path, monkeypatch, how):
    willing = webui.batch.perform

    def perform(request, **more):
        if len(webui.requests) == 1:
            if how == "button":
                the_shell().interrupt()
            else:
                setattr(webui.state, how, True)
        return willing(request, **more)

    monkeypatch.setattr(webui.batch, "perform", perform)
    p, processed = batch(tmp_path, 3)
    webui.script.postprocess(p, processed, True)
    if how == "skipped":
        # Skip is pressed in each later picture: each is skipped, and the rest goes on.
        assert comments(processed)[-2:] == [
            "SadTalker: picture 2 was skipped.",
            "SadTalker: picture 3 was skipped.",
        ]
        assert not webui.state.skipped
    else:
        assert comments(processed)[-1] == "SadTalker: interrupted after 1 of 3 videos."
    assert len(videos(processed)) == 1
    assert processed.extra_generation_params["SadTalker videos"] == [str(videos(processed)[0])]


def test_late_skip_of_the_host_does_not_count(webui, tmp_path):
    webui.state.skipped = True
    p, processed = batch(tmp_path, 1)
    webui.script.postprocess(p, processed, True)
    assert len(videos(processed)) == 1


def test_no_page_no_links(webui, tmp_path):
    webui.shared.demo = None  # --nowebui
    p, processed = batch(tmp_path, 1)
    webui.script.postprocess(p, processed, True)
    assert len(videos(processed)) == 1
    assert webui.servable == []


def test_every_stage_is_heard_once(a1111, tmp_path, monkeypatch):
    pytest.importorskip("imageio_ffmpeg")
    talkative.install(monkeypatch)
    monkeypatch.setattr(a1111.batch, "perform", pipeline.perform)
    p, processed = batch(tmp_path, 2)
    a1111.script.postprocess(p, processed, True, base64.b64encode(talkative.recording()).decode())
    assert len(videos(processed)) == 2
    talkative.assert_told(processed.extra_generation_params["SadTalker notes"], talkative.OF_SPEECH)
    said = [line for line in comments(processed) if not line.startswith("SadTalker video: ")]
    talkative.assert_told(said, talkative.OF_SPEECH)


def test_a_real_video(a1111, tmp_path, demo_portrait, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("mediapipe")

    monkeypatch.setattr(a1111.batch, "perform", pipeline.perform)
    p, processed = batch(tmp_path, 2)
    portrait = Image.open(demo_portrait).convert("RGB")
    portrait.thumbnail((256, 256))
    portrait.already_saved_as = processed.images[0].already_saved_as
    processed.images[0] = portrait
    a1111.script.postprocess(p, processed, True, None, "", 0.4, "auto", "Still portrait")
    assert [path.name for path in videos(processed)] == ["00000-1234.mp4"]
    assert "picture 2 was skipped: " in processed.comments
    result = the_shell().latest
    assert result.frames == 10
    assert result.path.stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "00000-1234.mp4",
        "00000-1234.png",
        "00001-1234.png",
    ]
