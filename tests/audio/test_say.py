"""Text spoken by stand-ins of the four programs, and by espeak-ng itself where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import wave
from pathlib import Path

import pytest

from sadtalker_ext.api.words import REQUEST
from sadtalker_ext.audio import load_speech, say, speech_programs
from sadtalker_ext.audio.say import MAX_CHARACTERS, check_text, speak, voices
from sadtalker_ext.errors import AudioError, Cancelled, DependencyError, OutputError

posix = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are scripts with a #! line")

ESPEAK_VOICES = """Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  de              --/M      German             gmw/de
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  en-us           --/M      us-mbrola-2        mb/mb-us2            (en 7)
 5  yue             --/M      Chinese_(Cantonese) sit/yue              (zh-yue 5)(zh 8)
 5  yue             --/M      Chinese_(Cantonese,_latin_as_Jyutping) sit/yue-Latn-jyutping
"""
SAY_VOICES = """Alex                en_US    # Most people recognize me by my voice.
Eddy (English (UK)) en_GB    # Hello! My name is Eddy.
Tingting            zh_CN    # 你好，我叫婷婷。
"""
SAPI_VOICES = "Microsoft Zira Desktop\ten-US\r\nMicrosoft Hedda Desktop\tde-DE\r\n"

# Writes down how it was called, answers a request for its voices, else writes a wav where it was told to.
STAND_IN = """#!{python}
import json, os, sys, time, wave
told = sys.argv[1:]
listing = "--voices" in told or "?" in told or "GetInstalledVoices" in told[-1]
if listing:
    sys.stdout.buffer.write({listing!r}.encode())
    sys.exit(0)
log = {{"argv": told, "stdin": sys.stdin.buffer.read().decode(), "pid": os.getpid()}}
log["environment"] = {{k: v for k, v in os.environ.items() if k.startswith(("SADTALKER_", "PYTHONUTF8"))}}
text = os.environ.get("SADTALKER_TEXT")
log["file"] = open(text, encoding="utf-8").read() if text else None
with open({log!r}, "w") as file:
    json.dump(log, file)
{action}
flags = ("-w", "-o", "--output_file")
target = os.environ.get("SADTALKER_WAV") or next(told[told.index(f) + 1] for f in flags if f in told)
with wave.open(target, "wb") as sound:
    sound.setnchannels(1); sound.setsampwidth(2); sound.setframerate(22050)
    sound.writeframes(bytes({sample!r}) * 5513)
"""


class StandIn:
    """An executable under a program's name, alone on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "called.json"

    def install(
        self,
        name: str,
        listing: str = "",
        action: str = "",
        sample: tuple[int, int, int, int] = (0, 9, 0, 236),
    ) -> None:
        script = STAND_IN.format(
            python=sys.executable, listing=listing, log=str(self.log), action=action, sample=sample
        )
        path = self.folder / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    @property
    def called(self) -> dict:
        return json.loads(self.log.read_text())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A Linux machine without any speech program until one is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(speech_programs.VOICES_VARIABLE, raising=False)
    monkeypatch.setattr(speech_programs, "SYSTEM", "Linux")
    monkeypatch.setattr(speech_programs, "distribution", _no_distribution)
    return StandIn(folder)


def _no_distribution(name: str) -> None:
    raise speech_programs.PackageNotFoundError(name)


