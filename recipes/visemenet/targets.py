"""Turns phones with start times into the eight mouth tracks at 100 Hz that the network learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sadtalker_ext.audio.features import FEATURE_RATE, SAMPLE_RATE, smooth

# Mouth of a phone: jaw, width, round, close, labiodental, teeth, tongue, and how it pulls its neighbours'
# jaw, teeth and tongue, and their width and round. Jaw 0 shut .. 1 wide open; width -1 narrow .. 1 spread.
JAW, WIDTH, ROUND, CLOSE, LABIODENTAL, TEETH, TONGUE, PULL, LIP_PULL = range(9)
PAUSE = np.array([0, 0, 0, 0, 0, 0, 0, 1.0, 0.6], np.float32)

JAW_SIGMA = 0.040  # s; how far the jaw blends one phone into the next
LIP_SIGMA = 0.060  # s; lips round and spread earlier and longer than the jaw moves
TEETH_SIGMA = 0.030  # s
CLOSE_SIGMA = 0.015  # s; lips shut and part fast
SPEECH_SIGMA = 0.020  # s
SHORTEST_CLOSURE = 0.060  # s; shorter ones are held this long, as video at 25 fps would miss them
JAW_UNDER_CLOSURE = 0.75  # share of the jaw's opening that shut lips take away
JAW_UNDER_LABIODENTAL = 0.40


def _table() -> dict[str, np.ndarray]:
    mouths: dict[str, np.ndarray] = {}

    def add(
        phones: str,
        jaw: float,
        width: float,
        round_: float,
        close: float = 0.0,
        labiodental: float = 0.0,
        teeth: float = 0.3,
        tongue: float = 0.2,
        pull: float = 1.0,
        lip_pull: float = 1.0,
    ) -> None:
        for phone in phones.split():
            mouths[phone] = np.array(
                [jaw, width, round_, close, labiodental, teeth, tongue, pull, lip_pull], np.float32
            )

    add("a ɑ ä ɐ", 0.95, 0.05, 0, teeth=0.35)
    add("ʌ", 0.75, 0, 0.05)
    add("æ", 0.90, 0.35, 0)
    add("ɒ", 0.80, -0.10, 0.45)
    add("ɛ ε", 0.62, 0.35, 0)
    add("e", 0.50, 0.45, 0)
    add("ɜ ɚ ɝ", 0.45, 0, 0.2)
    add("ə ɘ", 0.40, 0.05, 0.05, pull=0.5, lip_pull=0.4)
    add("ᵻ", 0.30, 0.30, 0, pull=0.6)
    add("i", 0.22, 0.80, 0, teeth=0.6)
    add("ɪ", 0.32, 0.50, 0, teeth=0.5)
    add("ɨ ɯ", 0.28, 0.35, 0.05)
    add("y", 0.20, -0.30, 0.85)
    add("ʏ ʉ", 0.25, -0.20, 0.75)
    add("ø ɵ", 0.38, -0.20, 0.70)
    add("œ", 0.55, -0.10, 0.55)
    add("o ɤ", 0.45, -0.35, 0.85)
    add("ɔ", 0.65, -0.20, 0.60)
    add("u", 0.22, -0.50, 1.0)
    add("ʊ", 0.30, -0.30, 0.75)
    add("m b p ɓ", 0.10, 0, 0.05, close=1, teeth=0, lip_pull=0.3)
    add("β ɸ", 0.15, 0, 0.15, close=0.3, lip_pull=0.4)  # lips near each other, never shut
    add("f v", 0.15, 0.10, 0, labiodental=1, teeth=0.6, pull=1.2, lip_pull=0.4)
    add("ʋ ɱ", 0.20, 0.10, 0, labiodental=0.6, lip_pull=0.4)
    add("w ʍ", 0.18, -0.45, 0.95, lip_pull=1.3)
    add("ɹ ɻ", 0.28, -0.10, 0.35, pull=0.7, lip_pull=0.7)
    add("r ɾ ɽ ʁ ʀ", 0.32, 0.10, 0.05, tongue=0.5, pull=0.5, lip_pull=0.25)
    add("l ɫ ɭ ʎ ɬ", 0.35, 0.15, 0, teeth=0.4, tongue=0.9, pull=0.6, lip_pull=0.3)
    add("θ ð", 0.22, 0.15, 0, teeth=0.7, tongue=1, pull=0.9, lip_pull=0.4)
    add("t d n ɳ ʈ ɖ ɗ", 0.20, 0.20, 0, teeth=0.6, tongue=0.7, pull=0.7, lip_pull=0.25)
    add("s z", 0.10, 0.40, 0, teeth=1, pull=1.1, lip_pull=0.6)
    add("ʃ ʒ ʂ ʐ", 0.15, -0.10, 0.55, teeth=0.9, pull=1.1, lip_pull=0.8)
    add("ɕ ʑ ç", 0.14, 0.30, 0.1, teeth=0.9, lip_pull=0.5)
    add("k ɡ g ŋ x ɣ χ q ɴ c ɟ ʝ ɲ ħ ʕ", 0.32, 0.15, 0, teeth=0.35, pull=0.5, lip_pull=0.2)
    add("h ɦ ʔ", 0.40, 0.05, 0, pull=0.15, lip_pull=0.1)
    add("j ɥ", 0.22, 0.60, 0.05, teeth=0.5, pull=0.6, lip_pull=0.6)
    return mouths


MOUTHS = _table()
BILABIAL = frozenset("mbpɓ")
VOICELESS_STOPS = frozenset("ptkqcʈ")
ENERGY_STEP = 0.005  # s
SILENCE_DEPTH = 3.5  # nepers of power (15 dB) under the loudest step before: the mouth is shut
USUAL_SILENCE = 0.060  # s; of a stop after a pause, where it cannot be heard
LONGEST_SILENCE = 0.150  # s
SHORTEST_PHONE = 0.015  # s; left to the phone before
BURST = 0.010  # s; after which the lips have visibly parted


def place_stops(samples: np.ndarray, phones: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """Phones with voiceless stops begun where their silence begins, as the mouth makes them.

    espeak-ng announces a voiceless stop at its burst; the silence before, in which the mouth is shut, it
    counts to the phone before. A bilabial one opens `BURST` after its burst; what follows belongs to breath.
    `samples`: clean speech, (N,) at 16 kHz.
    """
    hop = int(ENERGY_STEP * SAMPLE_RATE)
    wave = np.asarray(samples, np.float32)
    steps = len(wave) // hop
    energy = np.log(
        np.square(wave[: steps * hop]).reshape(steps, hop).mean(axis=1)
        + 1e-3 * np.square(wave).mean()
        + 1e-12
    )
    placed: list[tuple[float, str]] = []
    for index, (start, name) in enumerate(phones):
        if name[:1] not in VOICELESS_STOPS or not name:
            placed.append((start, name))
            continue
        before = placed[-1] if placed else (0.0, "")
        earliest = max(before[0] + (0.0 if before[1] == "" else SHORTEST_PHONE), start - LONGEST_SILENCE)
        if before[1] == "":
            onset = max(earliest, start - USUAL_SILENCE)
        else:
            burst, first = int(start / ENERGY_STEP), int(earliest / ENERGY_STEP)
            loud = energy[max(0, first - 10) : burst].max(initial=-99.0) - SILENCE_DEPTH
            step = burst
            while step > first and step - 1 < steps and energy[step - 1] < loud:
                step -= 1
            onset = max(earliest, step * ENERGY_STEP)
        onset = min(onset, start)
        placed.append((onset, name[:1] if name[0] == "p" else name))
        if name[0] == "p":
            end = phones[index + 1][0] if index + 1 < len(phones) else start + 2 * BURST
            if start + BURST < end:
                release = "".join(c for c in name[1:] if c in MOUTHS)
                placed.append((start + BURST, release or "h"))
    return tuple(placed)


def split_phones(phones: Sequence[tuple[float, str]], seconds: float) -> list[tuple[float, float, str]]:
    """Simple phones as (start, end, symbol) in seconds; affricates and diphthongs are halved, "" is a pause.

    Marks that are no phone (length, stress, tones, "(en)" language switches) are dropped.
    """
    known: list[tuple[float, list[str]]] = []
    for start, name in phones:
        symbols = [c for c in name if c in MOUTHS]
        if name.startswith("(") or (name and not symbols):
            continue
        known.append((start, symbols or [""]))
    pieces: list[tuple[float, float, str]] = []
    for index, (start, symbols) in enumerate(known):
        end = known[index + 1][0] if index + 1 < len(known) else seconds
        step = (end - start) / len(symbols)
        pieces += [(start + i * step, start + (i + 1) * step, s) for i, s in enumerate(symbols)]
    return pieces


def mouth_tracks(phones: Sequence[tuple[float, str]], frames: int) -> np.ndarray:
    """(frames, 8) float32 at 100 Hz: jaw, width, round, close, labiodental, teeth, tongue, speech."""
    raw = np.tile(PAUSE, (frames, 1))
    lips = np.zeros((frames, 2), np.float32)  # close, labiodental
    speech = np.zeros((frames, 1), np.float32)
    for start, end, symbol in split_phones(phones, frames / FEATURE_RATE):
        first, last = round(start * FEATURE_RATE), round(end * FEATURE_RATE)
        if not symbol:
            continue
        mouth = MOUTHS[symbol]
        raw[first:last] = mouth
        speech[first:last] = 1
        missing = SHORTEST_CLOSURE - (end - start)
        if missing > 0 and (mouth[CLOSE] > 0.5 or mouth[LABIODENTAL] > 0.5):
            first = max(0, round((start - missing / 2) * FEATURE_RATE))
            last = round((end + missing / 2) * FEATURE_RATE)
        lips[first:last] = np.maximum(lips[first:last], mouth[[CLOSE, LABIODENTAL]])
    pull, lip_pull = raw[:, PULL : PULL + 1], raw[:, LIP_PULL : LIP_PULL + 1]

    def blend(columns: slice, weight: np.ndarray, sigma: float) -> np.ndarray:
        sigma *= FEATURE_RATE
        return smooth(raw[:, columns] * weight, sigma) / (smooth(weight, sigma) + 1e-4)

    jaw = blend(slice(JAW, JAW + 1), pull, JAW_SIGMA)
    width_round = blend(slice(WIDTH, ROUND + 1), lip_pull, LIP_SIGMA)
    teeth_tongue = blend(slice(TEETH, TONGUE + 1), pull, TEETH_SIGMA)
    lips = smooth(lips, CLOSE_SIGMA * FEATURE_RATE)
    jaw = jaw * (1 - JAW_UNDER_CLOSURE * lips[:, :1]) * (1 - JAW_UNDER_LABIODENTAL * lips[:, 1:])
    speech = smooth(speech, SPEECH_SIGMA * FEATURE_RATE)
    return np.concatenate([jaw, width_round, lips, teeth_tongue, speech], axis=1).astype(np.float32)


def closures(phones: Sequence[tuple[float, str]], seconds: float) -> np.ndarray:
    """(n, 2) start and end in seconds of every bilabial closure; touching ones are one (as in "mb")."""
    merged: list[list[float]] = []
    for start, end, symbol in split_phones(phones, seconds):
        if symbol not in BILABIAL or not symbol:
            continue
        if merged and start - merged[-1][1] < 1e-6:
            merged[-1][1] = end
        else:
            merged.append([start, end])
    return np.array(merged, np.float64).reshape(-1, 2)
