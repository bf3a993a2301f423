"""A finished video into its last frame."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VideoError
from ..system.ffmpeg import complaint, file_url, input_arguments, run

if TYPE_CHECKING:
    from PIL import Image

TAIL_SECONDS = 2  # decoded from the end of the video


def last_frame(path: Path) -> Image.Image:
    """The last frame of a video, without decoding all of it where the container allows that.

    Raises `VideoError` when there is none.
    """
    from PIL import Image

    with tempfile.TemporaryDirectory(prefix="sadtalker-", ignore_cleanup_errors=True) as folder:
        target = Path(folder) / "last.png"
        messages = ""
        near_the_end = [] if path.suffix.lower() == ".gif" else [["-sseof", f"-{TAIL_SECONDS}"]]
        for seek in (*near_the_end, []):  # in a gif, ffmpeg would end up at its beginning
            output = ["-map", "0:v:0", "-an", "-update", "1", "-y", file_url(target)]
            _, _, messages = run([*seek, *input_arguments(path), *output])
            if target.is_file() and target.stat().st_size:
                with Image.open(target) as picture:
                    return picture.copy()
    raise VideoError(f"{path.name} has no last frame ({complaint(messages)}).")
