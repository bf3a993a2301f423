"""Texts into speech with exact phone times: flite's voices made from recordings, espeak-ng's formants."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sadtalker_ext.motion.phones import PHONE_KINDS, SAMPLE_RATE, SILENCE, Phone

# Written for this benchmark; nothing was tuned on them.
ENGLISH = (
    "Good morning, and welcome to the program. Today we are talking about maps, boats and very old bridges.",
    "The baby was asleep before the bus reached the park. Her mother put the blue blanket over both of them.",
    "If you want to improve your memory, begin with simple numbers. "
    "Repeat them slowly, and sleep well at night.",
    "There was nothing on the table except a knife, a glass of water and the letter that he had never sent.",
    "Many happy couples complain about small problems. "
    "The important part is to keep talking, and to keep laughing.",
    "A sudden storm drove the ship towards the rocks. "
    "The crew cut the ropes, threw out the anchor and hoped.",
    "Could you possibly bring me a cup of coffee and a piece of apple pie? "
    "I am terribly hungry this afternoon.",
    "The museum shows paintings from every period. "
    "Visitors may take photographs, but must not use a lamp or a flash.",
    "He said that the answer is in the third chapter. I read it twice, yet I still do not see what he means.",
    "Above the village stands an empty tower. "
    "People believe that a proud prince built it to impress his brother.",
)
FOREIGN = {
    "it": (
        "Buongiorno a tutti, oggi parliamo di un problema molto importante per il nostro paese.",
        "Mia madre compra sempre il pane e la frutta al mercato, poi beve un caffè al bar con le amiche.",
    ),
    "nl": (
        "Mijn broer woont al een paar jaar in een klein dorp bij de zee, maar hij werkt nog in de stad.",
        "Wil je misschien een kopje thee met een boterham, of moet je meteen weer op pad?",
    ),
    "pt": (
        "Bom dia, preciso de um mapa da cidade para chegar ao museu antes do almoço.",
        "O meu irmão comprou uma bicicleta nova e vai sempre por baixo da ponte até à praia.",
    ),
}
# VisemeNet learnt from the last two and never heard the first.
FLITE_VOICES = {"slt": "flite slt", "rms": "flite rms, awb", "awb": "flite rms, awb"}
STRETCH = (1.0, 0.85, 1.15)  # duration of the phones, one after the other over the texts
ESPEAK_ENGLISH = ("en-us+m7", "en-us+f4", "en-gb-scotland")
WORDS_A_MINUTE = 165
NOISE = 3e-4  # as loud as a quiet microphone's; perfect silence tells recognisers too much

_FLITE_NAMES = {"AX": "AH", "IX": "IH", "AXR": "ER", "EL": "L", "EM": "M", "EN": "N", "DX": "T"}
_OPEN_IPA = ("a", "ɑ", "æ", "ɐ")


@dataclass(frozen=True)
class Clip:
    """Speech, mono 16 kHz, with the phones in it where they are known."""

    group: str
    name: str
    samples: np.ndarray
    phones: tuple[Phone, ...] | None


def flite_clips() -> list[Clip]:
    """Every English text by every flite voice; none where flite is not installed."""
    if shutil.which("flite") is None:
        return []
    return [
        _flite(voice, text, STRETCH[number % len(STRETCH)], f"{voice} {number + 1}")
        for voice in FLITE_VOICES
        for number, text in enumerate(ENGLISH)
    ]


def _flite(voice: str, text: str, stretch: float, name: str) -> Clip:
    import librosa

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-psdur"]
        command += ["-t", text, str(path)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        samples, _ = librosa.load(path, sr=SAMPLE_RATE)
    phones: list[Phone] = []
    start = 0.0
    for item in printed.split():
        spelled, end = item.rsplit(":", 1)
        known = _FLITE_NAMES.get(spelled.upper(), spelled.upper())
        phones.append(Phone(known if known in PHONE_KINDS else SILENCE, start, float(end)))
        start = float(end)
    return Clip(FLITE_VOICES[voice], name, samples, tuple(phones))


def espeak_clips() -> list[Clip]:
    """English and foreign texts by espeak-ng; none where its library is not installed."""
    try:
        espeak = _Espeak()
    except OSError:
        return []
    english = [
        espeak.speak(ESPEAK_ENGLISH[number % 3], text, "espeak-ng en", f"{number + 1}")
        for number, text in enumerate(ENGLISH)
    ]
    foreign = [
        espeak.speak(language + variant, text, "espeak-ng it, nl, pt", f"{language}{variant} {number + 1}")
        for language, texts in FOREIGN.items()
        for variant in ("", "+f3", "+m4")
        for number, text in enumerate(texts)
    ]
    return english + foreign


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("phoneme", ctypes.c_char * 8),
    )


class _Espeak:
    """espeak-ng through its library, whose callback says at which sample each phoneme begins."""

    SYNCHRONOUS, PHONEME_EVENTS_IN_IPA, UTF8, RATE_PARAMETER = 2, 1 | 2, 1, 1
    END, PHONEME = 0, 7

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self.library.espeak_Initialize(self.SYNCHRONOUS, 0, None, self.PHONEME_EVENTS_IN_IPA)
        self.pieces: list[np.ndarray] = []
        self.events: list[tuple[int, str]] = []
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self.callback = kind(self._receive)
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, samples, count, events) -> int:
        if count > 0 and samples:
            self.pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        number = 0
        while events[number].type != self.END:
            if events[number].type == self.PHONEME:
                name = events[number].phoneme.split(b"\0")[0].decode("utf-8", "replace")
                self.events.append((events[number].sample, name))
            number += 1
        return 0

    def speak(self, voice: str, text: str, group: str, name: str) -> Clip:
        import librosa

        self.pieces.clear()
        self.events.clear()
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice}")
        self.library.espeak_SetParameter(self.RATE_PARAMETER, WORDS_A_MINUTE, 0)
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, self.UTF8, None, None)
        samples = np.concatenate(self.pieces).astype(np.float32) / 32768
        starts = [sample / self.rate for sample, _ in self.events] + [len(samples) / self.rate]
        phones = tuple(
            Phone(_from_ipa(ipa), start, end)
            for (_, ipa), start, end in zip(self.events, starts[:-1], starts[1:], strict=True)
            if end > start
        )
        samples = librosa.resample(samples, orig_sr=self.rate, target_sr=SAMPLE_RATE)
        noise = np.random.default_rng(0).normal(0, NOISE, len(samples))
        return Clip(group, name, (samples + noise).astype(np.float32), phones)


def _from_ipa(ipa: str) -> str:
    """What the yardstick asks of a phone: /p b m/, open vowels, silence keep their names, others are HH."""
    if not ipa.strip("_ :"):
        return SILENCE
    if ipa[0] in "pbm":
        return ipa[0].upper()
    return "AA" if ipa.startswith(_OPEN_IPA) else "HH"
