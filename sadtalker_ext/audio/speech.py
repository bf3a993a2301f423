"""Audio files, video files and arrays into `Speech`: mono 16 kHz samples that remember the original sound."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AudioError, DependencyError, Place, Sentence
from ..host import Check, nothing
from ..system.mapped import Gatherer
from ..system.paths import existing_file
from ..system.requirements import advice
from .decode import AudioFile, in_blocks
from .features import mean
from .track_choice import audio_tracks, choice, in_order, no_such_track

SAMPLE_RATE = 16000  # Hz, of everything that motion is made from
MIN_SECONDS = 0.1  # shorter sound cannot be spoken
MAX_SECONDS = 6 * 3600.0
MIN_RATE, MAX_RATE = 1000, 768_000  # Hz, of arrays
MAX_CHANNELS = 8
SILENT_PEAK = 5e-4  # of full scale, about -66 dB: below the noise of any microphone
CLICK_SAMPLES = 320  # 20 ms; what is shorter is no speech
INAUDIBLE = "Nothing can be heard in the recording, so the mouth rests; check that it is the right one."
UNSPOKEN = "No speech was found in the sound, so the mouth rests; check that it is the right recording."
CANCELLING = 0.1  # mono / channel level below which the channels of a file cancel each other
# Share of each channel in the mono mix where dialogue sits in the centre: left, right, centre, low
# frequency effects, back left, back right (, side left, side right).
SURROUND_WEIGHTS: dict[int, tuple[float, ...]] = {
    6: (0.2, 0.2, 0.4, 0.0, 0.1, 0.1),
    8: (0.15, 0.15, 0.4, 0.0, 0.075, 0.075, 0.075, 0.075),
}


@dataclass(frozen=True, eq=False, repr=False)
class Speech:
    """Speech to animate, and where its original sound is.

    samples: float32 (N,) mono at `SAMPLE_RATE`, in [-1, 1], finite. Long ones are mapped from a file.
    duration: seconds, exact: the original's own samples over its own rate.
    source: media file holding the original sound; None for arrays and for silence.
    start: seconds into `source` where the samples begin.
    original: float32 (N, C) original sound when it was given as an array; original_rate: its rate in Hz,
    or the rate of `source`; channels: of the original (0 for silence without a soundtrack).
    repaired: numbers that are not finite were found in the original and replaced by silence.
    track: which audio track of `source`, from 1. uneven: its rate or its channels change on the way.
    remarks: what is worth knowing of how it was read, in sentences.
    """

    samples: np.ndarray
    duration: float
    source: Path | None = None
    start: float = 0.0
    original: np.ndarray | None = None
    original_rate: int = 0
    channels: int = 0
    repaired: bool = False
    track: int = 1
    uneven: bool = False
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        if self.source is not None:
            origin = f"{self.source.name} from {self.start:g} s on" if self.start else self.source.name
        else:
            origin = "silence" if self.original is None else "an array"
        sound = f"; {self.original_rate} Hz, channels: {self.channels}" if self.original_rate else ""
        return f"<Speech {self.duration:.2f} s of {origin}{sound}>"

    @property
    def file(self) -> Path | None:
        """Where it came from, if that is a file."""
        return self.source

    @property
    def peak(self) -> float:
        """The largest sample, of either sign."""
        return _peak(self.samples)

    @cached_property
    def is_silent(self) -> bool:
        """Whether nothing can be heard in it, a constant offset and a click apart: the mouth will rest."""
        middle, heard = np.float32(mean(self.samples)), 0
        for block in in_blocks(self.samples, SAMPLE_RATE):
            heard += int(np.count_nonzero(np.abs(block - middle) >= SILENT_PEAK))
            if heard > CLICK_SAMPLES:
                break
        return heard <= CLICK_SAMPLES

    @property
    def is_idle(self) -> bool:
        """Whether it is quiet presence instead of speech: neither heard nor put into a video."""
        return not self.has_soundtrack and self.is_silent

    @property
    def has_soundtrack(self) -> bool:
        """Whether there is an original sound to put into the video."""
        return self.source is not None or self.original is not None

    @property
    def notices(self) -> tuple[str, ...]:
        """What its owner may want to know of it."""
        return (*self.remarks, INAUDIBLE) if self.is_silent else self.remarks

    def as_soundtrack(self) -> Speech:
        """Itself without the samples that motion is made from: all that a writer needs, in less memory."""
        return replace(self, samples=self.samples[:0].copy())


def load_speech(
    source: str | os.PathLike[str] | tuple[np.ndarray, int] | tuple[int, np.ndarray] | Speech,
    *,
    start: float = 0.0,
    end: float | None = None,
    track: int | None = None,
    check: Check = nothing,
) -> Speech:
    """Reads speech from any audio or video file, or from an (array, rate in Hz) pair in either order.

    source: a file's path or a pair. Arrays are (N,) or (N, channels), integers of any width or floats; a
    `Speech` is returned as it is. Channels are mixed to mono; the result is scaled down if it exceeds full
    scale. start, end: seconds of the source; None, or an `end` past its end, means the end. track: which
    audio track of a file, from 1; None is its default one, or the first in which something can be heard.
    check: called about once a second of sound; what it raises stops the decoding. Raises `AudioError` for
    anything that cannot be used.
    """
    if start < 0 or not np.isfinite(start):
        raise AudioError(f"The start of the speech must be 0 seconds or later, not {start:g}.")
    if end is not None and not end > start:
        raise AudioError(f"The end of the speech ({end:g} s) must come after its start ({start:g} s).")
    if isinstance(source, Speech):
        if start or end is not None:
            raise AudioError("This speech is loaded already; give its start and end when it is loaded.")
        return source
    if isinstance(source, (tuple, list)):
        return _from_array(source, start, end, check)
    if not isinstance(source, (str, os.PathLike)):
        raise AudioError(
            f"Speech must be a file path or a pair of array and rate, not {type(source).__name__}."
        )
    path, problem = existing_file(source)
    if problem:
        raise AudioError("The audio file {path!r} {problem}.", Place(source), problem=problem)
    return _from_file(path, start, end, track, check)


def silence(seconds: float) -> Speech:
    """Speech without a sound or a soundtrack, for an idle portrait; raises `AudioError` when out of range."""
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise AudioError(
            f"An idle animation lasts {MIN_SECONDS:g} s to {MAX_SECONDS / 3600:g} h, not {seconds:g} s."
        )
    return Speech(np.zeros(max(1, round(seconds * SAMPLE_RATE)), np.float32), float(seconds))


def _from_file(path: Path, start: float, end: float | None, track: int | None, check: Check) -> Speech:
    tracks = audio_tracks(path)
    if track is not None:
        if not 1 <= track <= len(tracks):
            raise no_such_track(path.name, len(tracks), track)
        return _from_track(path, track, start, end, check)
    if len(tracks) == 1:
        return _from_track(path, 1, start, end, check)
    order = in_order(tracks)
    heard: list[Speech] = []
    problem: AudioError | None = None
    for number in order:
        try:
            heard.append(_from_track(path, number, start, end, check))
        except AudioError as error:
            problem = problem or error
            continue
        if not heard[-1].is_silent:
            break
    if not heard:
        assert problem is not None
        raise problem
    chosen = heard[-1] if not heard[-1].is_silent else heard[0]
    passed = order[: order.index(chosen.track)]
    silent = [speech.track for speech in heard if speech.track in passed]
    unusable = [number for number in passed if number not in silent]
    told = choice(path.name, tracks, chosen.track, silent, unusable)
    return replace(chosen, remarks=(told, *chosen.remarks))


def _from_track(path: Path, track: int, start: float, end: float | None, check: Check) -> Speech:
    read = _decode(path, track, None, start, end, check)
    if read.mix.cancels:
        read = _decode(path, track, read.mix.loudest, start, end, check)
    mix = read.mix
    samples, duration = mix.finish(path.name, start)
    remarks = () if read.damage is None else (read.damage,)
    repaired = mix.broken > 0
    return Speech(
        samples, duration, path, start, None, mix.rate, mix.channels, repaired, track, read.uneven, remarks
    )


@dataclass(frozen=True)
class _Read:
    """A file's sound as it was read, and what was found on the way."""

    mix: _Mix
    uneven: bool
    damage: Sentence | None


