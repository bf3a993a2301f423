"""The tab's speech: a file, a recording, text or seconds of quiet go in, and one of them counts."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..errors import AudioError, OptionsError, worded
from ..options import knob_named
from ..system import leftovers
from . import compat
from .notes import explain, note
from .words import PAGE, PageWords

if TYPE_CHECKING:
    import numpy as np

    from ..shell import Shell

UPLOAD, MICROPHONE, TEXT, IDLE = SOURCES = ("Upload", "Microphone", "Text", "Idle")
PREVIEW_SECONDS = 60.0  # of an uploaded recording that can be heard on the page
LONG_SECONDS = 300.0  # from which the length is worth a remark
IDLE_SECONDS = 5.0  # that are offered
ANY_VOICE = "Default voice"
BEFORE_ID = " · "  # gradio 3.41's lists hold plain strings: the end of an entry is the voice's id
UPLOAD_HINT = "Any audio or video file: of a video, its sound is used."
UNPLAYABLE = PageWords("This cannot be played here ({error}); it may still work as speech.")
LISTEN_CHARACTERS = 400  # of the text that "Listen" speaks
MICROPHONE_CHOSEN = f"""(chosen) => {{
    if (chosen === "{MICROPHONE}") ({compat.OPEN_RECORDER})("sadtalker_microphone");
    return [];
}}"""


@dataclass(frozen=True)
class SpeechPanel:
    """The speech's components. inputs: what `read` understands, in order."""

    source: compat.Component
    file: compat.Component
    text: compat.Component
    inputs: list[compat.Component]


@dataclass(frozen=True)
class SpeechChoice:
    """One of: speech, a media file; text, spoken by `voice` (None is the default one); idle, seconds."""

    speech: Path | None = None
    text: str | None = None
    voice: str | None = None
    idle: float | None = None


def build(shell: Shell) -> SpeechPanel:
    """The speech's components and what they do, inside the Blocks that are being built."""
    source = compat.component(
        gr.Radio, choices=list(SOURCES), value=UPLOAD, label="Speech from", elem_id="sadtalker_speech_source"
    )
    with gr.Column(elem_id="sadtalker_speech_upload_box") as upload_box:
        file = compat.file(label="Speech", elem_id="sadtalker_speech")
        heard = compat.component(gr.HTML, note(UPLOAD_HINT), elem_id="sadtalker_speech_preview")
    with gr.Column(visible=False, elem_id="sadtalker_speech_microphone_box") as microphone_box:
        microphone = compat.audio_recorder(label="Recording", elem_id="sadtalker_microphone")
    with gr.Column(visible=False, elem_id="sadtalker_speech_text_box") as text_box:
        text = compat.component(
            gr.Textbox,
            label="Text to speak",
            placeholder="Hello! This picture can talk.",
            lines=3,
            max_lines=12,
            elem_id="sadtalker_text",
        )
        with gr.Row():
            voice = compat.component(
                gr.Dropdown,
                choices=[ANY_VOICE],
                value=ANY_VOICE,
                label="Voice",
                elem_id="sadtalker_voice",
                scale=3,
            )
            hear = compat.button("Listen", elem_id="sadtalker_listen", scale=1, min_width=80)
        spoken = compat.component(gr.HTML, "", elem_id="sadtalker_listen_preview")
    with gr.Column(visible=False, elem_id="sadtalker_speech_idle_box") as idle_box:
        idle = compat.component(
            gr.Number, value=IDLE_SECONDS, label="Seconds of quiet presence", elem_id="sadtalker_idle"
        )
    boxes = [upload_box, microphone_box, text_box, idle_box]

    def turn(chosen: str) -> list[Any]:
        shown = [compat.update(visible=chosen == name) for name in SOURCES]
        # Asking the programs for their voices may take a second: not before someone wants to know.
        return [*shown, *(voice_list(shell) if chosen == TEXT else (compat.update(), compat.update()))]

    compat.listen(source.change, turn, [source], [*boxes, voice, spoken], queue=False)
    compat.listen(source.change, None, [source], [], js=MICROPHONE_CHOSEN)
    quietly: dict[str, Any] = {"queue": False, "show_progress": "minimal"}
    compat.listen(file.change, preview, [file], [heard], **quietly)
    compat.click(hear, lambda words, name: listen(shell, words, name), [text, voice], [spoken], **quietly)
    return SpeechPanel(source, file, text, [source, file, microphone, text, voice, idle])


