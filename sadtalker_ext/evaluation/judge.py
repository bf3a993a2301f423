"""Turns a finished talking-head video, ours or another tool's, into a `Report`, by tracking it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from ..audio import load_speech
from ..errors import VideoError, cleaned
from ..face import FaceTracker, find_in, load_picture
from ..host import Check, nothing
from ..motion.phones import SAMPLE_RATE, Phone, available
from ..motion.recognition import recognise
from ..tracks import MotionTrack, lips
from ..tracks.trace import decode_opening
from ..video import MediaInfo, probe, read_frames, read_metadata
from .background import Watcher
from .blinks import blinks
from .head import beat_alignment, head_motion
from .lip_sync import agreement, closed_below, closures_per_second, in_silence
from .lips_at_phones import ENGLISH_FROM, Articulation, agreeing, articulation
from .observe import Observation, Tracker, observe
from .report import Lips, Report, Timing
from .seam import SeamWatcher
from .sound import Sound, listen

PHONES_LIMIT_S = 180.0  # of speech in which phones are looked for: recognition takes a while
OPAQUE = 255  # alpha of a pixel that can be compared: what a video shows behind others is its format's choice
FACE_ROOM = 0.7  # of the face's box, on every side of it, in which a face whose place is known is looked for
MOST_PIXELS = 1e6  # from the corner of a picture
MAKER_CHARACTERS = 100
REST_ACTIVITY = 0.05  # below this the picture's own mouth is seen


def evaluate(
    video: str | PathLike[str],
    *,
    track: MotionTrack | None = None,
    picture: str | PathLike[str] | None = None,
    phones: bool | Sequence[Phone] = True,
    check: Check = nothing,
) -> Report:
    """Measure how well the lips of a video follow its speech, how eyes and head move, what stays still.

    video: any video file, or a folder of PNG frames written by this package. track: the motion that was
    commanded; None takes the lip opening that this package stores in a video's metadata. picture: what the
    video was made from, compared with what is outside the face (None: the first frame). phones: whether
    to recognise the phones of the speech (English, needs pocketsphinx), or the phones when they are known.
    Frames are read once and not kept. Raises `VideoError` when the file cannot be read or shows no face.
    """
    path = Path(video)
    info = probe(path)
    if not info.has_video or not info.fps:
        raise VideoError(f"{path.name} holds no video; give a video file with a face in it.")
    metadata = read_metadata(path)
    notices: list[str] = []
    source = None if picture is None else load_picture(Path(picture))
    if source is not None and source.animation is not None:  # the video is of the frame with the face
        source, _ = find_in(source)
    watcher = Watcher(
        None if source is None else source.image,
        None if source is None or source.alpha is None else source.alpha == OPAQUE,
        lossless=path.is_dir(),
    )
    near, region = _surroundings(metadata, info), _box(metadata.get("region"))
    seam = None if source is None or region is None else SeamWatcher(source.image, region)
    seen = _observe(path, float(info.fps), near, (watcher, seam), check)
    if not seen.found.any():
        raise VideoError(f"No face was found in any frame of {path.name}, so there is nothing to measure.")
    samples, sound, timing = _sound(path, info, len(seen), check)
    if sound is None:
        notices.append("The video has no sound; what compares lips with speech is left out.")
    commanded = _commanded(track, metadata, seen, notices)
    found = _phones(phones, samples, check, notices)
    if watcher.notice:
        notices.append(watcher.notice)
    background = watcher.result(region, seen.box)
    if background is None:
        notices.append("The face's region covers nearly all of the video; nothing outside it was compared.")
    own_gap = None if source is None else _own_gap(source.image[near], seen)
    return Report(
        video=path.name,
        width=info.width,
        height=info.height,
        fps=float(info.fps),
        frames=len(seen),
        seen=float(seen.found.mean()),
        maker=_maker(metadata),
        timing=timing,
        lips=_lips(seen, commanded, sound, found, own_gap),
        blinks=blinks(seen.eyes, seen.fps),
        head=head_motion(seen.pose, seen.fps),
        beats=None if sound is None else beat_alignment(seen.speed, seen.fps, sound),
        background=background,
        seam=None if seam is None else seam.result(),
        notices=tuple(notices),
    )


def _own_gap(picture: np.ndarray, seen: Observation) -> float | None:
    """The picture's own lip opening in face widths, None when its face is not found."""
    shown = observe([picture], seen.fps, _tracker())
    return float(shown.gap[0]) if shown.found[0] else None


def _tracker() -> Tracker:
    return FaceTracker().track


def _box(value: object) -> tuple[float, ...] | None:
    """Four numbers of a metadata document, or None when it holds something else."""
    if not isinstance(value, (list, tuple)) or len(value) != 4:
        return None
    numbers = tuple(float(edge) for edge in value if isinstance(edge, (int, float)))
    return numbers if len(numbers) == 4 and np.abs(numbers).max() < MOST_PIXELS else None


