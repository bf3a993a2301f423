"""Turns text into speech with phone times by flite, whose voices were built from recordings of people."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

TRAIN_VOICES = ("rms", "awb", "kal16")
TEST_VOICE = "slt"  # never trained on
CLOSED_SHARE = 0.72  # of a /p/; the rest of it is burst and breath, with the lips apart
IPA = dict(
    aa="ɑ", ae="æ", ah="ʌ", ao="ɔ", aw="aʊ", ax="ə", axr="ɚ", ay="aɪ", b="b", ch="tʃ", d="d", dh="ð", dx="ɾ",
    eh="ɛ", el="əl", em="m", en="n", er="ɚ", ey="eɪ", f="f", g="ɡ", hh="h", hv="h", ih="ɪ", iy="i", jh="dʒ",
    k="k", l="l", m="m", n="n", ng="ŋ", nx="n", ow="oʊ", oy="ɔɪ", p="p", pau="", r="ɹ", s="s", sh="ʃ", t="t",
    th="θ", uh="ʊ", uw="u", v="v", w="w", y="j", z="z", zh="ʒ",
)  # fmt: skip


def speak(
    voice: str, text: str, stretch: float = 1.0, pitch_hz: float | None = None
) -> tuple[np.ndarray, int, tuple[tuple[float, str], ...]]:
    """int16 samples, their rate in Hz, and (start in seconds, IPA) of every phone; "" is a pause.

    `stretch` multiplies durations. Raises OSError where flite is not installed.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "-psdur", "--setf", f"duration_stretch={stretch}"]
        if pitch_hz is not None:
            command += ["--setf", f"int_f0_target_mean={pitch_hz}"]
        command += ["-t", text, "-o", str(path)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        samples, rate = soundfile.read(path, dtype="int16")
    phones, start = [], 0.0
    for name, end in re.findall(r"(\w+):([\d.]+)", printed):
        phones.append((start, IPA[name]))
        if name == "p":
            phones.append((start + CLOSED_SHARE * (float(end) - start), "h"))
        start = float(end)
    return samples, rate, (*phones, (start, ""))
