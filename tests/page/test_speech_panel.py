"""The speech panel: one of its sources counts, and what was chosen can be heard."""

from __future__ import annotations

import base64
import io
import re
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

gr = pytest.importorskip("gradio")

from sadtalker_ext.audio import say  # noqa: E402
from sadtalker_ext.errors import AudioError  # noqa: E402
from sadtalker_ext.page import speech_panel  # noqa: E402
from sadtalker_ext.page.speech_panel import ANY_VOICE, IDLE, MICROPHONE, TEXT, UPLOAD, read  # noqa: E402
from sadtalker_ext.system.ffmpeg import run  # noqa: E402

VOICES = (
    say.Voice("say:Eddy (English (UK))", "Eddy (English (UK))", "en-GB", "say"),
    say.Voice("espeak-ng:de", "German", "de", "espeak-ng"),
)


@pytest.fixture
def shell(tmp_path: Path) -> SimpleNamespace:
    return SimpleNamespace(host=SimpleNamespace(models_dir=lambda: tmp_path / "models"))


def wav(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def two_tracks(folder: Path, first: np.ndarray, second: np.ndarray) -> Path:
    sounds, target = [wav(folder / "0.wav", first), wav(folder / "1.wav", second)], folder / "film.mka"
    inputs = [word for sound in sounds for word in ("-i", str(sound))]
    status, _, messages = run([*inputs, "-map", "0", "-map", "1", "-c:a", "pcm_s16le", str(target)])
    assert status == 0, messages
    return target


def tone(seconds: float) -> np.ndarray:
    return 0.5 * np.sin(np.arange(round(16000 * seconds)) * 0.1)


def played(shown: str) -> np.ndarray:
    """The samples in a player on the page."""
    data = re.search(r'<audio [^>]*src="data:audio/wav;base64,([^"]+)"', shown)
    assert data is not None, shown[:200]
    with wave.open(io.BytesIO(base64.b64decode(data.group(1)))) as file:
        assert file.getframerate() == 16000
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767


# The values of all sources at once: only the one that is chosen may count.
ALL = ("up.wav", "mic.wav", "Hello!", ANY_VOICE, 7)


class TestReading:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            (UPLOAD, speech_panel.SpeechChoice(speech=Path("up.wav"))),
            (MICROPHONE, speech_panel.SpeechChoice(speech=Path("mic.wav"))),
            (TEXT, speech_panel.SpeechChoice(text="Hello!")),
            (IDLE, speech_panel.SpeechChoice(idle=7.0)),
        ],
    )
    def test_only_the_chosen_source_counts(self, source, expected):
        assert read([source, *ALL]) == expected

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            (UPLOAD, "No speech was given; upload"),
            (MICROPHONE, "Nothing is recorded"),
            (TEXT, "no text to speak"),
            (IDLE, "must be a number from 0.2 to 3600"),
        ],
    )
    def test_an_empty_source_says_what_to_do(self, source, sentence):
        with pytest.raises(AudioError, match=sentence):
            read([source, None, None, "  ", ANY_VOICE, None])

    @pytest.mark.parametrize("seconds", [0.1, -1, 1e9, float("nan"), "x"])
    def test_impossible_seconds(self, seconds):
        with pytest.raises(AudioError, match="seconds of quiet presence") as caught:
            read([IDLE, None, None, "", ANY_VOICE, seconds])
        assert "--" not in str(caught.value), "the page has no flags"

    def test_what_components_of_both_gradios_hand_in(self):
        temporary = SimpleNamespace(name="/tmp/up.wav")
        assert read([UPLOAD, temporary, *ALL[1:]]).speech == Path("/tmp/up.wav")
        assert read([MICROPHONE, None, {"path": "/tmp/mic.wav"}, *ALL[2:]]).speech == Path("/tmp/mic.wav")

    @pytest.mark.parametrize("entry", [ANY_VOICE, None, ""])
    def test_the_default_voice(self, entry):
        assert read([TEXT, None, None, "Hello!", entry, None]).voice is None

    def test_too_long_a_text(self):
        with pytest.raises(AudioError, match="20000"):
            read([TEXT, None, None, "a" * 20_001, ANY_VOICE, None])


