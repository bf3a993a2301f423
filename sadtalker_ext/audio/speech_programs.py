"""The speech programs of this machine into voices, and a voice into the command that speaks a text."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ..errors import AudioError, Foreign
from ..host import Check, nothing
from ..system import processes
from ..system.caches import kept
from ..system.foreign import JSON_BYTES, parse_json, read_file
from ..system.paths import is_file, user_path

SYSTEM = platform.system()
VOICES_VARIABLE = "SADTALKER_PIPER_VOICES"  # voice files of piper, and folders of them
LISTING_SECONDS = 20.0  # after which a program that is asked for its voices is left alone
CHECK_SECONDS = 0.1  # between two looks at whether the caller still wants the result
MESSAGE_CHARACTERS = 160  # of a program's complaint that go into a sentence
PINYIN = "cmn-latn-pinyin"  # espeak-ng's voice that reads Chinese
OUTPUT_BYTES = 1 << 20  # of a program's list of voices

# Constant: what varies is read from the environment and from a file, so no text ever becomes a command.
SAPI_SPEAK = (
    "$ErrorActionPreference = 'Stop'; Add-Type -AssemblyName System.Speech; "
    "$text = [IO.File]::ReadAllText($env:SADTALKER_TEXT, [Text.Encoding]::UTF8); "
    "$voice = New-Object System.Speech.Synthesis.SpeechSynthesizer; "
    "if ($env:SADTALKER_VOICE) { $voice.SelectVoice($env:SADTALKER_VOICE) }; "
    "$voice.SetOutputToWaveFile($env:SADTALKER_WAV); $voice.Speak($text); $voice.Dispose()"
)
SAPI_LIST = (
    "$ErrorActionPreference = 'Stop'; [Console]::OutputEncoding = [Text.Encoding]::UTF8; "
    "Add-Type -AssemblyName System.Speech; "
    "(New-Object System.Speech.Synthesis.SpeechSynthesizer).GetInstalledVoices() | "
    "Where-Object { $_.Enabled } | "
    "ForEach-Object { ($_.VoiceInfo.Name, $_.VoiceInfo.Culture.Name) -join [char]9 }"
)


@dataclass(frozen=True)
class Voice:
    """One voice. id: what `speak` is told, like "espeak-ng:en-us". language: a tag like "en-US", or ""."""

    id: str
    name: str
    language: str
    program: str


@dataclass(frozen=True)
class Command:
    """One run of a program. reads_stdin: the text comes by its standard input, as UTF-8."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    reads_stdin: bool = True


@dataclass(frozen=True)
class Speaker:
    """A voice and how it is made to speak. command: (file of the text, wav to write) to the program's run."""

    voice: Voice
    command: Callable[[Path, Path], Command]


@dataclass(frozen=True)
class Program:
    """A speech program that was found: the voice it takes when none is named, and all of its voices."""

    name: str
    default: Speaker
    speakers: tuple[Speaker, ...]


def programs(models_dir: Path | None) -> Iterator[Program]:
    """The speech programs that are here, best first: piper with voices, the system's own, espeak-ng."""
    piper = _piper(models_dir)
    if piper is not None:
        yield piper
    if SYSTEM == "Darwin" and (say := shutil.which("say")):
        yield _say(say)
    if SYSTEM == "Windows" and (powershell := shutil.which("powershell")):
        yield _sapi(powershell)
    espeak = _espeak_executable()
    if espeak is not None:
        yield _espeak(*espeak)


# --- espeak-ng ---------------------------------------------------------------------------------------------


def _espeak_executable() -> tuple[str, str] | None:
    """(name, path) of espeak-ng or its predecessor."""
    for name in ("espeak-ng", "espeak"):
        found = shutil.which(name)
        if found:
            return name, found
    usual = Path(os.environ.get("ProgramFiles", ""), "eSpeak NG", "espeak-ng.exe")  # noqa: SIM112
    return ("espeak-ng", str(usual)) if SYSTEM == "Windows" and usual.is_file() else None


