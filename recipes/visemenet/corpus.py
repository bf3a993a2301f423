"""Turns written sentences into shards of synthetic speech with exact phone times (16 kHz int16 + phones)."""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.visemenet import flite, texts
from recipes.visemenet.espeak import espeak
from recipes.visemenet.targets import place_stops

SAMPLE_RATE = 16000
LONGEST_SECONDS = 16.0  # longer utterances are dropped: they are readings of numbers or of letters
SHORTEST_SECONDS = 0.8

# Variants of the library's voices (timbre, formants, breath). The test ones are never trained on.
TRAIN_VARIANTS = [
    "",
    "f1",
    "f2",
    "f3",
    "f5",
    "m1",
    "m2",
    "m3",
    "m4",
    "m6",
    "m7",
    "m8",
    "klatt",
    "klatt2",
    "klatt3",
    "klatt5",
    "klatt6",
    "croak",
    "whisper",
    "whisperf",
    "Andy",
    "Annie",
    "Denis",
    "Gene",
    "Lee",
    "Marco",
    "Mario",
    "Michael",
    "Mike",
    "Hugo",
    "Jacky",
    "Diogo",
    "Henrique",
    "Andrea",
    "adam",
    "anika",
    "antonio",
    "aunty",
    "benjamin",
    "boris",
    "caleb",
    "david",
    "ed",
    "edward",
    "gustave",
    "iven",
    "john",
    "linda",
    "max",
    "michel",
    "miguel",
    "norbert",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "robert",
    "sandro",
    "shelby",
    "steph",
    "steph3",
    "travis",
    "victor",
    "grandpa",
    "kaukovalta",
]
TEST_VARIANTS = ["f4", "m5", "klatt4", "Alicia", "belinda", "zac"]
ACCENTS = {
    "en": ("en-us", "en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-us-nyc"),
    "es": ("es", "es-419"),
    "pt-br": ("pt-br", "pt"),
    "fr": ("fr-fr", "fr-be"),
}
FLITE_PREFIX = "train_flite"  # of shards whose stops flite has placed already
# Texts that flite reads, all of them as if they were English: foreign ones make up for its few words.
FLITE_TEXTS = ("en", "de", "es", "id", "fi", "sw", "nl", "sv")
ENGLISH_SHARE = 0.5
SYLLABIC = ("cmn", "ko")  # scripts where one character is a syllable: pseudo-words are random characters
MOST_ATTEMPTS = 5
PAUSES = (",", ",", ".", ";", "?", "!")


@dataclass(frozen=True)
class Utterance:
    """One synthetic utterance: int16 samples at 16 kHz, (start in seconds, IPA) of phones, who speaks."""

    samples: np.ndarray
    phones: tuple[tuple[float, str], ...]
    language: str
    variant: str


class Babbler:
    """Says things in one language: sentences, shuffled words, pseudo-words of the language's letters."""

    def __init__(self, language: str, sentences: list[str]) -> None:
        self.sentences = sentences
        self.words = [w for s in sentences for w in re.sub(r"[,.;?!।？。]", " ", s).split()]
        self.syllabic = language in SYLLABIC
        self.spaced = language != "cmn"
        self.next: dict[str, list[str]] = {}
        for word in self.words:
            chars = "^^" + word.lower() + "$"
            for i in range(2, len(chars)):
                self.next.setdefault(chars[i - 2 : i], []).append(chars[i])
        self.letters = sorted({c for w in self.words for c in w})

    def pseudo_word(self, rng: np.random.Generator) -> str:
        if self.syllabic:
            return "".join(rng.choice(self.letters, rng.integers(1, 4)))
        word = ""
        for _ in range(20):
            state, word = "^^", ""
            while len(word) < 12:
                char = str(rng.choice(self.next[state]))
                if char == "$":
                    break
                word += char
                state = state[1] + char
            if len(word) >= 2:
                return word
        return word or self.words[0]

    def text(self, rng: np.random.Generator) -> str:
        kind = rng.random()
        if kind < 0.3:
            return str(rng.choice(self.sentences))
        pseudo_share = 0.15 if kind < 0.65 else 0.9
        words = []
        for _ in range(int(rng.integers(3, 13))):
            word = self.pseudo_word(rng) if rng.random() < pseudo_share else str(rng.choice(self.words))
            words.append(word + (str(rng.choice(PAUSES)) if rng.random() < 0.12 else ""))
        return " ".join(words) + "."


def _utterance(rng: np.random.Generator, babbler: Babbler, language: str, variant: str) -> Utterance | None:
    accent = str(rng.choice(ACCENTS.get(language, (language,))))
    voice = accent + ("+" + variant if variant else "")
    rate, pitch, pitch_range = (
        int(rng.integers(105, 280)),
        int(rng.integers(10, 90)),
        int(rng.integers(15, 90)),
    )
    spoken = espeak().speak(voice, babbler.text(rng), rate, pitch, pitch_range)
    if spoken is None:
        return None
    import soxr

    samples = soxr.resample(spoken.samples, spoken.rate, SAMPLE_RATE)
    seconds = len(samples) / SAMPLE_RATE
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        return None
    return Utterance(samples.astype(np.int16), spoken.phones, language, variant)