class TestVoices:
    def test_entries_lead_back_to_their_voices(self, shell, monkeypatch):
        monkeypatch.setattr(say, "has_program", lambda models_dir: True)
        monkeypatch.setattr(say, "voices", lambda models_dir: VOICES)
        listed, message = speech_panel.voice_list(shell)
        assert message == ""
        first, *entries = listed["choices"]
        assert first == ANY_VOICE
        assert all(isinstance(entry, str) for entry in entries), "gradio 3.41 knows no pairs"
        for entry, voice in zip(entries, VOICES, strict=True):
            assert read([TEXT, None, None, "Hello!", entry, None]).voice == voice.id

    def test_no_program_says_how_to_get_one(self, shell, monkeypatch, tmp_path):
        monkeypatch.setattr(say, "has_program", lambda models_dir: False)
        _, message = speech_panel.voice_list(shell)
        assert "sadtalker-error" in message
        assert str(tmp_path / "models" / "voices") in message

    def test_listening(self, shell, monkeypatch, tmp_path):
        asked = {}

        def speak(text, target, *, voice, models_dir):
            asked.update(text=text, voice=voice, models_dir=models_dir)
            return wav(target, tone(0.5))

        monkeypatch.setattr(say, "speak", speak)
        shown = speech_panel.listen(shell, "word " * 1000, "German · espeak-ng:de")
        assert asked["voice"] == "espeak-ng:de"
        assert asked["models_dir"] == tmp_path / "models"
        assert len(asked["text"]) <= speech_panel.LISTEN_CHARACTERS
        assert len(played(shown)) == 8000
        assert "The beginning of the text" in shown

    def test_listening_without_text_or_with_a_failure(self, shell, monkeypatch):
        assert "no text to speak" in speech_panel.listen(shell, " ", ANY_VOICE)

        def fail(*arguments, **settings):
            raise RuntimeError("odd <thing>")

        monkeypatch.setattr(say, "speak", fail)
        assert "odd &lt;thing&gt;" in speech_panel.listen(shell, "Hello!", ANY_VOICE)


class TestPreview:
    def test_a_recording_can_be_heard(self, tmp_path):
        shown = speech_panel.preview(str(wav(tmp_path / "hello.wav", tone(1.5))))
        assert len(played(shown)) == 24000
        assert abs(played(shown)).max() == pytest.approx(0.5, abs=0.02)
        assert "hello.wav: 1.5 s." in shown

    def test_nothing_uploaded(self):
        assert "<audio" not in speech_panel.preview(None)
        assert "video" in speech_panel.preview(None)

    def test_of_a_long_recording_the_beginning_is_played(self, tmp_path, monkeypatch):
        monkeypatch.setattr(speech_panel, "PREVIEW_SECONDS", 1.0)
        monkeypatch.setattr(speech_panel, "LONG_SECONDS", 2.0)
        shown = speech_panel.preview(wav(tmp_path / "long.wav", tone(3.0)))
        assert len(played(shown)) == 16000
        assert "3.0 s." in shown
        assert "Its first minute" in shown
        assert "start and end" in shown

    def test_silence_is_told(self, tmp_path):
        shown = speech_panel.preview(wav(tmp_path / "quiet.wav", np.zeros(16000)))
        assert "Nothing can be heard" in shown

    def test_damage_and_the_choice_of_a_track_are_told(self, tmp_path):
        path = wav(tmp_path / "half.wav", tone(2))
        path.write_bytes(path.read_bytes()[:-32000])
        assert "should last 2.00 s, but ends after 1.00 s" in speech_panel.preview(path)
        film = two_tracks(tmp_path, np.zeros(16000), tone(1))
        shown = speech_panel.preview(film)
        assert abs(played(shown)).max() > 0.4
        assert "track 2 is used, since nothing can be heard in track 1" in shown
        assert "“Audio track”" in shown
        assert "--track" not in shown

    def test_a_long_film_is_measured_whichever_track_is_heard(self, tmp_path, monkeypatch):
        monkeypatch.setattr(speech_panel, "PREVIEW_SECONDS", 1.0)
        film = two_tracks(tmp_path, tone(0.05), tone(3))
        shown = speech_panel.preview(film)
        assert "since track 1 cannot be used" in shown
        assert "3.0 s." in shown
        assert "was not listened to" in shown

    def test_no_recording_is_a_sentence(self, tmp_path):
        path = tmp_path / "<b>.mp3"
        path.write_text("text")
        shown = speech_panel.preview(str(path))
        assert "sadtalker-error" in shown
        assert "not an audio or video file" in shown
        assert "<b>" not in shown

    @pytest.mark.parametrize(
        ("seconds", "words"), [(0.94, "0.9 s."), (59.96, "60.0 s."), (715.2, "11 min 55 s.")]
    )
    def test_lengths_in_words(self, seconds, words):
        assert speech_panel.length_in_words(seconds) == words


class TestOnThePage:
    @pytest.fixture
    def blocks(self, shell):
        with gr.Blocks() as made:
            made.panel = speech_panel.build(shell)
        return made

    def test_ids_labels_and_the_hosts_config(self, blocks):
        values = [c for c in blocks.blocks.values() if hasattr(c, "value") and not isinstance(c, gr.State)]
        ids = [c.elem_id for c in values]
        assert len(set(ids)) == len(ids)
        assert all(name.startswith("sadtalker_") for name in ids)
        assert {f"sadtalker_{name}" for name in ("speech", "microphone", "text", "voice", "idle")} <= set(ids)
        assert all(c.do_not_save_to_config for c in values)
        labels = [c.label for c in values if getattr(c, "label", None)]
        assert len(set(labels)) == len(labels)

    def test_any_file_may_be_uploaded(self, blocks):
        assert blocks.panel.file.file_types is None, (
            "gradio 4 refuses endings it does not know, with a bare error"
        )

    def test_voices_are_not_asked_for_before_someone_wants_them(self, shell, monkeypatch):
        def asked(*arguments):
            raise AssertionError("asked")

        monkeypatch.setattr(say, "voices", asked)
        monkeypatch.setattr(say, "has_program", asked)
        with gr.Blocks():
            speech_panel.build(shell)
