"""The tab where a mesh speaks: what is said about the file, who is in it, and what is asked for."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

import gradio as gr

from sadtalker_ext.engines import ENGINES, codetalker
from sadtalker_ext.options import Options
from sadtalker_ext.page import (
    compat,
    engine_panels,
    generate,
    knob_panel,
    portrait_panel,
    read_back,
    speech_panel,
    tab,
)
from sadtalker_ext.page.notes import explain
from sadtalker_ext.tracks import MotionTrack, vertex_space

VERTICES = 12
HEAD_KNOBS = ("template", "person", "face_model", "canvas")
SHAPES = {  # of tensors, by which files are known; nothing here is computed
    "tiny_stage1": {
        "encoder.vertice_mapping.0.weight": (16, 3 * VERTICES),
        "quantize.embedding.weight": (8, 8),
        "decoder.vertice_map_reverse.weight": (3 * VERTICES, 16),
        "encoder.encoder_linear_embedding.net.weight": (16, 16),
    },
    "tiny_stage2": {
        "vertice_map.weight": (16, 3 * VERTICES),
        "feat_map.weight": (16, 16),
        "learnable_style_emb.weight": (3, 16),
        "audio_feature_map.weight": (16, 16),
    },
}


@pytest.fixture
def models(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shell's folder for models, with a face model of twelve vertices in it."""
    from safetensors.numpy import save_file

    folder = tmp_path / "models"
    folder.mkdir()
    for name, shapes in SHAPES.items():
        tensors = {key: np.zeros(shape, np.float32) for key, shape in shapes.items()}
        save_file(tensors, folder / f"{name}.safetensors")
    monkeypatch.setattr(type(shell.host), "models_dir", lambda _: folder)
    return folder


def mesh(path: Path, vertices: int = VERTICES) -> Path:
    path.parent.mkdir(exist_ok=True)
    points = [f"v {n} {n % 3} {n % 5}" for n in range(vertices)]
    path.write_text("\n".join([*points, "f 1 2 3"]))
    return path


def look(shell: Any, path: Path | None, name: str = "") -> tuple[list[str], str]:
    """The persons in a file, and what is said of it."""
    values = {"template": None if path is None else str(path), "person": "", "face_model": name}
    choices, told = engine_panels.look(ENGINES["codetalker"], shell.host.models_dir(), values)
    return list(choices.get("person", ())), told


def test_a_mesh_that_fits(shell: Any, models: Path, tmp_path: Path) -> None:
    people, told = look(shell, mesh(tmp_path / "up" / "my head.obj"))
    assert people == []
    assert "my head.obj: a head of 12 vertices, moved by the networks tiny (3 manners" in told
    assert str(tmp_path) not in told