def _decode(
    path: Path, track: int, channel: int | None, start: float, end: float | None, check: Check
) -> _Read:
    with AudioFile(path, track - 1) as file:
        if file.stated_seconds > MAX_SECONDS and end is None:
            raise _too_long(path.name)
        mix = _Mix(file.rate, file.channels, channel)
        first = round(start * file.rate)
        last = None if end is None else round(end * file.rate)
        count = 0
        for block in file.blocks():
            check()
            part = block[max(0, first - count) : None if last is None else max(0, last - count)]
            count += len(block)
            if len(part):
                mix.add(part)
            if mix.frames > MAX_SECONDS * file.rate:
                raise _too_long(path.name)
            if last is not None and count >= last:
                return _Read(mix, file.uneven, None)
        return _Read(mix, file.uneven, file.damage())


def _from_array(source: Sequence[Any], start: float, end: float | None, check: Check) -> Speech:
    name = "The audio array"
    if len(source) != 2:
        raise AudioError(f"{name} must come with its sample rate: (array, rate).")
    values, rate = source if np.ndim(source[1]) == 0 else (source[1], source[0])
    rate = _whole_rate(rate, name)
    original = _as_frames(values)
    if len(original) > MAX_SECONDS * rate:
        raise _too_long(name)
    original = original[round(start * rate) : None if end is None else round(end * rate)]
    mix = _Mix(rate, original.shape[1], None)
    for block in in_blocks(original, rate):
        check()
        mix.add(block.copy())
    if mix.cancels:
        again = _Mix(rate, original.shape[1], mix.loudest)
        for block in in_blocks(original, rate):
            again.add(block.copy())
        mix = again
    samples, duration = mix.finish(name, start)
    if mix.broken:
        original = np.nan_to_num(original, nan=0.0, posinf=0.0, neginf=0.0)
    return Speech(samples, duration, None, 0.0, original, rate, original.shape[1], mix.broken > 0)


