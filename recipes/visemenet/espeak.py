"""Turns text into speech with exact phone times, by the event callback of the installed espeak-ng library."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LIBRARY = "libespeak-ng.so.1"
OUTPUT_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: AUDIO_OUTPUT_SYNCHRONOUS
INIT_PHONEME_EVENTS = 1  # espeak_Initialize option: phoneme events ...
INIT_PHONEME_IPA = 2  # ... that carry IPA names
EVENT_LIST_TERMINATED = 0
EVENT_PHONEME = 7
PARAMETER_RATE, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4
CHARS_UTF8 = 1


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Spoken:
    """Synthetic speech: int16 samples, their rate in Hz, (start in seconds, IPA) of phones; "" is a pause."""

    samples: np.ndarray
    rate: int
    phones: tuple[tuple[float, str], ...]


class Espeak:
    """The library, initialised once. Use `espeak()`; the library keeps global state, so there is only one."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._waves: list[np.ndarray] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _Callback(self._receive)  # must outlive the library's pointer to it
        self.rate = self._library.espeak_Initialize(
            OUTPUT_SYNCHRONOUS, 0, None, INIT_PHONEME_EVENTS | INIT_PHONEME_IPA
        )
        if self.rate <= 0:
            raise OSError("espeak-ng could not be initialised: is its espeak-ng-data package installed?")
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, wave, count, events) -> int:
        if count > 0 and wave:
            self._waves.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != EVENT_LIST_TERMINATED:
            event = events[index]
            if event.type == EVENT_PHONEME:
                name = bytes(event.id.string).split(b"\0")[0].decode("utf-8", "ignore")
                self._events.append((event.sample, name))
            index += 1
        return 0

    def speak(
        self, voice: str, text: str, words_per_minute: int, pitch: int, pitch_range: int
    ) -> Spoken | None:
        """Speech of `text` by `voice` ("de+f2"); None where the library has no such voice or says nothing."""
        self._waves.clear()
        self._events.clear()
        library = self._library
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        library.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0)
        library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
        library.espeak_SetParameter(PARAMETER_RANGE, pitch_range, 0)
        raw = text.encode("utf-8")
        library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, CHARS_UTF8, None, None)
        library.espeak_Synchronize()
        if not self._waves or not self._events:
            return None
        phones = tuple((sample / self.rate, name) for sample, name in self._events)
        return Spoken(np.concatenate(self._waves), self.rate, phones)


@lru_cache(maxsize=1)
def espeak() -> Espeak:
    """The one instance. Raises OSError where espeak-ng is not installed."""
    return Espeak()