def _espeak(name: str, executable: str) -> Program:
    def speaker(voice: Voice, key: str) -> Speaker:
        # The voice that reads Latin letters as English reads Chinese ones as English names of their sounds.
        key = PINYIN if key == "cmn" and PINYIN in counts else key
        chosen = ("-v", key) if key else ()
        return Speaker(
            voice, lambda _, wav: Command((executable, *chosen, "-b", "1", "--stdin", "-w", str(wav)))
        )

    rows = re.findall(r"(?m)^ *\d+ +(\S+) +\S+ +(\S+) +(\S+)", _listed(executable, "--voices"))
    # Voices of MBROLA are listed even where that program and its data are absent.
    rows = [row for row in rows if not row[2].startswith("mb/")]
    counts = Counter(language for language, _, _ in rows)
    speakers = []
    for language, title, file in rows:
        key = language if counts[language] == 1 else file
        speakers.append(speaker(Voice(f"{name}:{key}", title.replace("_", " "), language, name), key))
    speakers.sort(key=lambda s: s.voice.name.casefold())
    return Program(name, speaker(Voice(name, "English", "en", name), ""), tuple(speakers))


# --- macOS -------------------------------------------------------------------------------------------------


def _say(executable: str) -> Program:
    def speaker(voice: Voice, key: str) -> Speaker:
        chosen = ("-v", key) if key else ()
        form = ("--file-format=WAVE", "--data-format=LEI16@22050")
        environment = {"LC_ALL": "en_US.UTF-8"}  # how it reads its input
        return Speaker(
            voice,
            lambda _, wav: Command((executable, *chosen, "-f", "-", "-o", str(wav), *form), environment),
        )

    rows = re.findall(r"(?m)^(\S.*?) +([a-z]{2,3}(?:[_-]\w+)+) +#", _listed(executable, "-v", "?"))
    speakers = tuple(
        speaker(Voice(f"say:{title}", title, language.replace("_", "-"), "say"), title)
        for title, language in rows
    )
    return Program("say", speaker(Voice("say", "the system's voice", "", "say"), ""), speakers)


# --- Windows -----------------------------------------------------------------------------------------------


def _sapi(executable: str) -> Program:
    start = (executable, "-NoLogo", "-NoProfile", "-NonInteractive", "-Command")

    def speaker(voice: Voice, key: str) -> Speaker:
        def command(text: Path, wav: Path) -> Command:
            told = {"SADTALKER_TEXT": str(text), "SADTALKER_WAV": str(wav), "SADTALKER_VOICE": key}
            return Command((*start, SAPI_SPEAK), told, reads_stdin=False)

        return Speaker(voice, command)

    rows = [line.split("\t") for line in _listed(*start, SAPI_LIST).splitlines() if line.count("\t") == 1]
    speakers = tuple(speaker(Voice(f"sapi:{row[0]}", row[0], row[1].strip(), "sapi"), row[0]) for row in rows)
    return Program("sapi", speaker(Voice("sapi", "the system's voice", "", "sapi"), ""), speakers)


# --- piper -------------------------------------------------------------------------------------------------


def _piper(models_dir: Path | None) -> Program | None:
    start = _piper_start()
    if start is None:
        return None
    counts: Counter[str] = Counter()
    speakers = []
    for model in _piper_models(models_dir):
        counts[model.stem] += 1
        key = model.stem if counts[model.stem] == 1 else f"{model.stem}-{counts[model.stem]}"
        voice = Voice(f"piper:{key}", key, _piper_language(model), "piper")
        speakers.append(Speaker(voice, _piper_command(start, model)))
    return Program("piper", speakers[0], tuple(speakers)) if speakers else None