def _whole_rate(rate: Any, name: str) -> int:
    try:
        whole = operator.index(rate) if not isinstance(rate, (float, np.floating)) else int(rate)
        if whole != rate or not MIN_RATE <= whole <= MAX_RATE:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        shown = repr(rate) if np.ndim(rate) == 0 else "an array"
        raise AudioError(
            f"{name} needs a whole sample rate of {MIN_RATE} to {MAX_RATE} Hz beside it, not {shown}."
        ) from None
    return whole


def _as_frames(values: Any) -> np.ndarray:
    """Any array of sound as float32 (N, channels) with full scale at 1."""
    array = np.asarray(values)
    if array.ndim not in (1, 2) or array.dtype.kind not in "iuf":
        raise AudioError(
            "The audio array must hold numbers in the shape (N,) or (N, channels); "
            f"got {array.dtype} {array.shape}."
        )
    if array.ndim == 1:
        array = array[:, None]
    elif array.shape[0] <= MAX_CHANNELS < array.shape[1]:
        array = array.T  # (channels, N), as librosa and torchaudio have it
    if not 1 <= array.shape[1] <= MAX_CHANNELS:
        raise AudioError(f"The audio array has {array.shape[1]} channels; 1 to {MAX_CHANNELS} can be used.")
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    limits = np.iinfo(array.dtype)
    middle = 0 if array.dtype.kind == "i" else (limits.max + 1) // 2
    return (array.astype(np.float64) - middle).astype(np.float32) / np.float32(limits.max - middle)


