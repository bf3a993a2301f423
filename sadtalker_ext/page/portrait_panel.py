"""The tab's portrait: a picture goes in, the face that is to speak is shown, chosen or pointed out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image  # gradio, which has loaded it anyway, evaluates the listeners' annotations

from ..errors import PictureError, tell
from . import compat
from .face_choice import FaceChoice, content_key, find
from .notes import note
from .words import PageWords

if TYPE_CHECKING:
    from ..shell import Shell

HEIGHT = 360  # px of the picture on the page
SMALL_HEIGHT = 200  # px of the found face where nothing is to be clicked
CLICK_HEIGHT = 440  # px at most where there is
CLICK_WIDTH = 620  # px that suffice for a wide picture
INTRODUCTION = "Upload or paste a picture with a face, photo or drawing, or send one here from a gallery."
UNREADABLE = PageWords("The picture cannot be examined ({error}); try another one.")


@dataclass(frozen=True)
class PortraitPanel:
    """The portrait's components. image: what pictures are sent to. inputs: what `read` takes, in order."""

    image: compat.Component
    preview: compat.Component
    message: compat.Component
    inputs: list[compat.Component]


@dataclass(frozen=True, eq=False)
class PortraitChoice:
    """The picture, and the `Options` that say which of its faces is to speak; None where none is wanted."""

    picture: Image.Image | None
    options: dict[str, Any]


class _Page:
    """One page's choice. Clicks may come faster than their answers: each continues from the one before."""

    def __init__(self, choice: FaceChoice) -> None:
        self.choice = choice
        self._turn = threading.Lock()

    def shown_after(self, step: Callable[[FaceChoice], FaceChoice]) -> list[Any]:
        with self._turn:  # drawn in turn, too, so that the last answer shows the last state
            self.choice = step(self.choice)
            return _shown(self, self.choice.sentence())


def build(shell: Shell) -> PortraitPanel:
    """The portrait's components and what they do, inside the Blocks that are being built."""
    # Of gradio 3's tools the one that shows the picture as it is; the other opens a cropping frame over it.
    tool = {} if compat.GRADIO4 else {"tool": "editor"}
    image = compat.image(label="Portrait", elem_id="sadtalker_image", height=HEIGHT, **tool)
    message = compat.component(gr.HTML, note(INTRODUCTION), elem_id="sadtalker_face_message")
    with gr.Column(visible=False, elem_id="sadtalker_face_box") as box:
        preview = compat.image(
            label="Face that is to speak",
            elem_id="sadtalker_face_preview",
            interactive=False,
            height=CLICK_HEIGHT,
            show_label=False,  # it would cover what is to be clicked
            show_download_button=False,
            show_share_button=False,
        )
        number = compat.component(
            gr.Radio,
            choices=["1"],
            value="1",
            visible=False,
            label="Number of the face",
            elem_id="sadtalker_face_number",
        )
        with gr.Row():
            buttons = [
                compat.button(text, elem_id=f"sadtalker_points_{name}", size="sm", visible=False)
                for name, (text, _) in BUTTONS.items()
            ]
    page = gr.State(None)
    shown = [page, box, preview, message, number, *buttons]

    # Beside the host's queue: looking for faces takes about a second and no GPU.
    announced = compat.listen(image.change, _announced, [], [message, box], queue=False)
    compat.listen(announced.then, examine, [image], shown, queue=False)
    # Gradio 4 would drop clicks that come faster than their answers.
    every: dict[str, Any] = {"trigger_mode": "multiple"} if compat.GRADIO4 else {}
    compat.listen(preview.select, click_at, [page], shown, queue=False, **every)
    compat.listen(number.input, choose_face, [page, number], shown, queue=False, **every)
    for button, (_, listener) in zip(buttons, BUTTONS.values(), strict=True):
        compat.click(button, listener, [page], shown, queue=False)
    return PortraitPanel(image, preview, message, [image, page, number])


