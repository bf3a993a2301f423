"""Pictures that the host has just generated into talking videos beside them, inside the host's queue."""

from __future__ import annotations

import base64
import binascii
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AudioError, Cancelled, FaceNotFoundError, OutputError, PictureError, tell, worded
from ..host import CancelToken, ProgressCallback, Run
from ..page import compat
from ..pipeline import perform, speech_file
from ..request import Request, Result
from ..shell import placed
from ..system import leftovers
from .arguments import COMMENT, HOOK, options_of
from .webui_shell import HostProgress, HostToken, WebUIShell, host_module, interrupted, option, the_shell

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

MAX_SPEECH_BYTES = 64 * 2**20  # of a recording in a request
MAX_PATH_CHARACTERS = 4096  # of a text that may be a path and not a recording
VIDEO_COMMENT = "SadTalker video: "  # then a path, up to the end of the line: our JavaScript makes it a link
NO_FACE = "no face was found in it; send it to the SadTalker tab to give five points of its face."
INFO_KEY = "SadTalker videos"
PROGRESS_FIELDS = ("job_no", "job_count", "sampling_step", "sampling_steps", "textinfo", "time_start")


@contextmanager
def _progress_lent() -> Iterator[None]:
    """Our videos have the host's progress bar for themselves; then it is as it was."""
    state = host_module("shared").state
    before = {name: getattr(state, name) for name in PROGRESS_FIELDS if hasattr(state, name)}
    state.time_start = time.time()
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(state, name, value)


@_progress_lent()
def animate_batch(
    arguments: Mapping[str, Any], p: Any, processed: Any, comment: Callable[[str], None]
) -> None:
    """Make the videos; `comment` gets a line about each picture.

    Raises a `SadTalkerError` for what concerns all pictures: the speech, an option, an interruption.
    """
    shell, pictures = the_shell(), generated_pictures(p, processed)
    if not pictures:
        return
    if interrupted():
        raise Cancelled("interrupted; no videos were made.")
    state = host_module("shared").state
    state.skipped = False  # a Skip that came too late for the last picture
    videos: list[str] = []
    said: set[str] = set()  # most notices hold for all pictures of a batch
    token = HostToken()
    try:
        with (
            leftovers.folder() as folder,
            shell.prepared(token),
            ExitStack() as spoken,
        ):
            HostProgress(0, len(pictures), COMMENT)
            run = Run(shell.host, token.check)
            order = spoken.enter_context(speech_file(_request(arguments, folder), run))
            for number, picture in enumerate(pictures, start=1):
                request = replace(order, picture=picture)
                progress = HostProgress(number - 1, len(pictures), f"SadTalker {number}/{len(pictures)}: ")
                try:
                    result = _animate(shell, request, progress, HostToken(token))
                except FaceNotFoundError:
                    comment(f"{COMMENT}picture {number} was skipped: {NO_FACE}")
                except PictureError as error:
                    comment(f"{COMMENT}picture {number} was skipped: {tell(error, HOOK).sentence}")
                except Cancelled:
                    if not state.skipped or interrupted():
                        raise
                    state.skipped = False
                    comment(f"{COMMENT}picture {number} was skipped.")
                else:
                    videos.append(str(result.path))
                    _let_browsers_load(result.path)
                    comment(f"{VIDEO_COMMENT}{result.path}")
                    for notice in result.notices:
                        if notice not in said:
                            said.add(notice)
                            comment(f"{COMMENT}{worded(notice, HOOK)}")
    except Cancelled:
        raise Cancelled(f"interrupted after {len(videos)} of {len(pictures)} videos.") from None
    finally:
        if videos:  # a new dictionary: the host's own goes into the infotext of further pictures
            known = getattr(processed, "extra_generation_params", None) or {}
            processed.extra_generation_params = {**known, INFO_KEY: videos}


def _animate(shell: WebUIShell, request: Request, progress: HostProgress, token: HostToken) -> Result:
    """The video beside the picture; in the folder for results if the picture is not saved, or that fails."""

    def made(order: Request) -> Result:
        def work(report: ProgressCallback, cancel: CancelToken) -> Result:
            return perform(order, progress=report, cancel=cancel, host=shell.host)

        return shell.call(work, progress, token)

    output = _beside(request.picture)
    if output is not None:
        try:
            return made(replace(request, output=output))
        except OutputError:
            log.warning("No video could be written beside %s", output, exc_info=True)
    return made(placed(shell, request))


