"""Gradio 3.41 and 4.x behind one set of constructors and listeners; hosts' differences of signature."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

Component = Any  # gradio's classes moved between its versions, and hosts subclass them

_log = logging.getLogger(__name__)

GRADIO4 = int(gr.__version__.split(".")[0]) >= 4


def component(cls: Any, *args: Any, **kwargs: Any) -> Component:
    """`cls(*args, **kwargs)`, marked so that hosts never save its value as a default in their ui-config."""
    made = cls(*args, **kwargs)
    made.do_not_save_to_config = True
    return made


def _forgiving(made: Component, step: str) -> Component:
    """Lets `step` of a component turn what it cannot understand into nothing.

    What gradio raises there, such as for a broken picture, would show as a bare "Error" in every output,
    and no listener could say what is wrong.
    """
    original = getattr(made, step)

    def forgiving(value: Any) -> Any:
        try:
            return original(value)
        except Exception:  # see above
            _log.warning("%s: a value could not be used", made.elem_id, exc_info=True)
            return original(None)

    setattr(made, step, forgiving)
    return made


def image(*, label: str, elem_id: str, **kwargs: Any) -> Component:
    """A picture as a PIL image with its transparency, uploaded or pasted; an animation with its frames."""
    # Of a file's path Forge's gradio makes an error, so always PIL.
    settings: dict[str, Any] = {"type": "pil", "image_mode": "RGBA", "label": label, "elem_id": elem_id}
    if GRADIO4:
        settings.update(sources=["upload", "clipboard"], format="png")
    else:
        settings.update(source="upload", tool="select")
    made = component(gr.Image, **{**settings, **kwargs})
    preprocess = made.preprocess

    def moving(value: Any) -> Any:
        animation = _animation(value)
        return preprocess(value) if animation is None else animation

    made.preprocess = moving
    return _forgiving(made, "preprocess")


def _animation(value: Any) -> Any:
    """What gradio hands over, opened, where it is an animation; gradio itself would keep one frame."""
    from PIL import Image

    from ..face.decoding import moves

    with contextlib.suppress(Exception):  # what cannot be read is told of by what reads pictures
        if isinstance(value, str):  # gradio 3
            data = base64.b64decode(value.split(",", 1)[1])
        else:
            data = Path(value.path).read_bytes()
        opened = Image.open(io.BytesIO(data))
        return opened if moves(opened) else None
    return None


OPEN_RECORDER = """(elem_id) => {
    const button = document.querySelector(`#${elem_id} button[aria-label="Record audio"]`);
    if (button && !button.classList.contains("selected")) button.click();
}"""


def audio_recorder(*, label: str, elem_id: str, **kwargs: Any) -> Component:
    """A microphone; its value is the path of a recording, in whatever format the browser makes.

    Gradio 4 asks for the microphone as soon as a recorder is on the page, even a hidden one. There `upload`
    is shown first, and `OPEN_RECORDER`, run in the page, turns to the recorder.
    """
    source: dict[str, Any] = {"sources": ["upload", "microphone"]} if GRADIO4 else {"source": "microphone"}
    made = component(gr.Audio, type="filepath", label=label, elem_id=elem_id, **{**source, **kwargs})
    if not GRADIO4:
        made.preprocess = functools.partial(_recording, made)
    return _forgiving(made, "preprocess")


def _recording(made: Component, value: Any) -> str | None:
    """What the browser recorded, as it is.

    Gradio 3 would decode it first, which fails where ffmpeg and ffprobe are not on the PATH.
    """
    if value is None:
        return None
    if value.get("is_file"):
        return str(made.make_temp_copy_if_needed(value["name"]))
    return str(made.base64_to_temp_file_if_needed(value["data"], value["name"]))


def file(*, label: str, elem_id: str, file_types: Sequence[str] | None = None, **kwargs: Any) -> Component:
    """A file to upload or, with `interactive=False`, to download; read its value with `file_path`."""
    types = None if file_types is None else list(file_types)
    return component(gr.File, label=label, elem_id=elem_id, file_types=types, **kwargs)


def video(*, label: str, elem_id: str, **kwargs: Any) -> Component:
    """A video to watch; to upload one, `file` is better: it never converts."""
    made = component(gr.Video, label=label, elem_id=elem_id, **{"interactive": False, **kwargs})
    # Gradio 3 asks ffprobe whether to convert, and fails where there is an ffmpeg without one.
    return _forgiving(made, "postprocess")


def button(text: str, *, elem_id: str, variant: str = "secondary", **kwargs: Any) -> Component:
    """A button. variant: primary, secondary or stop."""
    return component(gr.Button, text, elem_id=elem_id, variant=variant, **kwargs)


def update(**kwargs: Any) -> Any:
    """What a listener returns to change properties of a component."""
    return gr.update(**kwargs)


def file_path(value: Any) -> Path | None:
    """The path in whatever a file, audio or video component hands to a listener; None for nothing.

    Understands paths, temporary files of gradio 3 (`.name`), dictionaries and file data (`path`, `name`,
    `video`), and of several files takes the first.
    """
    while isinstance(value, (list, tuple)):
        value = value[0] if value else None
    if isinstance(value, dict):
        return file_path(value.get("path") or value.get("name") or value.get("video"))
    if value is None or value == "":
        return None
    if isinstance(value, (str, Path)):
        return Path(value)
    for attribute in ("path", "video", "name"):
        inner = getattr(value, attribute, None)
        if inner:
            return file_path(inner)
    return None


def served(made: Component, path: Path) -> str:
    """A copy of a file among those that gradio keeps for `made` to show; the file itself can go then."""
    if not GRADIO4:
        return str(made.make_temp_copy_if_needed(str(path)))
    from gradio import processing_utils

    return str(processing_utils.save_file_to_cache(str(path), cache_dir=made.GRADIO_CACHE))


def _without_hints(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with no annotations but those that ask gradio for an event or a request.

    Gradio evaluates all of them, and names that are imported for type checking only would be an error.
    """
    target = getattr(fn, "__func__", fn)
    names = getattr(target, "__globals__", {})
    kept = {}
    for name, hint in getattr(target, "__annotations__", {}).items():
        if isinstance(hint, str):
            try:
                hint = eval(hint, dict(names))  # noqa: S307 - our own annotations, as gradio does
            except (NameError, AttributeError, TypeError):
                continue
        if isinstance(hint, type) and issubclass(hint, (gr.EventData, gr.Request)):
            kept[name] = hint

    @functools.wraps(fn)
    def plain(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    plain.__annotations__ = kept
    return plain


def listen(
    event: Any,
    fn: Callable[..., Any] | None,
    inputs: Sequence[Component] | None = None,
    outputs: Sequence[Component] | None = None,
    *,
    js: str | None = None,
    queue: bool | None = None,
    show_progress: str = "hidden",
    **more: Any,
) -> Any:
    """Listen to `event` (such as `box.change`); returns what `then` chains on.

    js: runs in the page first, on the inputs, which its array replaces; without `fn`, its array is shown in
    the outputs. queue: False runs at once, beside the queue; None as the app does. show_progress: full,
    minimal or hidden. The listener is not shown in gradio's API.
    """
    if js is not None and fn is not None:
        # It gets the outputs' values too; gradio 4 mixes up the inputs when they come back with them.
        js = f"(...values) => ({js})(...values.slice(0, {len(inputs or [])}))"
    # Gradio 4 runs one call of a listener at a time; who waits for whom is the shell's to say.
    own: dict[str, Any] = {"concurrency_limit": None, "js": js} if GRADIO4 else {"_js": js}
    return event(
        None if fn is None else _without_hints(fn),
        inputs=list(inputs or []),
        outputs=list(outputs or []),
        queue=queue,
        show_progress=show_progress,
        api_name=False,
        **own,
        **more,
    )


def click(button: Component, fn: Callable[..., Any] | None, *parts: Sequence[Component], **more: Any) -> Any:
    """Call `fn` when the button is pressed; arguments as for `listen`."""
    return listen(button.click, fn, *parts, **more)


def on_load(blocks: Any, fn: Callable[..., Any] | None, *parts: Sequence[Component]) -> Any:
    """Call `fn` whenever the page is opened; arguments as for `listen`."""
    return listen(blocks.load, fn, *parts, queue=False)


def page() -> Any:
    """The Blocks that are being built, to listen to their opening; None outside."""
    from gradio.context import Context

    return Context.root_block


def select_point(event: gr.SelectData) -> tuple[float, float]:
    """Where a picture was clicked, in pixels of the picture: x to the right, y down."""
    x, y = event.index
    return float(x), float(y)
