"""A media file into facts: size, rate, exact frame count and durations, sound, tags."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from ..audio import audio_tracks, in_order, load_speech
from ..errors import AudioError, Foreign, Place, VideoError
from ..system.ffmpeg import input_arguments, refusal, run
from ..system.foreign import damage_as
from ..system.paths import existing_file, is_folder, user_path
from .folder import folder_facts
from .gif import gif_facts, is_gif
from .metadata import parse_ffmetadata, read_metadata, to_json
from .target import exact_rate

# From the beginning of a line: what follows may be a tag of the file, of any text and length.
VIDEO = re.compile(r"^ *Stream #0:\d+.*?: Video: (?P<rest>.*)", re.MULTILINE)
AUDIO = re.compile(r"^ *Stream #0:(?P<index>\d+).*?: Audio: (?P<rest>.*)", re.MULTILINE)
SIZE = re.compile(r"(?<!\w)(\d{1,5})x(\d{1,5})(?!\w)")
CHANNELS = {
    "mono": 1, "stereo": 2, "2.1": 3, "3.0": 3, "quad": 4, "4.0": 4, "5.0": 5, "5.1": 6, "6.1": 7, "7.1": 8,
}  # fmt: skip


@dataclass(frozen=True)
class MediaInfo:
    """Facts about a media file. width, height: pixels as shown (after rotation); 0 without video.

    fps: frames per second, NTSC rates exact. duration: seconds of the video (of the sound when there is no
    video). frames: exact count; None without video. audio_rate in Hz; audio_duration: exact seconds.
    metadata: the container's tags, names in lower case.
    """

    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration: float = 0.0
    frames: int | None = None
    has_video: bool = False
    has_audio: bool = False
    audio_rate: int = 0
    audio_channels: int = 0
    audio_duration: float = 0.0
    metadata: Mapping[str, str] = field(default_factory=dict)


def probe(path: str | os.PathLike[str]) -> MediaInfo:
    """Facts about a video, sound or folder of our frames; raises `VideoError` when it cannot be read.

    Counts packets and decodes the sound (a minute of sound takes a fraction of a second), so that
    durations are exact where headers only estimate.
    """
    if is_folder(path):
        return _probe_folder(user_path(path))
    found, problem = existing_file(path)
    if problem:
        raise VideoError("The video {path!r} {problem}.", Place(path), problem=problem)
    damaged = VideoError("{name} is damaged; give a whole video or sound.", name=found.name)
    with damage_as(damaged):
        return _facts(found)


def _facts(found: Path) -> MediaInfo:
    messages, tags = _header(found)
    facts: dict[str, object] = {"metadata": parse_ffmetadata(tags)}
    sound = _sound(found, messages)
    if sound is not None:
        seconds, rate, channels = sound
        facts |= {
            "has_audio": True, "audio_duration": seconds, "duration": seconds, "audio_rate": rate,
            "audio_channels": channels,
        }  # fmt: skip
    video = _video_line(messages)
    if video:
        size = SIZE.search(video)
        width, height = (int(size[1]), int(size[2])) if size else (0, 0)
        if _turned(messages):
            width, height = height, width
        drawn = gif_facts(found) if is_gif(found) else None
        if drawn is not None and drawn.comment:
            facts["metadata"] = {"comment": drawn.comment}
        frames = _packets(found) if drawn is None else drawn.frames
        fps = _rate(found, messages) or _mean_rate(frames, _stated_seconds(messages))
        facts |= {
            "has_video": True, "width": width, "height": height, "fps": float(fps), "frames": frames,
            "duration": frames / float(fps) if fps else _stated_seconds(messages),
        }  # fmt: skip
    return MediaInfo(**facts)  # type: ignore[arg-type]  # gathered piecemeal; the names are its fields


def _sound(path: Path, messages: str) -> tuple[float, int, int] | None:
    """Exact seconds, rate in Hz and channels of the sound that is heard of a file; None without one."""
    listed = {int(found["index"]): found["rest"] for found in AUDIO.finditer(messages)}
    streams = [listed[index] for index in sorted(listed)]  # as ffmpeg numbers them; programs share some
    if not streams:
        return None
    number = 1
    if len(streams) > 1:  # which of them is heard is known when it is listened to
        try:
            speech = load_speech(path)
            return speech.duration, speech.original_rate, speech.channels
        except AudioError:
            number = in_order(audio_tracks(path))[0]
    told = streams[number - 1]
    return _decoded_seconds(path, number), _number(r"(\d+) Hz", told), _channels(told)


def video_rate(path: Path) -> Fraction:
    """Frames per second of a file's video, exact for NTSC rates; 0 when it has none. Reads headers only."""
    with damage_as(VideoError("{name} is damaged; give a whole video.", name=path.name)):
        messages, _ = _header(path)
        return _rate(path, messages) if _video_line(messages) else Fraction(0)


