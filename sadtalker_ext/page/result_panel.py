"""A finished video onto the page: player, download, motion track, last frame, and the line that tells how."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..errors import SadTalkerError, Sentence
from ..options.infotext import to_infotext
from ..shell import Shell
from ..system import leftovers
from . import compat
from .last_frame import last_frame
from .notes import explain, note

if TYPE_CHECKING:
    from PIL import Image

    from ..request import Result
    from ..tracks import MotionTrack

VIDEO_HEIGHT = 480  # px on the page
TRACK_BYTES = 256 * 2**20  # of a motion that is offered as a file
CSV_FRAMES = 30_000  # 20 minutes; a longer motion is given as .npz alone, which is written at once
TRACK_TYPES = (".npz", ".csv")
PLAYABLE = (".mp4", ".webm")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Finished:
    """A video as one user's page remembers it: where it is, its motion, how it was made, its end."""

    path: Path
    track: MotionTrack
    line: str
    seed: int
    last_frame: Image.Image | None


@dataclass(frozen=True)
class ResultPanel:
    """The components of a result. `shown` are set, in this order, by `show`."""

    finished: Any
    video: Any
    animation: Any
    actions: Any
    download: Any
    track: Any
    last_frame: Any
    last_frame_image: Any
    open_folder: Any
    metadata: Any
    rerender: Any
    other_track: Any

    @property
    def shown(self) -> list[Any]:
        videos = [self.finished, self.video, self.animation, self.actions]
        return [*videos, self.download, self.track, self.last_frame_image, self.metadata]


def build(shell: Shell) -> ResultPanel:
    """Build the panel inside the current Blocks."""
    finished = gr.State(None)
    video = compat.video(
        label="Video", elem_id="sadtalker_video", height=VIDEO_HEIGHT, elem_classes=["sadtalker-video"]
    )
    animation = compat.image(
        label="Animation",
        elem_id="sadtalker_animation",
        interactive=False,
        visible=False,
        height=VIDEO_HEIGHT,
        elem_classes=["sadtalker-video"],
    )
    with compat.component(
        gr.Column, visible=False, elem_id="sadtalker_actions", elem_classes=["sadtalker-actions"]
    ) as actions:
        with gr.Row():
            download = compat.file(
                label="Download",
                elem_id="sadtalker_download",
                interactive=False,
                elem_classes=["sadtalker-small-file"],
            )
        with gr.Row():
            open_folder = compat.button(
                "Open folder", elem_id="sadtalker_open_folder", size="sm", visible=shell.can_open_folders
            )
            last_frame = compat.button(
                "Use last frame in img2img" if shell.has_img2img else "Last frame as picture",
                elem_id="sadtalker_last_frame",
                size="sm",
            )
        last_frame_image = compat.image(
            label="Last frame", elem_id="sadtalker_last_frame_image", interactive=False, visible=False
        )
        metadata = compat.component(
            gr.Textbox,
            label="How it was made",
            elem_id="sadtalker_metadata",
            interactive=False,
            lines=2,
            max_lines=6,
            show_copy_button=True,
            elem_classes=["sadtalker-metadata"],
        )
    with (
        compat.component(gr.Accordion, "Motion track", open=False, elem_id="sadtalker_motion"),
        gr.Row(elem_classes=["sadtalker-knobs"]),
    ):
        track = compat.file(
            label="Motion of this video",
            elem_id="sadtalker_track",
            file_count="multiple",
            interactive=False,
            visible=False,
            elem_classes=["sadtalker-small-file"],
        )
        with gr.Column(min_width=160):
            other_track = compat.file(
                label="Another motion (.npz, .csv)",
                elem_id="sadtalker_other_track",
                file_types=TRACK_TYPES,
                elem_classes=["sadtalker-small-file"],
            )
            rerender = compat.button("Re-render this motion", elem_id="sadtalker_rerender", size="sm")
    last = (last_frame, last_frame_image)
    made = (finished, video, animation, actions, download, track, *last)
    return ResultPanel(*made, open_folder, metadata, rerender, other_track)


def connect(shell: Shell, panel: ResultPanel, message: Any) -> None:
    """What the buttons under a video do, where that needs no new run; sentences go to `message`."""

    def open_folder(finished: Finished | None) -> str:
        if finished is None:
            return note("There is no video yet.")
        try:
            shell.open_folder(finished.path)
        except Exception as error:  # a listener that raises shows a bare "Error"
            return explain(error)
        return ""

    def show_last_frame(finished: Finished | None) -> list[Any]:
        if finished is None or finished.last_frame is None:
            return [compat.update(), note("There is no last frame yet; make a video first.")]
        return [compat.update(value=finished.last_frame, visible=True), ""]

    compat.click(panel.open_folder, open_folder, [panel.finished], [message], queue=False)
    if not shell.has_img2img:
        outputs = [panel.last_frame_image, message]
        compat.click(panel.last_frame, show_last_frame, [panel.finished], outputs, queue=False)


def finish(result: Result, frame: Any = None) -> Finished:
    """What the page keeps of a result. frame: the last one, uint8 (H, W, 3|4), if it is at hand."""
    line = to_infotext(result.metadata)
    return Finished(result.path, result.track, line, result.options.seed, _picture(result, frame))


def show(shell: Shell, panel: ResultPanel, finished: Finished) -> tuple[list[Any], list[str]]:
    """Values for `panel.shown`, and sentences on what could not be shown."""
    notices: list[str] = []
    files: list[str] = []
    try:
        with leftovers.folder() as folder:
            files = [compat.served(panel.track, path) for path in track_files(finished, folder)]
    except (SadTalkerError, OSError) as error:
        notices.append(Sentence("The motion could not be saved as a file ({error}).", error))
    path, playable = str(finished.path), finished.path.suffix.lower() in PLAYABLE
    values = [
        finished,
        compat.update(value=path if playable else None, visible=playable),
        compat.update(value=None if playable else path, visible=not playable),
        compat.update(visible=True),
        path,
        compat.update(value=files or None, visible=bool(files)),
        finished.last_frame if shell.has_img2img else compat.update(value=None, visible=False),
        finished.line,
    ]
    return values, notices


def unchanged(panel: ResultPanel) -> list[Any]:
    """Values for `ResultPanel.shown` that leave everything as it is."""
    return [compat.update() for _ in panel.shown[1:]]


def track_files(finished: Finished, folder: Path) -> list[Path]:
    """The motion as .npz and, where that is possible, as .csv, named after the video, in `folder`; none of a
    very long one of a mesh.

    Raises `OutputError` where they cannot be written.
    """
    from ..tracks import ARKIT
    from ..tracks.files import save_track

    if finished.track.data.nbytes > TRACK_BYTES:
        return []
    short = finished.track.space == ARKIT and len(finished.track) <= CSV_FRAMES
    suffixes = TRACK_TYPES if short else TRACK_TYPES[:1]
    return [save_track(finished.track, folder / f"{finished.path.stem}{suffix}") for suffix in suffixes]


def _picture(result: Result, frame: Any) -> Image.Image | None:
    from PIL import Image

    if frame is not None:
        return Image.fromarray(frame)
    try:
        return last_frame(result.path)
    except SadTalkerError as error:
        _log.warning("No last frame of %s: %s", result.path.name, error)
        return None
