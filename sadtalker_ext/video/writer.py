"""Frames, one at a time, into a finished video file or folder of pictures that appears only when whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from ..audio import Speech, soundtrack
from ..errors import OutputError
from ..host import Check, nothing
from ..system import interrupts, leftovers
from ..system.outputs import move_file
from . import encoders
from . import target as targets
from .encoders import GIF_MAX_FPS, Encoding
from .folder import FolderSink
from .gif import append_comment
from .metadata import to_json, write_ffmetadata
from .process_sink import ProcessSink, convert

CRF_RANGE = (0, 51)
TEMPORARY = (
    "Cannot write a temporary file ({error}); free some space, or name another folder in the variable TMPDIR."
)
WHITE = 255  # background where the format cannot hold alpha


class Sink(Protocol):
    """Where frames go: `write` each, then `finish`; or `abort`. The first two raise `OutputError`."""

    def write(self, frame: np.ndarray) -> None: ...
    def finish(self, check: Check) -> None: ...
    def abort(self) -> None: ...


class VideoWriter:
    """Writes frames to `path`; a context manager.

    The result is made under a temporary name beside `path` and renamed when the block ends; when it ends
    by an exception, or fewer frames came than announced, nothing is left.

    width, height: of every frame, in pixels. fps: 1 to 60, decimals of NTSC rates are taken exactly.
    frames: how many will come, if known. soundtrack: whose original sound goes in (mp4 and webm).
    metadata: one JSON document for `read_metadata`. crf: 0 (lossless) to 51 on x264's scale. preset: x264's.
    alpha: frames are RGBA; mp4 has no alpha and gets them on white. format: overrides the path's ending.
    check: called while the end of the encode is awaited (a gif is drawn only then); what it raises cancels.
    Raises `OutputError`. `notices` says in sentences what the format could not keep.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        width: int,
        height: int,
        fps: float,
        frames: int | None = None,
        soundtrack: Speech | None = None,
        metadata: Mapping[str, object] | None = None,
        crf: int = 18,
        preset: str = "veryfast",
        overwrite: bool = False,
        alpha: bool = False,
        format: str | None = None,
        check: Check = nothing,
    ) -> None:
        if width < 1 or height < 1:
            raise OutputError(f"A video needs at least one pixel; got {width}×{height}.")
        if not targets.MIN_FPS <= fps <= targets.MAX_FPS:
            raise OutputError(
                f"A video has {targets.MIN_FPS} to {targets.MAX_FPS} frames per second, not {fps:g}."
            )
        if not CRF_RANGE[0] <= crf <= CRF_RANGE[1]:
            raise OutputError(f"The quality (crf) must be {CRF_RANGE[0]} to {CRF_RANGE[1]}, not {crf}.")
        self._kind = format or targets.output_format(path)
        self.path = targets.check_output(path, overwrite, format=self._kind)
        self.frames_written = 0
        self._announced = frames
        self._shape = (height, width, 4 if alpha else 3)
        self._overwrite = overwrite
        self._metadata = dict(metadata or {})
        self._speech = soundtrack
        self._check = check
        self._flatten = alpha and self._kind == "mp4"
        even = 2 if self._kind == "mp4" else 1  # 4:2:0 of H.264 has no odd sizes
        self._encoding = Encoding(
            width=width + width % even,
            height=height + height % even,
            rate=targets.exact_rate(fps),
            alpha=alpha and not self._flatten,
            crf=crf,
            preset=preset,
        )
        self.notices = tuple(self._losses(width, height))
        self._padded: np.ndarray | None = None
        self._temporary: Path | None = None
        self._scratch: Path | None = None
        self._sink: Sink | None = None

    def __enter__(self) -> VideoWriter:
        self._temporary = leftovers.beside(self.path)
        try:
            self._scratch = leftovers.new_folder()
            with interrupts.held():  # else an encoder could start that nobody knows of
                self._sink = self._open_sink(self._temporary, self._scratch)
        except OSError as error:
            self._discard()
            raise OutputError(TEMPORARY, error) from error
        except BaseException:
            self._discard()
            raise
        return self

    def write(self, frame: np.ndarray) -> None:
        """Adds one frame: uint8 (height, width, 3), or (height, width, 4) when `alpha` was asked for."""
        if self._sink is None:
            raise RuntimeError("VideoWriter.write works only inside its with block")
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8 {self._shape}; got {frame.dtype} {frame.shape}")
        self._sink.write(self._prepared(frame))
        self.frames_written += 1

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if raised is None:
                self._complete()
        except OSError as error:
            raise OutputError("{name} cannot be written ({error}).", error, name=self.path.name) from error
        finally:
            self._discard()

    def _complete(self) -> None:
        assert self._sink is not None
        assert self._temporary is not None
        if self.frames_written == 0:
            raise OutputError(f"{self.path.name} was not written: there was not a single frame.")
        if self._announced is not None and self.frames_written != self._announced:
            raise OutputError(
                f"{self.path.name} was not written: "
                f"{self.frames_written} of {self._announced} frames were made."
            )
        self._sink.finish(self._check)
        if self._kind == targets.PNG:
            targets.move_folder(self._temporary, self.path, self._overwrite)
        else:
            move_file(self._temporary, self.path, self._overwrite)

    def _discard(self) -> None:
        """Ends what still runs and removes every temporary file; a finished result has left them already."""
        if self._sink is not None:
            self._sink.abort()
        for path in (self._temporary, self._scratch):
            if path is not None:
                leftovers.remove(path)
        self._sink = self._temporary = self._scratch = None

    def _open_sink(self, temporary: Path, scratch: Path) -> Sink:
        if self._kind == targets.PNG:
            return FolderSink(temporary, self._encoding.rate, self._metadata)
        if self._kind == "gif":
            return _GifSink(temporary, scratch, self._encoding, self._metadata, self.path.name)
        document = scratch / "metadata.txt"
        write_ffmetadata(document, self._metadata)
        sound = soundtrack(self._speech, scratch, self._check) if self._speech is not None else None
        arguments = encoders.encode_arguments(self._kind, self._encoding, sound, document, temporary)
        return ProcessSink(arguments, self.path.name)

    def _losses(self, width: int, height: int) -> list[str]:
        notices = []
        if (self._encoding.width, self._encoding.height) != (width, height):
            notices.append(
                f"mp4 needs even sizes: the edge is repeated, {width}×{height} becomes "
                f"{self._encoding.width}×{self._encoding.height}."
            )
        if self._flatten:
            notices.append("mp4 has no transparency: the picture is put on white; webm keeps it.")
        if self._kind in ("gif", targets.PNG) and self._speech is not None and self._speech.has_soundtrack:
            notices.append(f"A {'gif' if self._kind == 'gif' else 'folder of pictures'} has no sound.")
        if self._kind == "gif" and self._encoding.rate > GIF_MAX_FPS:
            notices.append(f"A gif shows at most {GIF_MAX_FPS} frames per second; some are left out.")
        return notices

    def _prepared(self, frame: np.ndarray) -> np.ndarray:
        """The frame as the encoder wants it: contiguous, without alpha or of even size where it must be."""
        if self._flatten:
            alpha = frame[..., 3:].astype(np.uint16)
            mixed = frame[..., :3] * alpha + WHITE * (255 - alpha)
            frame = ((mixed + 127) // 255).astype(np.uint8)
        height, width = frame.shape[:2]
        if (height, width) == (self._encoding.height, self._encoding.width):
            return np.ascontiguousarray(frame)
        if self._padded is None:
            self._padded = np.empty((self._encoding.height, self._encoding.width, frame.shape[2]), np.uint8)
        self._padded[:height, :width] = frame
        self._padded[:height, width:] = frame[:, -1:]
        self._padded[height:] = self._padded[height - 1]
        return self._padded


class _GifSink:
    """Stores frames without loss on disk, then draws them with one palette: no flicker between palettes."""

    def __init__(
        self, path: Path, scratch: Path, encoding: Encoding, metadata: Mapping[str, object], name: str
    ) -> None:
        self._path, self._encoding, self._metadata, self._name = path, encoding, metadata, name
        self._frames = path.with_suffix(".mkv")  # beside the target: there is room for video there
        self._palette = scratch / "palette.png"
        self._stored = ProcessSink(encoders.lossless_arguments(encoding, self._frames), name)

    def write(self, frame: np.ndarray) -> None:
        self._stored.write(frame)

    def finish(self, check: Check) -> None:
        self._stored.finish(check)
        convert(encoders.palette_arguments(self._frames, self._palette), self._name, check)
        drawn = encoders.gif_arguments(self._frames, self._palette, self._encoding.rate, self._path)
        convert(drawn, self._name, check)
        append_comment(self._path, to_json(self._metadata))

    def abort(self) -> None:
        self._stored.abort()
        leftovers.remove(self._frames)
