"""An engine every stage of which has something to say, so that tests see who hears it."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest

from sadtalker_ext import engines
from sadtalker_ext.audio import Speech
from sadtalker_ext.engines.base import Actor, Engine
from sadtalker_ext.host import Run
from sadtalker_ext.options import Options
from sadtalker_ext.tracks import ARKIT, MotionTrack

SECONDS = 0.4
SPEECH, FACE, MOTION = "Nothing can be heard in the recording", "The face is a square.", "The motion is none."
LENGTH, FRAMES, WRITER = "The motion lasts 2.0 s; it ends with the sound", "A frame is grey.", "even sizes"
OF_SPEECH = (SPEECH, FACE, MOTION, FRAMES, WRITER)  # how the sentences begin or what is in them, in order
OF_A_TRACK = (SPEECH, FACE, LENGTH, FRAMES, WRITER)


class Square:
    """The subject."""

    fingerprint = ("square",)
    notices = (FACE,)


class Grey:
    """The renderer."""

    size, has_alpha = (15, 15), False  # which mp4 cannot keep
    region = view = (0, 0, 15, 15)
    notices = (FRAMES,)

    def opening(self, track: MotionTrack) -> None:
        return None

    def render(
        self, track: MotionTrack, *, check: Callable[[], None] | None = None
    ) -> Generator[np.ndarray, None, None]:
        for _ in track.data:
            yield np.full((15, 15, 3), 128, np.uint8)


class Talkative(Actor):
    engine, space = "talkative", ARKIT

    def prepare(self) -> Grey:
        return Grey()

    def motion(self, speech: Speech) -> MotionTrack:
        self.run.notice(MOTION)
        return MotionTrack.rest(self.frames(speech), self.options.fps)


def subject(source: Any, options: Options, run: Run) -> Square:
    return Square()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it the engine that `auto` takes."""
    engine = Engine(
        name="talkative",
        summary="says something at every stage",
        space=ARKIT,
        composition={},
        needs=lambda folder: (),
        open=Talkative,
        subject=subject,
        refusal=lambda source, options: None,
    )
    monkeypatch.setattr(engines, "ENGINES", {engine.name: engine})


def recording() -> bytes:
    """A .wav in which nothing can be heard."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(bytes(2 * round(16000 * SECONDS)))
    return file.getvalue()


def motion() -> MotionTrack:
    """One that lasts longer than the recording."""
    return MotionTrack.rest(50, 25.0)


def assert_told(sentences: list[str], wanted: tuple[str, ...]) -> None:
    """That there is one sentence with each of these, in this order, and no other."""
    assert len(sentences) == len(wanted), sentences
    for sentence, words in zip(sentences, wanted, strict=True):
        assert words in sentence