def _flite_utterance(rng: np.random.Generator, babbler: Babbler) -> Utterance | None:
    voice = str(rng.choice(flite.TRAIN_VOICES))
    stretch, pitch = float(rng.uniform(0.7, 1.35)), float(rng.uniform(80, 220))
    samples, rate, phones = flite.speak(voice, babbler.text(rng), stretch, pitch)
    if rate != SAMPLE_RATE or not SHORTEST_SECONDS <= len(samples) / SAMPLE_RATE <= LONGEST_SECONDS:
        return None
    return Utterance(samples, phones, "en", voice)


def _ascii(sentences: list[str]) -> list[str]:
    return [unicodedata.normalize("NFKD", s).encode("ascii", "ignore").decode() for s in sentences]


def make_flite_shard(seed: int, hours: float) -> list[Utterance]:
    """`hours` of English, and of others read as English, by flite's training voices; seeded too."""
    rng = np.random.default_rng(seed)
    babblers = [Babbler(language, _ascii(texts.training_sentences(language))) for language in FLITE_TEXTS]
    shard: list[Utterance] = []
    seconds = 0.0
    while seconds < hours * 3600:
        babbler = babblers[0] if rng.random() < ENGLISH_SHARE else babblers[rng.integers(1, len(babblers))]
        utterance = _flite_utterance(rng, babbler)
        if utterance is not None:
            shard.append(utterance)
            seconds += len(utterance.samples) / SAMPLE_RATE
    return shard


def make_shard(
    seed: int, hours: float, languages: tuple[str, ...], variants: list[str], testing: bool
) -> list[Utterance]:
    """`hours` of speech by random `languages` and `variants`; the same seed says the same."""
    rng = np.random.default_rng(seed)
    pick = texts.test_sentences if testing else texts.training_sentences
    babblers = {language: Babbler(language, pick(language)) for language in languages}
    weights = np.array([3.0 if language == "en" else 1.0 for language in languages])
    shard: list[Utterance] = []
    seconds = 0.0
    while seconds < hours * 3600:
        language = str(rng.choice(languages, p=weights / weights.sum()))
        utterance = _utterance(rng, babblers[language], language, str(rng.choice(variants)))
        if utterance is not None:
            shard.append(utterance)
            seconds += len(utterance.samples) / SAMPLE_RATE
    return shard


def _write_shard(path: Path, make: Callable[..., list[Utterance]], seed: int, *how: object) -> None:
    began = time.time()
    shard = make(seed, *how)
    unfinished = path.with_suffix(".tmp")
    about = [[len(u.samples), u.phones, u.language, u.variant] for u in shard]
    with open(unfinished, "wb") as file:
        np.savez(file, samples=np.concatenate([u.samples for u in shard]), about=json.dumps(about))
    unfinished.rename(path)
    who = Counter(u.language for u in shard), len({u.variant for u in shard})
    logging.info(
        "%s: %d utterances, languages %s, %d variants, %.0f s",
        path.stem,
        len(shard),
        *who,
        time.time() - began,
    )


def load_shard(path: Path) -> list[Utterance]:
    """The utterances of one shard that `main` wrote, their stops placed where the mouth makes them."""
    with np.load(path, allow_pickle=False) as shard:
        samples, about = shard["samples"], json.loads(str(shard["about"]))
    utterances = []
    for said, (_, phones, *who) in zip(
        np.split(samples, np.cumsum([length for length, *_ in about])[:-1]), about, strict=True
    ):
        phones = tuple((float(start), str(name)) for start, name in phones)
        if not path.stem.startswith(FLITE_PREFIX):
            phones = place_stops(said, phones)
        utterances.append(Utterance(said, phones, *who))
    return utterances


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="hours of training speech by espeak-ng")
    parser.add_argument("--flite-hours", type=float, default=4.0, help="hours of training speech by flite")
    parser.add_argument("--shard-hours", type=float, default=1.0)
    parser.add_argument("--test-hours", type=float, default=0.6, help="hours of each of the two test sets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards (*.npz)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    train = tuple(x for x in texts.SENTENCES if x not in texts.TEST_LANGUAGES)
    jobs: list[tuple] = [
        ("test_voices", make_shard, args.seed * 1000 + 901, args.test_hours, train, TEST_VARIANTS, True),
        (
            "test_languages",
            make_shard,
            args.seed * 1000 + 902,
            args.test_hours,
            texts.TEST_LANGUAGES,
            TRAIN_VARIANTS,
            True,
        ),
    ]
    jobs += [
        (f"train_{i:03d}", make_shard, args.seed * 1000 + i, args.shard_hours, train, TRAIN_VARIANTS, False)
        for i in range(round(args.hours / args.shard_hours))
    ]
    jobs += [
        (f"{FLITE_PREFIX}_{i:03d}", make_flite_shard, args.seed * 1000 + 500 + i, args.shard_hours)
        for i in range(round(args.flite_hours / args.shard_hours))
    ]
    for name, make, seed, *how in jobs:
        if (args.out / f"{name}.npz").exists():
            continue
        for attempt in range(MOST_ATTEMPTS):
            # A process a shard: espeak-ng 1.51 crashes on a few odd words; the shard then gets another seed.
            arguments = (args.out / f"{name}.npz", make, seed + attempt * 1_000_000, *how)
            child = multiprocessing.get_context("fork").Process(target=_write_shard, args=arguments)
            child.start()
            child.join()
            if child.exitcode == 0:
                break
            logging.warning("%s: espeak-ng died (%s); trying another seed", name, child.exitcode)
        else:
            raise SystemExit(f"Shard {name} could not be made in {MOST_ATTEMPTS} attempts.")


if __name__ == "__main__":
    main()
