"""Turns sentences spoken by flite, whose voices were built from real recordings, into a test of VisemeNet.

flite prints when its phones end. Training never hears it, so the figures say how well that carries over.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from sadtalker_ext.audio.features import FEATURE_RATE, SAMPLE_RATE
from sadtalker_ext.motion.visemes import load_visemenet, predict_visemes
from training.visemenet import texts
from training.visemenet.evaluate import CLOSE, SHUT, score
from training.visemenet.targets import mouth_tracks

VOICES = ("slt", "rms", "awb")
CHANCE_SHIFTS = np.arange(0.35, 2.0, 0.17)  # s
IPA = dict(
    aa="ɑ", ae="æ", ah="ʌ", ao="ɔ", aw="aʊ", ax="ə", axr="ɚ", ay="aɪ", b="b", ch="tʃ", d="d", dh="ð", dx="ɾ",
    eh="ɛ", el="əl", em="m", en="n", er="ɚ", ey="eɪ", f="f", g="ɡ", hh="h", hv="h", ih="ɪ", iy="i", jh="dʒ",
    k="k", l="l", m="m", n="n", ng="ŋ", nx="n", ow="oʊ", oy="ɔɪ", p="p", pau="", r="ɹ", s="s", sh="ʃ", t="t",
    th="θ", uh="ʊ", uw="u", v="v", w="w", y="j", z="z", zh="ʒ",
)  # fmt: skip


def speak(voice: str, text: str) -> tuple[np.ndarray, tuple[tuple[float, str], ...]]:
    """Samples at 16 kHz in -1..1 and (start in seconds, IPA) of each phone. Raises OSError without flite."""
    import soundfile
    import soxr

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        samples, rate = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE)
    phones, start = [], 0.0
    for name, end in re.findall(r"(\w+):([\d.]+)", printed):
        phones.append((start, IPA[name]))
        start = float(end)
    return samples, (*phones, (start, ""))


def closed_share(close: np.ndarray, phones: tuple[tuple[float, str], ...], shift: float) -> list[bool]:
    """Whether the lips shut in each /p b m/, with its time moved by `shift` seconds around the recording."""
    seconds, shut = len(close) / FEATURE_RATE, []
    for (start, name), (end, _) in itertools.pairwise(phones):
        if name in ("p", "b", "m"):
            first = int(((start + shift) % seconds) * FEATURE_RATE)
            shut.append(bool((close[first : first + max(2, int((end - start) * FEATURE_RATE))] > SHUT).any()))
    return shut


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=None, help="default: the embedded ones")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    net = load_visemenet(args.weights)
    sentences = texts.SENTENCES["en"].splitlines()
    everyone: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for voice in VOICES:
        predicted, truth, shut, chance = [], [], [], []
        for sentence in sentences:
            samples, phones = speak(voice, sentence)
            tracks = predict_visemes(samples, net=net)
            predicted.append(tracks)
            truth.append(mouth_tracks(phones, len(tracks)))
            shut += closed_share(tracks[:, CLOSE], phones, 0.0)
            for shift in CHANCE_SHIFTS:
                chance += closed_share(tracks[:, CLOSE], phones, shift)
        logging.info("%s %s | shut in /p b m/ %.2f, by chance %.2f", voice, score(predicted, truth).line(),
                     np.mean(shut), np.mean(chance))  # fmt: skip
        everyone[0].extend(predicted)
        everyone[1].extend(truth)
    logging.info("all %s", score(*everyone).line())


if __name__ == "__main__":
    main()