def piper_voice(folder: Path, name: str, code: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"{name}.onnx"
    model.write_bytes(b"model")
    described = {} if code is None else {"language": {"code": code}}
    model.with_name(f"{model.name}.json").write_text(json.dumps(described))
    return model


@posix
class TestPrograms:
    def test_espeak_gets_the_text_by_stdin_and_never_in_its_command(self, machine, tmp_path):
        machine.install("espeak-ng", ESPEAK_VOICES)
        text = '$(touch x); `rm` "quoted" -v evil — größer 你好 😀'
        wav = speak(text, tmp_path / "said.wav", voice="espeak-ng:de")
        assert wav == tmp_path / "said.wav"
        assert machine.called["stdin"] == text + "\n"
        argv = machine.called["argv"]
        assert argv[argv.index("-v") + 1] == "de"
        assert not any("touch" in argument for argument in argv)
        assert load_speech(wav).duration == pytest.approx(0.5, abs=1e-3)

    def test_espeaks_voices_have_ids_of_their_own_and_mbrola_is_left_out(self, machine):
        machine.install("espeak-ng", ESPEAK_VOICES)
        found = {voice.id: voice for voice in voices()}
        assert list(found) == [
            "espeak-ng:sit/yue",
            "espeak-ng:sit/yue-Latn-jyutping",
            "espeak-ng:en-us",
            "espeak-ng:de",
        ]
        assert found["espeak-ng:en-us"].name == "English (America)"
        assert found["espeak-ng:de"].language == "de"

    def test_the_older_espeak_is_used_where_it_is_alone(self, machine, tmp_path):
        machine.install("espeak", ESPEAK_VOICES)
        speak("hello", tmp_path / "said.wav")
        assert "-v" not in machine.called["argv"]

    def test_voices_are_found_by_language_and_by_name_too(self, machine, tmp_path):
        machine.install("espeak-ng", ESPEAK_VOICES)
        for number, wanted in enumerate(("EN-US", "english (america)", "en-us")):
            speak("hello", tmp_path / f"{number}.wav", voice=wanted)
            assert "en-us" in machine.called["argv"]

    def test_macos_say(self, machine, monkeypatch, tmp_path):
        monkeypatch.setattr(speech_programs, "SYSTEM", "Darwin")
        machine.install("say", SAY_VOICES)
        assert [(v.id, v.language) for v in voices()] == [
            ("say:Alex", "en-US"),
            ("say:Eddy (English (UK))", "en-GB"),
            ("say:Tingting", "zh-CN"),
        ]
        speak("[[volm 9]] hi", tmp_path / "said.wav", voice="say:Eddy (English (UK))")
        argv = machine.called["argv"]
        assert argv[:4] == ["-v", "Eddy (English (UK))", "-f", "-"]
        assert "--file-format=WAVE" in argv
        assert machine.called["stdin"] == "[ [volm 9]] hi\n", "a command to the program stayed in the text"

    def test_windows_sapi(self, machine, monkeypatch, tmp_path):
        monkeypatch.setattr(speech_programs, "SYSTEM", "Windows")
        machine.install("powershell", SAPI_VOICES)
        assert [(v.id, v.language) for v in voices()] == [
            ("sapi:Microsoft Zira Desktop", "en-US"),
            ("sapi:Microsoft Hedda Desktop", "de-DE"),
        ]
        text = "'); Remove-Item x #"
        speak(text, tmp_path / "said.wav", voice="sapi:Microsoft Hedda Desktop")
        called = machine.called
        assert called["argv"][-1] == speech_programs.SAPI_SPEAK
        assert called["file"] == text + "\n"
        assert called["environment"]["SADTALKER_VOICE"] == "Microsoft Hedda Desktop"
        speak(text, tmp_path / "again.wav")
        assert machine.called["environment"]["SADTALKER_VOICE"] == ""

    def test_piper_needs_a_voice_file_with_its_description(self, machine, tmp_path):
        machine.install("piper")
        (tmp_path / "models" / "voices").mkdir(parents=True)
        (tmp_path / "models" / "voices" / "alone.onnx").write_bytes(b"model")
        assert voices(tmp_path / "models") == ()
        with pytest.raises(DependencyError, match="voices"):
            speak("hello", tmp_path / "said.wav", models_dir=tmp_path / "models")

    def test_piper(self, machine, monkeypatch, tmp_path):
        machine.install("piper")
        machine.install("espeak-ng", ESPEAK_VOICES)
        first = piper_voice(tmp_path / "mine", "de_DE-thorsten-low")
        piper_voice(tmp_path / "models" / "voices" / "en", "amy", "en_GB")
        piper_voice(tmp_path / "models" / "voices", "de_DE-thorsten-low")
        monkeypatch.setenv(speech_programs.VOICES_VARIABLE, f"{first}{os.pathsep}/does/not/exist")
        found = [(v.id, v.language) for v in voices(tmp_path / "models") if v.program == "piper"]
        assert found == [
            ("piper:de_DE-thorsten-low", "de-DE"),
            ("piper:de_DE-thorsten-low-2", "de-DE"),
            ("piper:amy", "en-GB"),
        ]
        speak("one\ntwo", tmp_path / "said.wav", models_dir=tmp_path / "models")  # piper is preferred
        argv = machine.called["argv"]
        assert argv[:2] == ["--model", str(first)]
        assert machine.called["stdin"] == "one two\n", "piper would overwrite its file with every line"
        assert machine.called["environment"]["PYTHONUTF8"] == "1"

    def test_piper_as_a_python_package(self, machine, monkeypatch, tmp_path):
        monkeypatch.setattr(speech_programs, "distribution", lambda name: name)
        piper_voice(tmp_path / "models" / "voices", "amy")
        program = next(speech_programs.programs(tmp_path / "models"))
        command = program.default.command(tmp_path / "text.txt", tmp_path / "said.wav")
        assert command.arguments[:3] == (sys.executable, "-m", "piper")

    def test_programs_are_asked_for_their_voices_once(self, machine):
        machine.install("espeak-ng", ESPEAK_VOICES)
        before = voices()
        machine.install("espeak-ng", "")
        assert voices() == before

    def test_a_program_without_an_answer_still_speaks(self, machine, tmp_path):
        machine.install("espeak-ng", "")
        assert voices() == ()
        assert say.has_program()
        assert speak("hello", tmp_path / "said.wav").is_file()


@posix
class TestFailures:
    def test_no_program(self, machine, tmp_path):
        assert voices() == ()
        assert not say.has_program()
        with pytest.raises(DependencyError, match=r"espeak-ng.*piper"):
            speak("hello", tmp_path / "said.wav")

    @pytest.mark.parametrize("system", ["Darwin", "Windows", "Linux"])
    def test_the_advice_fits_the_system(self, monkeypatch, system):
        monkeypatch.setattr(speech_programs, "SYSTEM", system)
        word = {"Darwin": "macOS", "Windows": "PowerShell", "Linux": "apt"}[system]
        assert word in say.advice()
        assert str(Path("there", "voices")) in say.advice(Path("there"))

    def test_an_unknown_voice_names_near_ones(self, machine, tmp_path):
        machine.install("espeak-ng", ESPEAK_VOICES)
        with pytest.raises(AudioError, match=r"espeak-ng:en-usa.*such as espeak-ng:en-us"):
            speak("hello", tmp_path / "said.wav", voice="espeak-ng:en-usa")
        assert not machine.log.exists(), "the program was run all the same"

    def test_a_voice_is_never_a_path(self, machine, tmp_path):
        machine.install("piper")
        piper_voice(tmp_path / "models" / "voices", "amy")
        other = piper_voice(tmp_path / "elsewhere", "secret")
        with pytest.raises(AudioError, match="no voice"):
            speak("hello", tmp_path / "said.wav", voice=f"piper:{other}", models_dir=tmp_path / "models")

    def test_a_failing_program_says_why(self, machine, tmp_path):
        machine.install("espeak-ng", action="sys.stderr.write('noise\\nno such data.\\n'); sys.exit(3)")
        with pytest.raises(AudioError, match=r"espeak-ng failed \(no such data\)"):
            speak("hello", tmp_path / "said.wav")
        assert not list(tmp_path.glob("*.wav"))
        assert not list(tmp_path.glob(".*"))

    def test_a_program_that_cannot_start(self, machine, tmp_path):
        program = machine.folder / "espeak-ng"
        program.write_text("#!/no/such/interpreter\n")
        program.chmod(0o755)
        with pytest.raises(AudioError, match="cannot be started"):
            speak("hello", tmp_path / "said.wav")

    def test_silence_is_refused(self, machine, tmp_path):
        machine.install("espeak-ng", sample=(0, 0, 0, 0))
        with pytest.raises(AudioError, match="no sound"):
            speak("…", tmp_path / "said.wav")
        assert not (tmp_path / "said.wav").exists()

    def test_a_program_that_writes_nothing(self, machine, tmp_path):
        machine.install("espeak-ng", action="sys.exit(0)")
        with pytest.raises(AudioError, match="wrote no sound"):
            speak("hello", tmp_path / "said.wav")

    def test_a_program_that_hangs_is_ended(self, machine, tmp_path, monkeypatch):
        monkeypatch.setattr(say, "START_SECONDS", 1.0)
        machine.install("espeak-ng", action="time.sleep(600)")
        with pytest.raises(AudioError, match="did not finish"):
            speak("hello", tmp_path / "said.wav")
        assert _gone(machine.called["pid"])

    def test_cancelling_ends_the_program_and_leaves_nothing(self, machine, tmp_path):
        machine.install(
            "espeak-ng", action="open(told[told.index('-w') + 1], 'w').write('half')\ntime.sleep(600)"
        )

        def check() -> None:
            if machine.log.exists() and list(tmp_path.glob(".*.wav")):
                raise Cancelled

        with pytest.raises(Cancelled):
            speak("hello", tmp_path / "said.wav", check=check)
        assert _gone(machine.called["pid"])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]

    def test_an_existing_file_stays(self, machine, tmp_path):
        machine.install("espeak-ng")
        target = tmp_path / "said.wav"
        target.write_text("mine")
        with pytest.raises(OutputError, match="exists"):
            speak("hello", target)
        assert target.read_text() == "mine"
        speak("hello", target, overwrite=True)
        assert target.read_bytes().startswith(b"RIFF")