class _Mix:
    """Gathers blocks of many channels into one mono 16 kHz buffer, which is all that is held."""

    def __init__(self, rate: int, channels: int, channel: int | None) -> None:
        self.rate, self.channels = rate, channels
        self.frames = 0
        self.broken = 0  # numbers that were not finite
        self._gathered = Gatherer()
        self._energy = np.zeros(channels)
        self._mono_energy = 0.0
        if channel is None:
            weights = SURROUND_WEIGHTS.get(channels, (1 / channels,) * channels)
        else:
            weights = tuple(float(i == channel) for i in range(channels))
        self._weights = np.array(weights, np.float32)
        self._resampler = None if rate == SAMPLE_RATE else _resampler(rate)

    def add(self, block: np.ndarray) -> None:
        """Takes float32 (n, channels); may change it in place."""
        self.frames += len(block)
        finite = np.isfinite(block)
        if not finite.all():
            self.broken += int(finite.size - np.count_nonzero(finite))
            block[~finite] = 0.0
        mono = np.ascontiguousarray(block @ self._weights if self.channels > 1 else block[:, 0])
        if self.channels > 1:
            self._energy += np.square(block, dtype=np.float64).sum(axis=0)
            self._mono_energy += float(np.square(mono, dtype=np.float64).sum())
        self._append(mono, last=False)

    def _append(self, mono: np.ndarray, *, last: bool) -> None:
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=last)
        self._gathered.add(mono)

    @property
    def loudest(self) -> int:
        return int(self._energy.argmax())

    @property
    def cancels(self) -> bool:
        """Whether channels of opposite sign wipe each other out in the mix."""
        loudest = self._energy.max()
        return self.channels > 1 and loudest > 0 and self._mono_energy < CANCELLING**2 * loudest

    def finish(self, name: str, start: float) -> tuple[np.ndarray, float]:
        """(samples, exact duration in seconds); raises `AudioError` when there is too little to use."""
        duration = self.frames / self.rate
        if self.frames == 0 and start > 0:
            raise AudioError(f"{name} ends before {start:g} s, where the speech should start.")
        if self.frames == 0:
            raise AudioError(f"{name} holds no sound at all: its length is zero.")
        if duration < MIN_SECONDS:
            raise AudioError(
                f"{name} lasts only {duration:.3f} s; at least {MIN_SECONDS:g} s of speech is needed."
            )
        if self.broken >= self.frames * self.channels:
            raise AudioError(f"{name} holds no usable numbers (all are NaN or infinite); export it again.")
        if self._resampler is not None:
            self._append(np.zeros(0, np.float32), last=True)
        wanted = max(1, round(duration * SAMPLE_RATE))
        self._gathered.add(bytes(4 * max(0, wanted - len(self._gathered))))
        samples = self._gathered.array(wanted)
        peak = _peak(samples)
        if peak > 1.0:
            for block in in_blocks(samples, SAMPLE_RATE):
                block /= peak
        return samples, duration


def _peak(samples: np.ndarray) -> float:
    """The largest sample, of either sign."""
    highest = lowest = 0.0
    for block in in_blocks(samples, SAMPLE_RATE):
        highest, lowest = max(highest, float(block.max())), min(lowest, float(block.min()))
    return max(highest, -lowest)


def _resampler(rate: int) -> Any:
    """A streaming resampler to `SAMPLE_RATE`: soxr at its high quality, which librosa.resample runs too.

    Used directly because librosa resamples whole arrays only and its import alone costs seconds and 300 MB.
    """
    try:
        import soxr
    except ImportError as error:
        raise DependencyError("Resampling sound needs soxr; {advice}", advice=advice("soxr")) from error
    return soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")


def _too_long(name: str) -> AudioError:
    hours = MAX_SECONDS / 3600
    return AudioError(
        f"{name} is longer than {hours:g} hours; cut it, or choose a part with a start and an end."
    )