def read(values: Sequence[Any]) -> SpeechChoice:
    """The values of `SpeechPanel.inputs` as the speech that the visible source gives.

    Raises a `SadTalkerError` that says what is missing.
    """
    source, file, microphone, text, voice, idle = values
    if source == MICROPHONE:
        recording = compat.file_path(microphone)
        if recording is None:
            raise AudioError("Nothing is recorded yet; press Record, speak, and press Stop.")
        return SpeechChoice(speech=recording)
    if source == TEXT:
        from ..audio.say import check_text

        return SpeechChoice(text=check_text(text), voice=_voice_id(voice))
    if source == IDLE:
        return SpeechChoice(idle=_idle(idle))
    upload = compat.file_path(file)
    if upload is None:
        told = "No speech was given; upload an audio or video file, or choose Microphone, Text or Idle."
        raise AudioError(told)
    return SpeechChoice(speech=upload)


def _idle(seconds: Any) -> float:
    knob = knob_named("idle")
    try:
        if seconds is None:
            raise knob.error(seconds)
        return float(knob.check(seconds))
    except OptionsError as error:
        raise AudioError(f"The seconds of quiet presence must be {knob.expected()}.") from error


def voice_list(shell: Shell) -> tuple[Any, str]:
    """What fills the list of voices, and a sentence where there is none."""
    from ..audio.say import has_program, no_program, voices

    models_dir = shell.host.models_dir()
    if not has_program(models_dir):
        return compat.update(), explain(no_program(models_dir))
    rows = [f"{voice.name}{BEFORE_ID}{voice.id}" for voice in voices(models_dir)]
    return compat.update(choices=[ANY_VOICE, *rows]), ""


def _voice_id(entry: str | None) -> str | None:
    """The id of an entry of the list of voices; None for the default."""
    return None if not entry or entry == ANY_VOICE else entry.rpartition(BEFORE_ID)[2]


def _guarded(show: Callable[[], str]) -> str:
    """What `show` returns, or the sentence of its error."""
    try:
        return show()
    except Exception as error:  # a listener that raises shows a bare "Error" and hides what was wrong
        return explain(error, UNPLAYABLE)


def preview(value: Any) -> str:
    path = compat.file_path(value)
    return note(UPLOAD_HINT) if path is None else _guarded(lambda: _file_preview(path))


def _file_preview(path: Path) -> str:
    """A player for the beginning of any media file, its length, and what is worth knowing about it."""
    from ..audio import load_speech, stated_seconds

    speech = load_speech(path, end=PREVIEW_SECONDS)
    whole = speech.duration < PREVIEW_SECONDS
    stated = 0.0 if whole else stated_seconds(path)
    told = [length_in_words(speech.duration if whole else max(stated, PREVIEW_SECONDS))]
    if not whole and stated > PREVIEW_SECONDS:
        told.append("Its first minute can be heard here.")
    if speech.is_silent:
        told.append("Nothing can be heard in it: the mouth will stay closed.")
    elif not whole and stated > LONG_SECONDS:
        told.append("That is long; start and end can choose a part of it.")
    told += [worded(remark, PAGE) for remark in speech.remarks]
    if speech.remarks and not whole:
        told.append("The rest of it was not listened to yet.")
    return _player(speech.samples) + note(f"{path.name}: {' '.join(told)}")


def listen(shell: Shell, text: str, voice: str) -> str:
    return _guarded(lambda: _spoken(shell, text, voice))


def _spoken(shell: Shell, text: str, voice: str) -> str:
    """A player for the beginning of a text."""
    from ..audio import load_speech
    from ..audio.say import check_text, speak

    words, models_dir = check_text(text), shell.host.models_dir()
    start = words[:LISTEN_CHARACTERS]
    with leftovers.folder() as folder:
        wav = speak(start, folder / "speech.wav", voice=_voice_id(voice), models_dir=models_dir)
        speech = load_speech(wav)
    told = length_in_words(speech.duration)
    if len(words) > len(start):
        told = f"The beginning of the text. {told}"
    return _player(speech.samples) + note(told)


def length_in_words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.1f} s." if seconds < 60 else f"{minutes} min {rest:02d} s."


def _player(samples: np.ndarray) -> str:
    """An audio element that carries float32 mono samples at 16 kHz itself: no file, no decoder."""
    import numpy as np

    from ..audio import SAMPLE_RATE

    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    data = base64.b64encode(sound.getvalue()).decode("ascii")
    return f'<audio class="sadtalker-audio" controls src="data:audio/wav;base64,{data}"></audio>'