def _surroundings(metadata: Mapping[str, object], info: MediaInfo) -> tuple[slice, slice]:
    """The part of the frames in which to look for the face that talks: all, unless its place is known."""
    box = _box(metadata.get("face"))
    if box is None or not (box[0] < box[2] <= 2 * info.width and box[1] < box[3] <= 2 * info.height):
        return slice(None), slice(None)
    if not (
        box[0] < info.width and box[1] < info.height and box[2] > 0 and box[3] > 0
    ):  # outside the picture
        return slice(None), slice(None)
    across, down = FACE_ROOM * (box[2] - box[0]), FACE_ROOM * (box[3] - box[1])
    left, top = max(0, int(box[0] - across)), max(0, int(box[1] - down))
    return slice(top, max(top + 1, int(box[3] + down))), slice(left, max(left + 1, int(box[2] + across)))


def _observe(
    path: Path,
    fps: float,
    near: tuple[slice, slice],
    watchers: Sequence[Watcher | SeamWatcher | None],
    check: Check,
) -> Observation:
    def frames() -> Iterator[np.ndarray]:
        for frame in read_frames(path, check=check):
            for watcher in watchers:
                if watcher is not None:
                    watcher.watch(frame)
            yield frame[near]

    return observe(frames(), fps, _tracker(), (near[1].start or 0, near[0].start or 0))


def _sound(
    path: Path, info: MediaInfo, frames: int, check: Check
) -> tuple[np.ndarray | None, Sound | None, Timing | None]:
    if not info.has_audio or not info.fps:
        return None, None, None
    speech = load_speech(path, check=check)
    video_s = frames / float(info.fps)
    difference = video_s - info.audio_duration
    timing = Timing(video_s, info.audio_duration, difference, difference * float(info.fps))
    return speech.samples, listen(speech.samples), timing


def _commanded(
    track: MotionTrack | None, metadata: Mapping[str, object], seen: Observation, notices: list[str]
) -> np.ndarray | None:
    """Commanded lip opening at the video's frames, (T,) in face widths, NaN past its end."""
    if track is None:
        trace = decode_opening(metadata.get("lips"))
        if trace is None:
            notices.append("What was commanded is not known; give the motion track to compare with.")
            return None
        opening, fps = trace
    else:
        opening, fps = _shown(track, seen), track.fps
    return np.interp(np.arange(len(seen)) / seen.fps, np.arange(len(opening)) / fps, opening, right=np.nan)


def _shown(track: MotionTrack, seen: Observation) -> np.ndarray:
    """Opening that a track asks for, with the picture's own mouth while the lips are at rest."""
    activity = lips.activity(track)
    at = np.clip(np.round(np.arange(len(track)) * seen.fps / track.fps).astype(int), 0, len(seen) - 1)
    resting = (activity < REST_ACTIVITY) & seen.found[at]
    own = float(np.median(seen.gap[at][resting])) if resting.any() else 0.0
    return own * (1 - activity) * (1 - lips.closure(track)) + lips.opening(track)


def _phones(
    given: bool | Sequence[Phone], samples: np.ndarray | None, check: Check, notices: list[str]
) -> tuple[Sequence[Phone], str] | None:
    if samples is None or given is False:
        return None
    if given is not True:
        return given, "given"
    if not available():
        notices.append("pocketsphinx is not installed; the lips at single phones were not measured.")
        return None
    words, sounds = recognise(samples[: round(PHONES_LIMIT_S * SAMPLE_RATE)], check=check)
    if agreeing(words.phones, sounds.phones) < ENGLISH_FROM:
        notices.append(
            "The speech was not understood as English; the lips at single phones were not measured."
        )
        return None
    return words.phones, "recognised"


def _lips(
    seen: Observation,
    commanded: np.ndarray | None,
    sound: Sound | None,
    phones: tuple[Sequence[Phone], str] | None,
    rest: float | None,
) -> Lips:
    gap, times = seen.gap, seen.times
    shown = gap[seen.found]
    articulated: Articulation | None = None
    if sound is not None and phones is not None:
        articulated = articulation(gap, seen.fps, phones[0], sound, phones[1])
    heard = None if sound is None or sound.is_silent else sound
    return Lips(
        closed_below=closed_below(gap),
        opening_mean=float(shown.mean()),
        opening_p95=float(np.percentile(shown, 95)),
        command=None if commanded is None else agreement(gap, commanded, seen.fps),
        loudness=None if heard is None else agreement(gap, heard.loudness(times), seen.fps),
        silence=None if sound is None else in_silence(gap, times, sound, rest),
        closures_per_second=None if sound is None else closures_per_second(gap, times, sound),
        phones=articulated,
    )


def _maker(metadata: Mapping[str, object]) -> str | None:
    told = (metadata.get(key) for key in ("software", "version", "engine"))
    return cleaned(" ".join(part for part in told if isinstance(part, str)), MAKER_CHARACTERS) or None
