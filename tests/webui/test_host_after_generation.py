"""Animate after generation: each picture becomes a video beside it, and nothing ever breaks a batch."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

sys.path.insert(0, str(Path(__file__).parent))
import fake_webui  # noqa: E402

sys.path.pop(0)

import sadtalker_ext.webui as ours  # noqa: E402
from sadtalker_ext.errors import AudioError, FaceNotFoundError, OutputError  # noqa: E402
from sadtalker_ext.options import Options  # noqa: E402
from sadtalker_ext.pipeline import Result  # noqa: E402
from sadtalker_ext.track import MotionTrack  # noqa: E402

SPEECH = base64.b64encode(b"RIFF....WAVE, as far as this test looks").decode()
NO_FACE = (1, 1, 1)  # the colour of pictures without one


@pytest.fixture(params=fake_webui.HOSTS)
def webui(request, tmp_path, monkeypatch):
    yield from prepared(request.param, tmp_path, monkeypatch)


@pytest.fixture
def a1111(tmp_path, monkeypatch):
    yield from prepared("a1111", tmp_path, monkeypatch)


def prepared(host, tmp_path, monkeypatch):
    fake = fake_webui.FakeWebUI(host, tmp_path, monkeypatch)
    names = ("after_generation", "animate_batch")
    for name in names:  # its class is made of the host's
        monkeypatch.delitem(sys.modules, f"sadtalker_ext.webui.{name}", raising=False)
    ours.the_shell.cache_clear()
    fake.module = importlib.import_module("sadtalker_ext.webui.after_generation")
    fake.batch = importlib.import_module("sadtalker_ext.webui.animate_batch")
    fake.script = fake.module.AfterGeneration()
    fake.requests = []
    monkeypatch.setattr(fake.batch, "perform", pretender(fake))
    yield fake
    ours.the_shell.cache_clear()


def pretender(fake):
    """Stands in for the pipeline: writes a file, and tells what it was asked for."""

    def perform(shell, request, progress, cancel):
        cancel.check()
        speech = None if request.speech is None else request.speech.read_bytes()
        output = request.output or shell.output_file("talking")
        fake.requests.append((request, speech, fake.state.textinfo))
        if request.picture.getpixel((0, 0)) == NO_FACE:
            raise FaceNotFoundError("No face was found in the picture; give five points.")
        output.write_bytes(b"video")
        track = MotionTrack.rest(1, 25.0)
        return Result(output, 1, 25.0, 0.04, 0.1, "instant", request.options, track, {}, ("A notice.",))

    return perform


def batch(tmp_path, count=2, *, saved=True, grid=False, n_iter=1, colour=(9, 9, 9), **more):
    """What the host hands to `postprocess`: p, processed."""
    pictures = []
    for number in range(count):
        picture = Image.new("RGB", (64, 64), colour)
        if saved:
            path = tmp_path / f"{number:05}-1234.png"
            picture.save(path)
            picture.already_saved_as = str(path)
        pictures.append(picture)
    infotexts = [f"picture {number}" for number in range(count)]
    first = 0
    if grid:
        pictures.insert(0, Image.new("RGB", (128, 64), (5, 5, 5)))
        infotexts.insert(0, "grid")
        first = 1
    p = SimpleNamespace(
        n_iter=n_iter, batch_size=count // n_iter, extra_generation_params={"Sampler": "x"}, **more
    )
    processed = SimpleNamespace(
        images=pictures,
        infotexts=infotexts,
        index_of_first_image=first,
        comments="a comment of the host\n",
        extra_generation_params=p.extra_generation_params,
    )
    return p, processed


def comments(processed) -> list[str]:
    first, *others = processed.comments.splitlines()
    assert first == "a comment of the host"
    return others


def videos(processed) -> list[Path]:
    prefix = "SadTalker video: "
    return [Path(line[len(prefix) :]) for line in comments(processed) if line.startswith(prefix)]


def test_off_by_default(webui, tmp_path):
    controls = built(webui)
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
    assert ours.the_shell().latest.path == tmp_path / "00001-1234.mp4"
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


def test_idle_text_and_speech(webui, tmp_path, monkeypatch):
    say = SimpleNamespace(speak=lambda text, target, **more: spoken(text, target, more))
    said = []

    def spoken(text, target, more):
        said.append((text, more["voice"]))
        target.write_bytes(text.encode())
        return target

    monkeypatch.setitem(sys.modules, "sadtalker_ext.audio.say", say)
    for args in (
        (True, None, "", 2.5),
        (True, "", "  Hello! ", 2.5, "auto", "Presenter", "en"),
        (True, SPEECH, "Hello!", 2.5),
    ):
        webui.script.postprocess(*batch(tmp_path, 2), *args)
    assert [(request.options.idle, speech) for request, speech, _ in webui.requests[::2]] == [
        (2.5, None),
        (None, b"Hello!"),
        (None, base64.b64decode(SPEECH)),
    ]
    assert said == [("Hello!", "en")]  # once for both pictures, and not where there is a recording


def test_arguments_by_name(webui, tmp_path):
    p, processed = batch(tmp_path, 1)
    named = {"idle": 1, "preset": "Still portrait", "engine": "instant"}
    webui.script.postprocess(p, processed, named, None, "", 5.0, "auto", "Presenter", "")
    ((request, _, _),) = webui.requests
    assert (request.options.engine, request.options.idle, request.options.still) == ("instant", 1.0, True)
    webui.script.postprocess(p, processed, {**named, "enabled": False})
    assert len(webui.requests) == 1
    assert webui.module.Wish.of([True, None, None, None]) == webui.module.Wish(enabled=True)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((True, None, "", 5, "no such engine"), "--engine"),
        ((True, None, "", 5, "auto", "Furious"), "Presenter"),
        ((True, None, "", "soon"), "--idle"),
        ((True, None, "", 1e9), "--idle"),
        (({"speach": "x"},), "speach"),
        ((True, "data:audio/wav;base64,@@@"), "base64"),
        ((True, "no base64, no file"), "base64"),
        ((True, 7), "base64"),
        ((True, ["/etc/hostname"]), "base64"),
        ((True, {"path": "/etc/hostname"}), "base64"),
        ((True, "\0"), "base64"),
    ],
)
def test_wrong_arguments_are_a_comment(webui, tmp_path, args, word):
    p, processed = batch(tmp_path, 1)
    webui.script.postprocess(p, processed, *args)
    (line,) = comments(processed)
    assert line.startswith("SadTalker: ")
    assert word in line
    assert webui.requests == []


def test_files_of_the_server_cannot_be_read(a1111, tmp_path, monkeypatch):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"RIFF")
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    upload = uploads / "abc" / "speech.wav"
    upload.parent.mkdir()
    upload.write_bytes(b"uploaded")
    (uploads / "link.wav").symlink_to(secret)
    refused = (secret, uploads / ".." / "secret.wav", uploads / "link.wav", uploads, uploads / "gone.wav")
    for value in (*map(str, refused), {"name": str(secret)}, SimpleNamespace(name=str(secret))):
        with pytest.raises(AudioError, match="base64"):
            a1111.batch._recording(value, tmp_path)
    for value in (str(upload), {"path": str(upload)}, SimpleNamespace(name=str(upload))):
        assert a1111.batch._recording(value, tmp_path) == upload
    monkeypatch.setattr(a1111.batch, "_decoded", lambda text: b"some paths are base64, too")
    assert a1111.batch._recording(str(upload), tmp_path) == upload


def test_recordings_in_base64(a1111, tmp_path, monkeypatch):
    read = a1111.batch._recording
    for value in (
        f"data:audio/wav;base64,{SPEECH}",
        SPEECH,
        f"{SPEECH[:20]}\n{SPEECH[20:]}",
        {"name": "speech.wav", "data": f"data:audio/wav;base64,{SPEECH}"},
    ):
        assert read(value, tmp_path).read_bytes() == base64.b64decode(SPEECH)
    monkeypatch.setattr(a1111.batch, "MAX_SPEECH_BYTES", 20)
    with pytest.raises(AudioError, match="larger"):
        read(SPEECH, tmp_path)


def test_pictures_without_a_face_are_skipped(webui, tmp_path):
    p, processed = batch(tmp_path, 3)
    processed.images[1] = Image.new("RGB", (64, 64), NO_FACE)
    webui.script.postprocess(p, processed, True)
    assert len(videos(processed)) == 2
    assert "SadTalker: picture 2 was skipped: No face was found" in processed.comments
    # Comments are not in the answers of the host's API; these are.
    _, note = processed.extra_generation_params["SadTalker notes"]
    assert note.startswith("picture 2 was skipped: No face was found")
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

    def perform(shell, request, progress, cancel):
        if request.output is not None:
            raise OutputError("Cannot write into the folder.")
        return willing(shell, request, progress, cancel)

    monkeypatch.setattr(webui.batch, "perform", perform)
    p, processed = batch(tmp_path, 1)
    webui.script.postprocess(p, processed, True)
    assert videos(processed)[0].parent.parent == tmp_path / "outputs" / "sadtalker"


@pytest.mark.parametrize("error", [AudioError("It has no sound."), ZeroDivisionError("ouch"), MemoryError()])
def test_errors_are_comments(webui, tmp_path, monkeypatch, error):
    tries = []

    def perform(*_):
        tries.append(1)
        raise error

    monkeypatch.setattr(webui.batch, "perform", perform)
    p, processed = batch(tmp_path, 3)
    webui.script.postprocess(p, processed, True)
    (line,) = comments(processed)
    assert (str(error) or type(error).__name__) in line
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

    def perform(shell, request, progress, cancel):
        if len(webui.requests) == 1:
            if how == "button":
                shell.interrupt()
            else:
                setattr(webui.state, how, True)
        return willing(shell, request, progress, cancel)

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


@pytest.fixture
def no_stubs(monkeypatch):
    """Gradio 4 writes a .pyi file beside every class that is made from its components."""
    if importlib.util.find_spec("gradio.component_meta"):
        monkeypatch.setattr("gradio.component_meta.create_or_modify_pyi", lambda *_: None)


def built(webui, is_img2img=False):
    with gr.Blocks():
        return webui.script.ui(is_img2img)


def test_controls(webui):
    assert webui.script.title() == "SadTalker"
    assert webui.script.show(False) is webui.scripts.AlwaysVisible
    first, second = built(webui), built(webui, True)
    fields = [field for field in vars(webui.module.Wish())]
    assert len(first) == len(fields)
    ids = [control.elem_id for control in (*first, *second)]
    assert len(set(ids)) == len(ids)
    assert all(elem_id.startswith("sadtalker_") for elem_id in ids)
    assert len({control.label for control in first}) == len(first)
    assert all(control.do_not_save_to_config for control in first)
    defaults = webui.module.Wish.of([control.value for control in first])
    assert not defaults.enabled
    assert (defaults.idle, defaults.engine, defaults.preset) == (5.0, "auto", "Presenter")


def test_hosts_accordion_is_used(webui, monkeypatch, no_stubs):
    class InputAccordion(gr.Checkbox):
        def __init__(self, value, **kwargs):
            super().__init__(
                value, visible=False, label=kwargs["label"], elem_id=f"{kwargs['elem_id']}-checkbox"
            )
            self.accordion = gr.Accordion(kwargs["label"], elem_id=kwargs["elem_id"])

        def __enter__(self):
            self.accordion.__enter__()
            return self

        def __exit__(self, *problem):
            self.accordion.__exit__(*problem)

        def get_block_name(self):
            return "checkbox"

    monkeypatch.setitem(sys.modules, "modules.ui_components", SimpleNamespace(InputAccordion=InputAccordion))
    controls = built(webui)
    assert isinstance(controls[0], InputAccordion)
    parent = controls[1]
    while parent is not None and parent is not controls[0].accordion:
        parent = parent.parent
    assert parent is controls[0].accordion


def test_a_real_video(a1111, tmp_path, demo_portrait, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("mediapipe")
    from sadtalker_ext.webui.runs import perform

    monkeypatch.setattr(a1111.batch, "perform", perform)
    p, processed = batch(tmp_path, 2)
    portrait = Image.open(demo_portrait).convert("RGB")
    portrait.thumbnail((256, 256))
    portrait.already_saved_as = processed.images[0].already_saved_as
    processed.images[0] = portrait
    a1111.script.postprocess(p, processed, True, None, "", 0.4, "auto", "Still portrait")
    assert [path.name for path in videos(processed)] == ["00000-1234.mp4"]
    assert "picture 2 was skipped: " in processed.comments
    result = ours.the_shell().latest
    assert result.frames == 10
    assert result.path.stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "00000-1234.mp4",
        "00000-1234.png",
        "00001-1234.png",
    ]
