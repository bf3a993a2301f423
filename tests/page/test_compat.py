"""One set of constructors and listeners over both gradio versions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("gradio")

import gradio as gr

from sadtalker_ext.page import compat

if TYPE_CHECKING:
    from PIL import Image

MAKERS = {
    "image": compat.image,
    "audio": compat.audio_recorder,
    "file": compat.file,
    "video": compat.video,
}


@pytest.mark.parametrize("name", MAKERS)
def test_components_are_named_and_kept_out_of_ui_config(name: str) -> None:
    made = MAKERS[name](label="A label", elem_id="sadtalker_x")
    assert (made.label, made.elem_id, made.do_not_save_to_config) == ("A label", "sadtalker_x", True)


def test_a_button_is_kept_out_of_ui_config() -> None:
    made = compat.button("Go", elem_id="sadtalker_go", variant="primary")
    assert (made.value, made.variant, made.do_not_save_to_config) == ("Go", "primary", True)


@pytest.mark.parametrize(
    "value",
    [
        "a/b.wav",
        Path("a/b.wav"),
        ["a/b.wav", "c.wav"],
        ("a/b.wav", None),
        {"name": "a/b.wav", "data": None, "is_file": True},
        {"path": "a/b.wav", "orig_name": "b.wav"},
        {"video": {"path": "a/b.wav"}, "subtitles": None},
        SimpleNamespace(name="a/b.wav"),
        SimpleNamespace(path="a/b.wav", name="b"),
        [SimpleNamespace(name="a/b.wav")],
    ],
)
def test_the_path_in_whatever_gradio_hands_over(value: Any) -> None:
    assert compat.file_path(value) == Path("a/b.wav")


@pytest.mark.parametrize("value", [None, "", [], (), {}, {"path": None}, [None], 3, SimpleNamespace()])
def test_no_path_in_nothing(value: Any) -> None:
    assert compat.file_path(value) is None


def heard(fn: Any, inputs: list[Any], js: str | None = None) -> tuple[Any, dict[str, Any]]:
    """What an event is asked to do by `listen`."""
    asked: dict[str, Any] = {}

    def event(given: Any, **kwargs: Any) -> None:
        asked.update(kwargs)
        asked["fn"] = given

    compat.listen(event, fn, inputs, [], js=js)
    return asked["fn"], asked


def test_scripts_get_the_inputs_alone() -> None:
    script = "(...args) => args"
    name = "js" if compat.GRADIO4 else "_js"
    _, asked = heard(lambda a, b: None, ["a", "b"], script)
    assert asked[name] == f"(...values) => ({script})(...values.slice(0, 2))"
    _, asked = heard(None, [], script)
    assert asked[name] == script
    _, asked = heard(None, [])
    assert asked[name] is None


def test_listeners_are_no_endpoints() -> None:
    _, asked = heard(lambda: None, [])
    assert asked["api_name"] is False


def test_hints_that_only_a_type_checker_knows_are_no_error() -> None:
    def listener(picture: Image.Image, event: gr.SelectData) -> tuple[float, float]:
        return compat.select_point(event)

    fn, _ = heard(listener, ["picture"])
    assert list(fn.__annotations__) == ["event"]
    assert fn(None, SimpleNamespace(index=(3, 4))) == (3.0, 4.0)


def test_a_bound_method_can_listen() -> None:
    class Bell:
        def ring(self) -> str:
            return "ding"

    fn, _ = heard(Bell().ring, [])
    assert fn() == "ding"


def test_a_listener_with_unknown_hints_can_be_connected() -> None:
    def listener(picture: Image.Image | None) -> str:
        return "" if picture is None else "x"

    with gr.Blocks():
        image = compat.image(label="I", elem_id="sadtalker_i")
        text = compat.component(gr.Textbox, label="T", elem_id="sadtalker_t")
        compat.listen(image.change, listener, [image], [text])
        compat.click(compat.button("B", elem_id="sadtalker_b"), None, [], [text], js="() => ['x']")


def test_a_broken_picture_is_nothing(tmp_path: Path) -> None:
    made = compat.image(label="I", elem_id="sadtalker_i")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    if compat.GRADIO4:
        from gradio.data_classes import FileData

        assert made.preprocess(FileData(path=str(broken), orig_name="broken.png")) is None
    else:
        assert made.preprocess("data:image/png;base64,AAAA") is None
    assert made.preprocess(None) is None


@pytest.mark.parametrize("extension", ["gif", "webp", "png"])
def test_an_animation_keeps_its_frames(tmp_path: Path, extension: str) -> None:
    import base64

    from PIL import Image

    from sadtalker_ext.face import load_picture
    from sadtalker_ext.page.face_choice import content_key

    made = compat.image(label="I", elem_id="sadtalker_i")
    given = []
    for name, shown in (("a", Image.linear_gradient("L")), ("b", Image.radial_gradient("L"))):
        path = tmp_path / f"{name}.{extension}"
        frames = [Image.new("L", (256, 256)), shown]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=80)
        if compat.GRADIO4:
            from gradio.data_classes import FileData

            given.append(made.preprocess(FileData(path=str(path), orig_name=path.name)))
        else:
            data = base64.b64encode(path.read_bytes()).decode()
            given.append(made.preprocess(f"data:image/{extension};base64,{data}"))
    one, other = map(load_picture, given)
    assert "its frame 2 is used" in one.notices[0]
    assert one.image.std() > 40
    assert (one.image != other.image).any()
    assert content_key(given[0]) != content_key(given[1])
    assert load_picture(given[0]).notices == one.notices  # the second time too


def test_transparency_stays() -> None:
    from PIL import Image

    made = compat.image(label="I", elem_id="sadtalker_i")
    picture = Image.new("RGBA", (4, 4), (10, 20, 30, 40))
    if compat.GRADIO4:
        import tempfile

        from gradio.data_classes import FileData

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.png"
            picture.save(path)
            back = made.preprocess(FileData(path=str(path), orig_name="a.png"))
    else:
        from gradio.processing_utils import encode_pil_to_base64

        back = made.preprocess(encode_pil_to_base64(picture))
    assert back.getpixel((1, 1)) == (10, 20, 30, 40)


def test_a_video_that_cannot_be_shown_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio import processing_utils

    def no_ffprobe(*_: Any) -> bool:
        raise OSError("no ffprobe")

    made = compat.video(label="V", elem_id="sadtalker_v")
    monkeypatch.setattr(processing_utils, "ffmpeg_installed", lambda: True)
    monkeypatch.setattr(processing_utils, "video_is_playable", no_ffprobe)
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    assert made.postprocess(str(path)) is None


def test_no_component_class_of_ours() -> None:
    """Gradio 4 writes a .pyi file beside the source of every component class."""
    assert not list(Path(compat.__file__).parent.glob("*.pyi"))