def _piper_start() -> tuple[str, ...] | None:
    found = shutil.which("piper")
    if found:
        return (found,)
    try:
        distribution("piper-tts")
    except PackageNotFoundError:
        return None
    return (sys.executable, "-m", "piper")


def _piper_command(start: tuple[str, ...], model: Path) -> Callable[[Path, Path], Command]:
    # Python's own standard input would be read in the system's code page on Windows.
    environment = {"PYTHONUTF8": "1"}
    return lambda _, wav: Command((*start, "--model", str(model), "--output_file", str(wav)), environment)


def _piper_models(models_dir: Path | None) -> list[Path]:
    """The .onnx voices, each with its .onnx.json beside it, in named places first."""
    places = os.environ.get(VOICES_VARIABLE, "").split(os.pathsep)
    named = [user_path(place) for place in places if place]
    if models_dir is not None:
        named.append(models_dir / "voices")
    models: dict[Path, None] = {}  # an ordered set
    for place in named:
        voices = sorted([*place.glob("*.onnx"), *place.glob("*/*.onnx")])
        inside = [place] if place.suffix == ".onnx" else voices
        whole = [model for model in inside if is_file(model.with_name(f"{model.name}.json"))]
        models |= dict.fromkeys(model.resolve() for model in whole)
    return list(models)


def _piper_language(model: Path) -> str:
    try:
        told = parse_json(read_file(model.with_name(f"{model.name}.json"), JSON_BYTES))
        language = told["language"]["code"]
    except (OSError, ValueError, KeyError, TypeError):
        found = re.match(r"[a-z]{2,3}_[A-Z]{2}(?=-)", model.name)
        language = found.group() if found else ""
    return str(language).replace("_", "-")


# --- running -----------------------------------------------------------------------------------------------


def _listed(*arguments: str) -> str:
    """What a program prints when it is asked for its voices; "" when it does not answer."""
    try:
        return _answer(*arguments)
    except AudioError:
        return ""  # it may still speak with its default voice


@kept(8)
def _answer(*arguments: str) -> str:
    return run(Command(arguments, reads_stdin=False), None, LISTING_SECONDS)


def run(command: Command, text: Path | None, seconds: float, check: Check = nothing) -> str:
    """Runs a program to its end and returns what it printed.

    text: the file given to its standard input. seconds: after which it is ended. check: called several times
    a second; what it raises ends the program and goes to the caller. Raises `AudioError` when it cannot be
    started, fails or takes too long.
    """
    name = Path(command.arguments[0]).stem
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complaints:
        given = text.open("rb") if text is not None and command.reads_stdin else None
        try:
            process = processes.start(
                list(command.arguments),
                stdin=given or subprocess.DEVNULL,
                stdout=printed,
                stderr=complaints,
                env={**os.environ, **command.environment},
            )
        except OSError as error:
            if error.errno in processes.SHORTAGES:
                raise
            raise AudioError(
                "The speech program {name} cannot be started ({error}); install it anew.", error, name=name
            ) from error
        finally:
            if given is not None:
                given.close()
        try:
            status = _waited(process, time.monotonic() + seconds, check)
        finally:
            processes.end(process)
        if status is None:
            raise AudioError(
                f"The speech program {name} did not finish within {seconds:.0f} s; "
                "try a shorter text or another voice."
            )
        complaints.seek(0)
        if status != 0:
            reason = _last_line(complaints.read(OUTPUT_BYTES).decode("utf-8", "replace")) or f"exit {status}"
            raise AudioError(
                "The speech program {name} failed ({reason}); choose another voice.",
                Foreign(reason),
                name=name,
            )
        printed.seek(0)
        return printed.read(OUTPUT_BYTES).decode("utf-8", "replace")


def _waited(process: subprocess.Popen[bytes], deadline: float, check: Check) -> int | None:
    """The exit status, or None when the deadline came first."""
    while time.monotonic() < deadline:
        check()
        try:
            return process.wait(CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    return None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:MESSAGE_CHARACTERS] if lines else ""