def _gone(pid: int) -> bool:
    """Whether a process has ended; it was waited for, so its number is free."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("text", ["", "  \n\t ", "\x00\x1b"])
def test_empty_text_is_refused(text):
    with pytest.raises(AudioError, match="no text"):
        check_text(text)


@pytest.mark.parametrize("text", [None, 3, b"bytes"])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(AudioError, match="must be text"):
        check_text(text)


def test_too_long_a_text_is_refused():
    assert len(check_text("a" * MAX_CHARACTERS)) == MAX_CHARACTERS
    with pytest.raises(AudioError, match="20000"):
        check_text("a" * (MAX_CHARACTERS + 1))


def test_control_characters_and_half_pairs_become_spaces():
    assert check_text("a\x00b\r\nc\ud83dd\u2028e") == "a b  c d e"
    assert check_text("नमस्ते 👩‍🚀") == "नमस्ते 👩‍🚀", "joiners belong to the text"


needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@needs_espeak
def test_espeak_ng_really_speaks(tmp_path):
    spoken = load_speech(speak("Hello. This picture can talk, and it takes a while.", tmp_path / "said.wav"))
    assert 2.0 < spoken.duration < 8.0
    assert not spoken.is_silent
    with wave.open(str(tmp_path / "said.wav")) as sound:
        assert sound.getnframes() > 0


@needs_espeak
def test_espeak_ngs_voices_differ(tmp_path):
    ids = {voice.id for voice in voices() if voice.program == "espeak-ng"}
    assert {"espeak-ng:en-us", "espeak-ng:de"} <= ids
    american = speak("one hundred", tmp_path / "en.wav", voice="espeak-ng:en-us").read_bytes()
    german = speak("one hundred", tmp_path / "de.wav", voice="de").read_bytes()
    assert american != german


@needs_espeak
def test_markup_and_flags_are_words(tmp_path):
    for number, text in enumerate(("-h", "--version", "<b>bold</b> & more", "@/etc/passwd")):
        assert load_speech(speak(text, tmp_path / f"{number}.wav")).duration > 0.2


FOREIGN_VOICES = (
    ESPEAK_VOICES
    + """ 5  cmn             --/M      Chinese_(Mandarin)  sit/cmn              (zh-cmn 5)(zh 5)
 5  ja              --/M      Japanese           jpx/ja
 5  ko              --/M      Korean             ko
 5  ru              --/M      Russian            zle/ru
 5  uk              --/M      Ukrainian          zle/uk
 5  ar              --/M      Arabic             sem/ar
 5  he              --/M      Hebrew             sem/he
 5  el              --/M      Greek              grk/el
 5  hi              --/M      Hindi              inc/hi
 5  nb              --/M      Norwegian_Bokmål  gmq/nb
 5  pt-br           --/M      Portuguese_(Brazil) roa/pt-BR