def test_persons_of_a_collection(shell: Any, models: Path, tmp_path: Path) -> None:
    heads = {name: np.arange(3.0 * VERTICES).reshape(-1, 3) for name in ("bea", "ann")}
    path = tmp_path / "up" / "templates.pkl"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(heads))
    people, told = look(shell, path)
    assert people == ["ann", "bea"]
    assert "no triangles" in told
    assert "sadtalker-error" in told
    mesh(models / "sample.obj")
    assert "templates.pkl: 2 heads of 12 vertices" in look(shell, path)[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"<html>", "no vertices"), (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3", "3 vertices")],
)
def test_a_mesh_that_does_not(
    shell: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = tmp_path / "bad.obj"
    path.write_bytes(content)
    people, told = look(shell, path)
    assert people == []
    assert words in told
    assert "sadtalker-error" in told
    assert str(tmp_path) not in told


def test_without_a_mesh(shell: Any, models: Path) -> None:
    """The neutral head shows what published networks make, not that of twelve vertices."""
    assert "12 vertices, which the neutral head cannot show" in look(shell, None)[1]
    assert "cannot show" in look(shell, None, "tiny")[1]
    for path in models.iterdir():
        path.unlink()
    assert "Without a mesh, a neutral head of our own shows the motion" in look(shell, None)[1]


def test_a_mesh_needs_no_portrait(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_panel, "read", lambda _: speech_panel.SpeechChoice(idle=2.0))
    with gr.Blocks():
        form = generate.Form(
            portrait_panel.build(shell),
            speech_panel.build(shell),
            knob_panel.build(),
            gr.Dropdown(),
            gr.Radio(),
        )
    own = {name: component.value for name, component in form.knobs.components.items()}
    head = mesh(tmp_path / "head.obj")
    own.update(template=str(head), person="ann", face_model="tiny", canvas=128)
    own.update(enhancer="gfpgan", upscale="4")  # hidden now, and for portraits
    values = [*(None for _ in (*form.portrait.inputs, *form.speech.inputs)), *own.values()]
    request = form.request([*values, "codetalker", "mp4"])
    assert request.picture is None
    wanted = {"template": str(head), "person": "ann", "face_model": "tiny", "canvas": 128}
    assert request.options == Options(engine="codetalker", idle=2.0, **wanted)
    # What a motion is shown on is chosen anew when it is rendered again.
    track = MotionTrack.rest(3, 25.0, vertex_space(VERTICES))
    again = form.request([*values, "auto", "mp4"], track)
    assert again.picture is None
    assert {name: getattr(again.options, name) for name in HEAD_KNOBS} == wanted


def test_lists_take_what_they_do_not_hold(shell: Any) -> None:
    """A name that is read back from a video may be of networks that are not here."""
    with gr.Blocks():
        panel = knob_panel.build()
    for name in ("person", "face_model"):
        assert panel.components[name].allow_custom_value
        assert panel.components[name].value == ""


def test_the_engine_is_on_offer_when_its_files_are(
    shell: Any, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codetalker, "has_module", lambda _: True)
    assert not ENGINES["codetalker"].missing(models)
    assert "codetalker" in tab.engines_on_offer(shell)
    assert "codetalker is ready" in tab.engine_states(shell)
    (models / "tiny_stage2.safetensors").unlink()
    assert "codetalker" not in tab.engines_on_offer(shell)
    assert "codetalker" not in tab.engine_states(shell)


def test_a_video_of_an_engine_that_is_not_here_sets_everything_else() -> None:
    with gr.Blocks():
        panel = knob_panel.build()
    document = {"engine": "codetalker", "options": {"template": "head.ply", "canvas": 128}}
    engine = len(panel.inputs) + 1
    told = read_back.settings_of(panel, document, None, ("auto", "instant"))
    assert "value" not in told[engine]
    assert "The files of the engine codetalker are not here" in told[-1]
    assert told[list(panel.components).index("canvas")]["value"] == 128
    told = read_back.settings_of(panel, document, None, ("auto", "codetalker"))
    assert told[engine]["value"] == "codetalker"
    assert "“Head mesh”: give the file" in told[-1]


def test_sentences_name_uploads_without_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sadtalker_ext.errors import MeshError, Named

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    kept = tmp_path / "0a1b2c3d" / "head.ply"
    told = explain(
        MeshError("{kept} is empty; give your own with {knob}.", kept=kept, knob=Named("template"))
    )
    assert "head.ply is empty; give your own with “Head mesh”." in told
    assert str(tmp_path) not in told


def shown_for(panel: knob_panel.KnobPanel, name: str | None) -> dict[str, bool]:
    """Which of the knobs and groups that can be hidden are shown for an engine, by their elem_id."""
    updates = panel.useful_to(None if name is None else ENGINES[name])
    return {
        part.elem_id.removeprefix("sadtalker_").removeprefix("knob_"): update["visible"]
        for part, update in zip(panel.switched, updates, strict=True)
    }


def test_what_is_of_no_use_to_meshes() -> None:
    with gr.Blocks():
        panel = knob_panel.build()
    shown = shown_for(panel, "codetalker")
    hidden = {name for name, visible in shown.items() if not visible}
    assert hidden == {
        *("lips", "head_motion", "blink_rate", "gaze", "still", "yaw", "pitch", "roll"),
        *("ref_pose", "ref_blink", "enhancer", "enhancer_strength", "upscale"),
        *("group_face", "group_sadtalker"),
    }
    assert shown["group_codetalker"]


@pytest.mark.parametrize("name", ["sadtalker", "instant", None])
def test_engines_for_pictures_hide_the_groups_of_others_alone(name: str | None) -> None:
    with gr.Blocks():
        panel = knob_panel.build()
    hidden = {part for part, visible in shown_for(panel, name).items() if not visible}
    assert hidden == {"group_sadtalker", "group_codetalker"} - {f"group_{name}"}


def test_what_is_said_in_the_place_of_the_portrait() -> None:
    told = engine_panels.instead(ENGINES["codetalker"])
    assert told["visible"]
    assert "The engine codetalker animates meshes: no portrait is needed." in told["value"]
    for engine in (ENGINES["instant"], ENGINES["sadtalker"], None):
        assert not engine_panels.instead(engine)["visible"]


def test_another_file_empties_what_lay_in_the_one_before(
    shell: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But a name of networks that are not here stays, and is said to be none."""
    listeners: list[Any] = []
    with gr.Blocks() as blocks:
        panel = knob_panel.build()
        monkeypatch.setattr(compat, "listen", lambda event, listener, *_, **__: listeners.append(listener))
        engine_panels.connect(shell, blocks, panel)
    values = {
        "template": str(mesh(tmp_path / "up" / "head.obj")),
        "person": "ann",
        "face_model": "vocaset",
    }

    def changed(name: str) -> list[Any]:
        return dict(zip(values, listeners, strict=False))[name](*values.values())

    person, networks, told = changed("template")
    assert person["value"] == ""
    assert "value" not in networks
    assert "no face model &#x27;vocaset&#x27;" in told
    values["face_model"] = "tiny"
    assert "a head of 12 vertices" in changed("template")[-1]
    person, _, told = changed("face_model")
    assert "value" not in person
    assert "templates.pkl only" in told
