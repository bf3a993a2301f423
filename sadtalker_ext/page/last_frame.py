"""A finished video into its last frame."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import VideoError
from ..system.ffmpeg import complaint

if TYPE_CHECKING:
    from PIL import Image

# Ways of imageio's to read a video: from two seconds before the end of its file, where there may be sound
# alone, or all of it; and a gif, whose transparency ffmpeg would drop.
TAIL: dict[str, Any] = {"plugin": "FFMPEG", "input_params": ["-sseof", "-2"]}
WHOLE: dict[str, Any] = {"plugin": "FFMPEG"}
GIF: dict[str, Any] = {"plugin": "pillow", "mode": "RGBA"}


def last_frame(path: Path) -> Image.Image:
    """The last frame of a video, without decoding all of it where the container allows that.

    Raises `VideoError` when there is none.
    """
    from PIL import Image

    messages = ""
    for way in (GIF,) if path.suffix.lower() == ".gif" else (TAIL, WHOLE):
        try:
            import imageio.v3 as iio

            for frame in deque(iio.imiter(path, **way), maxlen=1):
                return Image.fromarray(frame)
        except (ImportError, OSError, RuntimeError) as error:  # noqa: PERF203
            messages = str(error)
    raise VideoError(f"{path.name} has no last frame ({complaint(messages)}).")