"""
)


@posix
class TestScripts:
    @pytest.mark.parametrize(
        ("text", "voice"),
        [
            ("你好，很高兴见到你", "cmn"),
            ("こんにちは", "ja"),
            ("안녕하세요", "ko"),
            ("Привет", "ru"),
            ("Привіт, їжаче", "uk"),
            ("مرحبا", "ar"),
            ("שלום", "he"),
            ("Γειά σου", "el"),
            ("नमस्ते", "hi"),
            ("Hello", None),
            ("12345", None),
            ("😀", None),
            ("El 1º y el 2º premio", None),
            ("Os 3ªs e os 4ºs", None),
            ("The α-helix and β-sheet are secondary structures", None),
            ("5 µm and 7 µm wide", None),
            ("3 µm", None),
            ("The Russian word привет means hello", None),
            ("你 is a Chinese letter in this otherwise English text", None),
            ("A long sentence in English about 北京", None),
            ("Москва is a city", "ru"),
        ],
    )
    def test_a_text_gets_a_voice_of_its_script(self, machine, tmp_path, text, voice):
        machine.install("espeak-ng", FOREIGN_VOICES)
        speak(text, tmp_path / "said.wav")
        argv = machine.called["argv"]
        assert (argv[argv.index("-v") + 1] if "-v" in argv else None) == voice

    def test_the_voice_that_reads_chinese_is_taken_for_it(self, machine, tmp_path):
        more = " 5  cmn-latn-pinyin --/M      Chinese_(Pinyin)   sit/cmn-Latn-pinyin  (zh 5)\n"
        machine.install("espeak-ng", FOREIGN_VOICES + more)
        for number, voice in enumerate((None, "zh", "espeak-ng:cmn")):
            speak("你好", tmp_path / f"{number}.wav", voice=voice)
            assert machine.called["argv"][machine.called["argv"].index("-v") + 1] == "cmn-latn-pinyin"

    @pytest.mark.parametrize(
        ("asked", "voice"),
        [
            *(("zh", "cmn"), ("zh-CN", "cmn"), ("cn", "cmn"), ("jp", "ja"), ("kr", "ko"), ("ua", "uk")),
            *(("iw", "he"), ("no", "nb"), ("pt-BR", "pt-br"), ("en-GB", ""), ("de-AT", "de"), ("ger", "de")),
        ],
    )
    def test_languages_by_their_other_names(self, machine, tmp_path, asked, voice):
        machine.install("espeak-ng", FOREIGN_VOICES)
        assert say.check_voice("123", asked).id == f"espeak-ng:{voice}".rstrip(":")

    @pytest.mark.parametrize(
        ("text", "voice", "told"),
        [
            ("ສະບາຍດີ", None, r"No voice here can read the Lao letters.*--voice"),
            ("東京へ行きます", None, r"Chinese characters.*--voice"),
            ("東京", "ja", r"Japanese cannot read the Chinese characters.*--voice"),
            ("你好", "de", r"German cannot read the Chinese characters.*--voice"),
            ("Привет", "en-us", r"cannot read the Cyrillic letters.*--voice"),
        ],
    )
    def test_what_would_be_spelt_is_refused(self, machine, tmp_path, text, voice, told):
        machine.install("espeak-ng", FOREIGN_VOICES)
        with pytest.raises(AudioError, match=told) as caught:
            speak(text, tmp_path / "said.wav", voice=voice)
        assert "--" not in caught.value.worded(REQUEST)
        assert not machine.log.exists()

    def test_say_and_piper_find_one_too(self, machine, tmp_path, monkeypatch):
        monkeypatch.setattr(speech_programs, "SYSTEM", "Darwin")
        machine.install("say", SAY_VOICES)
        assert say.check_voice("你好，我叫婷婷。", None).id == "say:Tingting"
        assert say.check_voice("Hello", None).id == "say"
        with pytest.raises(AudioError, match="Cyrillic"):
            say.check_voice("Привет", None)
        machine.install("espeak-ng", FOREIGN_VOICES)
        assert say.check_voice("Привет", None).id == "espeak-ng:ru"
        machine.install("piper")
        piper_voice(tmp_path / "models" / "voices", "en_US-amy", "en_US")
        piper_voice(tmp_path / "models" / "voices", "zh_CN-huayan", "zh_CN")
        assert say.check_voice("你好", None, tmp_path / "models").id == "piper:zh_CN-huayan"
        assert say.check_voice("Hello", None, tmp_path / "models").id == "piper:en_US-amy"

    def test_a_program_that_does_not_tell_its_voices_speaks_all_the_same(self, machine, monkeypatch):
        monkeypatch.setattr(speech_programs, "SYSTEM", "Windows")
        machine.install("powershell", "")
        assert say.check_voice("你好", None).id == "sapi"

    def test_sapi_finds_one_too(self, machine, monkeypatch):
        monkeypatch.setattr(speech_programs, "SYSTEM", "Windows")
        machine.install("powershell", SAPI_VOICES + "Microsoft Huihui Desktop\tzh-CN\r\n")
        for voice in (None, "zh", "cmn", "zh-TW"):
            assert say.check_voice("你好", voice).id == "sapi:Microsoft Huihui Desktop"
        with pytest.raises(AudioError, match="--voice"):
            say.check_voice("안녕하세요", None)


@needs_espeak
@pytest.mark.parametrize("voice", [None, "zh", "zh-CN"])
def test_espeak_ng_really_reads_chinese(tmp_path, voice):
    few = load_speech(speak("你好", tmp_path / "few.wav", voice=voice)).duration
    spelt = load_speech(speak("Chinese letter, Chinese letter", tmp_path / "spelt.wav")).duration
    assert few < 0.8 * spelt