def _beside(picture: Any) -> Path | None:
    saved = getattr(picture, "already_saved_as", None)
    if not saved:
        return None
    base = os.path.splitext(os.path.abspath(saved))[0]
    path, number = Path(f"{base}.mp4"), 1
    while path.exists():
        path, number = Path(f"{base}-{number}.mp4"), number + 1
    return path


def generated_pictures(p: Any, processed: Any) -> list[Image.Image]:
    """What was generated, without the grid, masks, and what other scripts appended (control maps …)."""
    first = getattr(processed, "index_of_first_image", 0) or 0
    images = list(processed.images)[first:]
    count = len(images)
    infotexts = getattr(processed, "infotexts", None)
    if infotexts:  # one per picture, and one for the grid
        count = min(count, len(infotexts) - first)
    if isinstance(getattr(p, "n_iter", None), int) and isinstance(getattr(p, "batch_size", None), int):
        count = min(count, p.n_iter * p.batch_size)
    stride = 1
    if getattr(p, "mask_for_overlay", None) is not None:  # inpainting: each picture may be followed by these
        stride += bool(option("return_mask", False)) + bool(option("return_mask_composite", False))
    return images[: max(0, count) * stride : stride]


def _request(arguments: Mapping[str, Any], folder: Path) -> Request:
    """What is asked for each picture: a recording, or else a text, or else to be quiet."""
    speech = recording_of(arguments["speech"], folder)
    text = None if speech is not None else str(arguments["text"] or "").strip() or None
    options = options_of(arguments, is_spoken=speech is not None or text is not None)
    voice = (arguments["voice"] or None) if text is not None else None
    return Request(speech=speech, text=text, voice=voice, options=options)


def recording_of(value: Any, folder: Path) -> Path | None:
    """A file that gradio has uploaded, or bytes in base64 as a file in `folder`.

    Raises `AudioError` for any other path: who may use the API may not read the server's files.
    """
    if isinstance(value, dict) and isinstance(value.get("data"), str):
        value = value["data"]
    if value is None or value in ("", [], {}):
        return None
    uploaded = _uploaded(value)
    if uploaded is not None:
        return uploaded
    data = _decoded(value) if isinstance(value, str) else None
    if data is None:
        advice = 'send "data:audio/wav;base64,…" instead of a path.'
        raise AudioError(f"The speech is neither an uploaded file nor a recording in base64; {advice}")
    target = folder / "speech"
    target.write_bytes(data)
    return target


def _uploaded(value: Any) -> Path | None:
    """The file, if it lies where gradio keeps what was uploaded."""
    if isinstance(value, str) and len(value) > MAX_PATH_CHARACTERS:
        return None
    path = compat.file_path(value)
    with suppress(OSError, ValueError):  # a name that no file can have
        path = path and path.resolve()
        if path and path.is_file() and any(path.is_relative_to(root) for root in _upload_folders()):
            return path
    return None


def _decoded(text: str) -> bytes | None:
    """The bytes of a data URI or of plain base64; None for what is neither, such as a path."""
    is_uri = text.startswith("data:")
    if is_uri:
        text = text.partition(",")[2]
    if len(text) * 3 // 4 > MAX_SPEECH_BYTES:
        most = MAX_SPEECH_BYTES // 2**20
        raise AudioError(f"The recording is larger than {most} MiB; send a compressed one.")
    try:
        return base64.b64decode("".join(text.split()), validate=True) or None
    except (binascii.Error, ValueError):
        if is_uri:
            raise AudioError("The recording is not valid base64; encode the whole file.") from None
        return None


def _upload_folders() -> list[Path]:
    """Where gradio keeps what was uploaded."""
    named = [os.environ.get("GRADIO_TEMP_DIR"), os.path.join(tempfile.gettempdir(), "gradio")]
    return [Path(folder).resolve() for folder in named if folder]


def _let_browsers_load(path: Path) -> None:
    """Allow the link to the video, wherever the host's folders for pictures are."""
    demo = getattr(host_module("shared"), "demo", None)
    if demo is not None:  # without a page there is no link
        _tempdir().register_tmp_file(demo, str(path))


def _tempdir() -> Any:
    try:
        from modules import ui_tempdir
    except ImportError:  # its name in SD.Next
        from modules import gr_tempdir as ui_tempdir
    return ui_tempdir