def _header(path: Path) -> tuple[str, str]:
    """What ffmpeg says about a file without reading on, and its tags in ffmpeg's format."""
    _, tags, messages = run([*input_arguments(path), "-f", "ffmetadata", "pipe:1"])
    if "Input #0" not in messages:
        raise VideoError(
            "{name} is not a video or sound that ffmpeg can read ({reason}); give an mp4, webm, mov or gif "
            "file.",
            Foreign(refusal(messages)),
            name=path.name,
        )
    return messages.split("Output #0")[0], tags


def _video_line(messages: str) -> str:
    """The description of the first moving picture; "" without one (cover art does not move)."""
    return next((m["rest"] for m in VIDEO.finditer(messages) if "(attached pic)" not in m["rest"]), "")


def _probe_folder(folder: Path) -> MediaInfo:
    facts = folder_facts(folder)
    rate = Fraction(*facts["fps"])
    frames = int(facts["frames"])
    return MediaInfo(
        width=facts["width"], height=facts["height"], fps=float(rate), duration=float(frames / rate),
        frames=frames, has_video=True, metadata={"comment": to_json(read_metadata(folder))},
    )  # fmt: skip


def _stated_seconds(messages: str) -> float:
    found = re.search(r"(?m)^ *Duration: (\d+):(\d+):([\d.]+)", messages)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0


def _turned(messages: str) -> bool:
    """Whether the video is stored lying on its side (a phone held upright)."""
    found = re.search(r"(?mi)^ *display ?matrix: rotation of (-?[\d.]+) degrees", messages)
    return found is not None and round(abs(float(found[1]))) % 180 == 90


def _mean_rate(frames: int, seconds: float) -> Fraction:
    return Fraction(frames / seconds).limit_denominator(1001) if frames and seconds else Fraction(0)


def _rate(path: Path, messages: str) -> Fraction:
    """The rate that ffmpeg prints with two decimals, made exact; 0 when it prints none that can be true."""
    if is_gif(path):  # a gif has delays; what ffmpeg prints is a guess
        drawn = gif_facts(path)
        return _mean_rate(drawn.frames, drawn.seconds)
    for unit in ("fps", "tbr"):
        found = re.search(rf"(?<![\d.])([\d.]+) {unit}", _video_line(messages))
        if found and float(found[1]) > 0:
            return exact_rate(float(found[1]))
    return Fraction(0)


def _channels(audio: str) -> int:
    """The channel count of `44100 Hz, 5.1(side), fltp` or `48000 Hz, 12 channels, s16`."""
    found = re.search(r"Hz, (?:(\d+) channels|([\w.]+))", audio)
    if found is None:
        return 0
    return int(found[1]) if found[1] else CHANNELS.get(found[2], 0)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def _progress(path: Path, arguments: list[str], key: str) -> str:
    """The last value of one line of ffmpeg's progress report while it reads a file into nothing."""
    quiet = ["-loglevel", "error", "-nostats", "-progress", "pipe:1"]
    _, output, _ = run([*quiet, *input_arguments(path), *arguments, "-f", "null", "-"])
    values = re.findall(rf"^{key}=\s*(\S+)", output, re.MULTILINE)
    return values[-1] if values else ""


def _packets(path: Path) -> int:
    """Frames of the first video stream, counted without decoding them."""
    count = _progress(path, ["-map", "0:v:0", "-c", "copy"], "frame")
    return int(count) if count.isdigit() else 0


def _decoded_seconds(path: Path, track: int) -> float:
    """Seconds of an audio track, from its first sample to its last. track: from 1."""
    time = _progress(path, ["-map", f"0:a:{track - 1}", "-af", "asetpts=N/SR/TB"], "out_time")
    found = re.fullmatch(r"(\d+):(\d+):([\d.]+)", time)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0