def read(values: Sequence[Any]) -> PortraitChoice:
    """The values of `PortraitPanel.inputs` as a picture and options; looks for faces if that is not done yet.

    Raises a `SadTalkerError` that says what is missing: the picture, a face in it, or points of the face.
    """
    picture, page, number = values
    if picture is None:
        told = "No portrait was given; upload or paste a picture, or send one here from a gallery."
        raise PictureError(told)
    if isinstance(page, _Page) and page.choice.found.key == content_key(picture):
        choice = page.choice.numbered(number)
    else:  # Generate was faster than the search, or the picture has changed
        choice = FaceChoice.first(find(picture))
    return PortraitChoice(picture, choice.options())


def _shown(page: _Page | None, message: str, kind: str = "note") -> list[Any]:
    """Values of all that shows the page's choice."""
    choice = None if page is None else page.choice
    points = choice is not None and choice.by_hand
    count = 0 if choice is None else len(choice.found.faces)
    clicked = points and choice is not None and bool(choice.points)
    closer = choice is not None and (choice.aiming or choice.window is not None)
    numbers = [str(number) for number in range(1, count + 1)] or ["1"]
    chosen = "1" if choice is None else str(choice.number)
    return [
        page,
        compat.update(visible=choice is not None),
        compat.update(value=None if choice is None else choice.drawn(), height=_height(choice)),
        note(message[:1].upper() + message[1:], kind),
        compat.update(choices=numbers, value=chosen, visible=count > 1 and not points),
        compat.update(visible=count > 0 and not points),
        compat.update(visible=points, value="Zoom out" if closer else "Zoom in"),
        compat.update(visible=clicked),
        compat.update(visible=clicked),
        compat.update(visible=points and count > 0),
    ]


def _height(choice: FaceChoice | None) -> int:
    if choice is None or not choice.clickable:
        return SMALL_HEIGHT
    return min(CLICK_HEIGHT, max(SMALL_HEIGHT, round(CLICK_WIDTH * choice.aspect)))


def _announced() -> list[Any]:
    # Clicks on the former picture's faces would come to nothing: they go until the new ones are known.
    return [note("Looking for faces …"), compat.update(visible=False)]


def examine(picture: Image.Image | None) -> list[Any]:
    if picture is None:
        return _shown(None, INTRODUCTION)
    try:
        return _Page(FaceChoice.first(find(picture))).shown_after(lambda choice: choice)
    except Exception as error:  # a listener that raises shows a bare "Error" and hides what was wrong
        return _shown(None, tell(error, UNREADABLE).sentence, "error")


def click_at(page: _Page | None, event: gr.SelectData) -> list[Any]:
    return _after(page, lambda chosen: chosen.clicked(*compat.select_point(event)))


def choose_face(page: _Page | None, number: str | None) -> list[Any]:
    return _after(page, lambda chosen: chosen.numbered(number))


def _after(page: _Page | None, step: Callable[[FaceChoice], FaceChoice]) -> list[Any]:
    # None: the page outlived the server that knew its picture.
    return _shown(None, INTRODUCTION) if page is None else page.shown_after(step)


def _listener(step: Callable[[FaceChoice], FaceChoice]) -> Callable[[_Page | None], list[Any]]:
    return lambda page: _after(page, step)


point_by_hand, zoom_in = _listener(FaceChoice.pointed), _listener(FaceChoice.zoomed)
undo_point = _listener(FaceChoice.undone)
leave_points = _listener(lambda chosen: FaceChoice(chosen.found, chosen.number))

# The buttons below the face, in order: their text, and what they do.
BUTTONS: dict[str, tuple[str, Callable[[_Page | None], list[Any]]]] = {
    "by_hand": ("Point it out by hand", point_by_hand),
    "zoom": ("Zoom in", zoom_in),
    "undo": ("Undo point", undo_point),
    "restart": ("Start over", point_by_hand),
    "back": ("Back to the found face", leave_points),
}
