"""Writes the demo's inputs: a portrait that scikit-image ships and a speech clip spoken by flite.

Run once by a developer who has `flite` (a Debian package) and `scikit-image`; the results,
`portrait.png` and `speech.wav`, are kept in the repository so that nobody else needs either.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

DEMO = Path(__file__).parents[1] / "sadtalker_ext" / "assets" / "demo"
SAMPLE_RATE = 16000  # Hz, what flite's voices speak at
VOICE = "slt"
SENTENCES = (
    "Hello! A moment ago, I was only a picture.",
    "Now I move my mouth, my eyes and my head, from one sound recording.",
    "Maybe bring a picture of somebody you love, and make it talk!",
)
STRETCH = 0.93  # of flite's own durations: a little livelier than its default
LEAD_S = 0.25  # silence before the first word, seconds
PAUSE_S = 0.45  # between sentences
TAIL_S = 0.4  # after the last word
QUIET = 0.004  # amplitude under which flite's own leading and trailing samples are cut
RMS = 0.1  # level of the whole clip, −20 dBFS
FADE_S = 0.01  # at both ends of a sentence, so that cutting makes no click


def speak(text: str) -> np.ndarray:
    """One sentence as float64 samples (N,) in [−1, 1], without the silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentence.wav"
        stretch = f"duration_stretch={STRETCH}"
        subprocess.run(["flite", "-voice", VOICE, "--setf", stretch, "-t", text, "-o", str(path)], check=True)
        with wave.open(str(path)) as file:
            if file.getframerate() != SAMPLE_RATE or file.getnchannels() != 1:
                raise SystemExit(
                    f"flite spoke at {file.getframerate()} Hz; {SAMPLE_RATE} Hz mono was expected."
                )
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    loud = np.flatnonzero(np.abs(samples) > QUIET)
    samples = samples[loud[0] : loud[-1] + 1]
    fade = np.linspace(0, 1, round(FADE_S * SAMPLE_RATE))
    samples[: len(fade)] *= fade
    samples[-len(fade) :] *= fade[::-1]
    return samples


def write_speech(path: Path) -> None:
    """The demo speech: the sentences with pauses between them, 16-bit mono WAV."""

    def silence(seconds: float) -> np.ndarray:
        return np.zeros(round(seconds * SAMPLE_RATE))

    pieces = [silence(LEAD_S)]
    for number, text in enumerate(SENTENCES):
        pieces += [silence(PAUSE_S)] * (number > 0) + [speak(text)]
    samples = np.concatenate([*pieces, silence(TAIL_S)])
    samples *= RMS / np.sqrt(np.mean(samples**2))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())


def write_portrait(path: Path) -> None:
    """NASA's portrait of Eileen Collins, 512×512, pixel for pixel as scikit-image ships it."""
    from PIL import Image
    from skimage import data

    Image.fromarray(data.astronaut()).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEMO, help="where to write")
    folder: Path = parser.parse_args().folder
    write_portrait(folder / "portrait.png")
    write_speech(folder / "speech.wav")


if __name__ == "__main__":
    main()
