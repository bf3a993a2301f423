"""What the after-generation script is told: its controls, and the arguments of the host's API."""

from __future__ import annotations

import base64
import importlib.util
import sys
from types import SimpleNamespace

import pytest

gr = pytest.importorskip("gradio")

import fake_webui  # noqa: E402
from fake_generation import SPEECH, batch, comments, prepared  # noqa: E402

from sadtalker_ext.a1111.arguments import DEFAULTS, HOOK, read_arguments  # noqa: E402
from sadtalker_ext.errors import AudioError, Named, Sentence  # noqa: E402


@pytest.fixture(params=fake_webui.HOSTS)
def webui(request, tmp_path, monkeypatch):
    yield from prepared(request.param, tmp_path, monkeypatch)


@pytest.fixture
def a1111(tmp_path, monkeypatch):
    yield from prepared("a1111", tmp_path, monkeypatch)


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
    named = {"idle": 1, "manner_preset": "Still portrait", "engine": "instant"}
    webui.script.postprocess(p, processed, named, None, "", 5.0, "auto", "Presenter", "")
    ((request, _, _),) = webui.requests
    assert (request.options.engine, request.options.idle, request.options.still) == ("instant", 1.0, True)
    webui.script.postprocess(p, processed, {**named, "enabled": False})
    assert len(webui.requests) == 1
    assert comments(processed)[1:] == ["SadTalker: A notice."]
    assert read_arguments([True, None, None, None]) == {**DEFAULTS, "enabled": True}


def test_the_former_name_of_an_argument(webui, tmp_path):
    p, processed = batch(tmp_path, 2)
    webui.script.postprocess(p, processed, {"idle": 1, "preset": "Still portrait"})
    assert [request.options.still for request, _, _ in webui.requests] == [True, True]
    assert comments(processed)[0] == "SadTalker: preset is now called manner_preset."
    assert processed.comments.count("is now called") == 1
    assert processed.extra_generation_params["SadTalker notes"][0] == "preset is now called manner_preset."


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((True, None, "", 5, "no such engine"), "“Engine”"),
        ((True, None, "", 5, "auto", "Furious"), "Presenter"),
        ((True, None, "", "soon"), "“Idle seconds”"),
        ((True, None, "", 1e9), "“Idle seconds”"),
        (({"speach": "x"},), "speach"),
        (({"preset": "Lively", "manner_preset": "Lively"},), "give it once"),
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
            a1111.batch.recording_of(value, tmp_path)
    for value in (str(upload), {"path": str(upload)}, SimpleNamespace(name=str(upload))):
        assert a1111.batch.recording_of(value, tmp_path) == upload
    monkeypatch.setattr(a1111.batch, "_decoded", lambda text: b"some paths are base64, too")
    assert a1111.batch.recording_of(str(upload), tmp_path) == upload


def test_recordings_in_base64(a1111, tmp_path, monkeypatch):
    read = a1111.batch.recording_of
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


def test_faces_are_chosen_in_the_tab():
    told = Sentence("2 faces were found; choose another with {face}.", Named("face"))
    assert told.worded(HOOK) == "2 faces were found; choose another with the SadTalker tab."
    assert Sentence("Mind {idle}.", Named("idle")).worded(HOOK) == "Mind “Idle seconds”."


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
    assert len(first) == len(DEFAULTS)
    ids = [control.elem_id for control in (*first, *second)]
    assert len(set(ids)) == len(ids)
    assert all(elem_id.startswith("sadtalker_") for elem_id in ids)
    assert len({control.label for control in first}) == len(first)
    assert all(control.do_not_save_to_config for control in first)
    defaults = read_arguments([control.value for control in first])
    assert not defaults["enabled"]
    assert (defaults["idle"], defaults["engine"], defaults["manner_preset"]) == (5.0, "auto", "Presenter")


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
