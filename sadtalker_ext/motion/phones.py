"""Turns speech into ARPAbet phones with times, by the optional package pocketsphinx.

Two roads, both with the English model that its wheel carries: `recognise_words` decodes words and aligns
their phones (English only, exact closures); `decode_phones` decodes phones without words (any language).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..audio.features import smooth
from ..errors import DependencyError
from ..host import Check, nothing
from ..system.mapped import forget
from ..system.requirements import advice

SAMPLE_RATE = 16000
PHONE_RATE = 100  # the recogniser's frames per second
ENERGY_BLOCK = 1000  # frames measured at a time
PIECE_S = 18.0  # seconds of audio given to the recogniser at once, about; bounds memory and cancel latency
CUT_SEARCH = 0.3  # share of a piece in which the quietest moment to cut is looked for
PAUSE_WINDOW_S = 0.2  # a cut wants this long a quiet moment
LEVEL = 0.1  # root mean square given to the recogniser
MAX_GAIN = 20.0
DITHER = 2e-4  # noise below hearing, so that digital silence has a finite spectrum
SILENCE = "SIL"
UNALIGNED_SCORE = -25.0  # of words that could not be aligned
LEAST_SCORE = -60.0
GOOD_SCORE = -20.0  # at this score a word's phones fit neither well nor badly
SCORE_SCALE = 60.0  # score that weighs as much as being sure of a word
USUAL_AGREEMENT = 0.7  # share of time in which the two roads agree when both hear the same language
TRUST_WINDOW_S = 4.0
WHOLE_WEIGHT = 3.0  # of the whole speech, against that of a window full of speech
TRUSTED = 0.54
WORD_SETTINGS: tuple[Mapping[str, Any], ...] = ({}, {"bestpath": False}, {"fwdflat": False})
ALIGN_SETTINGS: tuple[Mapping[str, Any], ...] = ({}, {"beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80})
# Phones that look or sound alike: two recognisers that understand the same speech agree on the kind.
KINDS: tuple[str, ...] = (
    "AA AE AY AW AH EH",
    "EY IH IY Y",
    "AO OW OY UH UW W",
    "ER R",
    "P B M",
    "F V",
    "TH DH T D N L",
    "S Z SH ZH CH JH",
    "K G NG HH",
)
PHONE_KINDS: Mapping[str, int] = MappingProxyType(
    {phone: kind for kind, phones in enumerate(KINDS) for phone in phones.split()}
)


@dataclass(frozen=True, slots=True)  # an hour of speech has a hundred thousand
class Phone:
    """One phone: ARPAbet name or `SIL`, and when it sounds, in seconds.

    posterior: how sure the recogniser is of the word it belongs to, 0..1. score: how well the sound fits it,
    acoustic log likelihood a frame in the recogniser's unit: about −15 for words understood, −40 for others.
    """

    name: str
    start: float
    end: float
    posterior: float = 1.0
    score: float = 0.0

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Transcript:
    """Phones in time order, without overlaps, and the words understood (none where phones were decoded)."""

    phones: tuple[Phone, ...]
    text: str


def available() -> bool:
    """Whether pocketsphinx is installed."""
    return find_spec("pocketsphinx") is not None


def require() -> None:
    """Raises `DependencyError` unless pocketsphinx is installed."""
    if not available():
        raise DependencyError(
            "Lips by phones need the package pocketsphinx; ask for {lips} visemes, which needs nothing more, "
            "or {advice}",
            "lips",
            advice=advice("pocketsphinx"),
        )


def recognise_words(samples: np.ndarray, *, check: Check = nothing) -> Transcript:
    """English words and the aligned times of their phones.

    samples: float32 (N,) mono 16 kHz. The same samples always give the same result. `check` is called
    between pieces of about `PIECE_S` seconds. Raises `DependencyError` without pocketsphinx.
    """
    require()
    return join([words_of_piece(piece, start) for start, piece in pieces(samples, check)])


def decode_phones(samples: np.ndarray, *, check: Check = nothing) -> Transcript:
    """Phones as they sound, without words, for any language; arguments and errors as `recognise_words`."""
    require()
    return join([phones_of_piece(piece, start) for start, piece in pieces(samples, check)])


def trust_in_words(words: Transcript, phones: Transcript, rows: int) -> np.ndarray:
    """How far the words can be trusted over time, (rows,) at `PHONE_RATE`; from `TRUSTED` on they are right.

    Adds up three signs: how sure the recogniser was of each word among other words, how well the sound fits
    the words' phones, and whether phones decoded without words are of the same kind. Over whole clips, 45
    with real or nearly real English voices measured 0.58 and more, two of Chinese −0.2 and 0.51.
    """
    kind, other = np.full(rows, -1), np.full(rows, -1)
    posterior, score = np.zeros(rows), np.zeros(rows)
    for phone in words.phones:
        if phone.name != SILENCE:
            span = _rows(phone)
            kind[span], posterior[span] = PHONE_KINDS[phone.name], phone.posterior
            score[span] = max(phone.score, LEAST_SCORE)
    for phone in phones.phones:
        if phone.name != SILENCE:
            other[_rows(phone)] = PHONE_KINDS[phone.name]
    spoken, both = (kind >= 0).astype(float), ((kind >= 0) & (other >= 0)).astype(float)
    same = ((kind == other) & (kind >= 0)).astype(float)

    def around(values: np.ndarray, where: np.ndarray, otherwise: float) -> np.ndarray:
        # A few words tell little about the language, so the whole speech counts too.
        whole = float((values * where).sum() / where.sum()) if where.any() else otherwise
        sigma = TRUST_WINDOW_S / 2 * PHONE_RATE
        return (smooth(values * where, sigma) + WHOLE_WEIGHT * whole) / (smooth(where, sigma) + WHOLE_WEIGHT)

    fit = (around(score, spoken, LEAST_SCORE) - GOOD_SCORE) / SCORE_SCALE
    return around(posterior, spoken, 0.0) + fit + around(same, both, 0.0) - USUAL_AGREEMENT


def align_words(samples: np.ndarray, text: str) -> tuple[Phone, ...]:
    """Times of the phones of a known English transcript in (at most a minute of) speech.

    Raises ValueError when a word is not in the recogniser's dictionary or the text does not fit the speech.
    """
    require()
    audio, failure = _pcm(samples), ""
    for settings in ALIGN_SETTINGS:
        decoder = _decoder(**settings)
        try:
            decoder.set_align_text(text)
            _decode(decoder, audio)
            decoder.set_alignment()
            _decode(decoder, audio)
        except (RuntimeError, ValueError) as error:
            failure = str(error)
            continue
        return _merged(_aligned(decoder, 0.0, ()))
    raise ValueError(f"the text cannot be aligned with the speech: {failure}")


def pieces(samples: np.ndarray, check: Check = nothing) -> Iterable[tuple[float, np.ndarray]]:
    """(start in seconds, samples) of pieces cut at the quietest moments, each levelled alone."""
    hop = SAMPLE_RATE // PHONE_RATE
    count = max(1, int(np.ceil(len(samples) / (PIECE_S * SAMPLE_RATE))))
    frames = len(samples) // hop
    energy = np.empty(frames, np.float32)
    for start in range(0, frames, ENERGY_BLOCK):  # without a copy of the whole speech
        stop = min(frames, start + ENERGY_BLOCK)
        block = samples[start * hop : stop * hop].reshape(stop - start, hop)
        energy[start:stop] = np.sqrt(np.einsum("ij,ij->i", block, block) / hop)
        forget(samples)
    window = round(PAUSE_WINDOW_S * PHONE_RATE)
    cuts = [0]
    for number in range(1, count):
        middle, reach = frames * number // count, int(CUT_SEARCH * frames / count)
        low, high = max(cuts[-1] // hop + window, middle - reach), min(frames, middle + reach)
        quiet = np.convolve(energy[low:high], np.ones(window), "valid")
        cuts.append((low + int(np.argmin(quiet)) + window // 2) * hop)
    for start, end in zip(cuts, [*cuts[1:], len(samples)], strict=True):
        check()
        yield start / SAMPLE_RATE, samples[start:end]


def _decoder(**settings: Any) -> Any:
    # A fresh decoder every time: a used one carries the last speech's channel mean, so that the same
    # audio would get other phones.
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL", samprate=SAMPLE_RATE, **settings)


def _decode(decoder: Any, audio: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(audio, full_utt=True)
    decoder.end_utt()


def _pcm(samples: np.ndarray) -> bytes:
    level = float(np.sqrt(np.mean(np.square(samples)) + 1e-12))
    noise = np.random.default_rng(0).normal(0, DITHER, len(samples))
    levelled = samples * min(MAX_GAIN, LEVEL / level) + noise
    return (np.clip(levelled, -1, 1) * 32767).astype("<i2").tobytes()


def words_of_piece(samples: np.ndarray, start: float) -> Transcript:
    """`recognise_words` of one piece that begins `start` seconds into the speech."""
    audio = _pcm(samples)
    text = ""
    spread: list[Phone] = []
    for settings in WORD_SETTINGS:
        decoder = _decoder(**settings)
        try:
            _decode(decoder, audio)
        except RuntimeError:  # too short, or nothing that could be speech
            break
        hypothesis = decoder.hyp()
        if hypothesis is None or not hypothesis.hypstr.strip():
            break
        text = text or hypothesis.hypstr
        spread = spread or _spread(decoder, start)
        posteriors = [segment.prob for segment in decoder.seg()]
        try:
            decoder.set_alignment()
            _decode(decoder, audio)
        except RuntimeError:  # a word got fewer frames than its phones need: other settings cut elsewhere
            continue
        return Transcript(_merged(_aligned(decoder, start, posteriors)), hypothesis.hypstr)
    return Transcript(_merged(spread), text)


def _spread(decoder: Any, start: float) -> list[Phone]:
    """Phones of the words understood, equally long within each word: a makeshift without alignment."""
    phones: list[Phone] = []
    for segment in decoder.seg():
        names = (decoder.lookup_word(segment.word) or SILENCE).split()
        first, frames = segment.start_frame, segment.end_frame + 1 - segment.start_frame
        for number, name in enumerate(names):
            begin, end = first + frames * number / len(names), first + frames * (number + 1) / len(names)
            phones.append(_phone(name, start, begin, end, segment.prob, UNALIGNED_SCORE))
    return phones


def _aligned(decoder: Any, start: float, posteriors: Sequence[float]) -> list[Phone]:
    phones: list[Phone] = []
    # A word's entry is only valid until the next is asked for, so nothing may be collected and read later.
    for number, word in enumerate(decoder.get_alignment()):
        sure = posteriors[number] if number < len(posteriors) else 1.0
        for segment in word:
            end, score = segment.start + segment.duration, segment.score / max(1, segment.duration)
            phones.append(_phone(segment.name, start, segment.start, end, sure, score))
    return phones


def phones_of_piece(samples: np.ndarray, start: float) -> Transcript:
    """`decode_phones` of one piece that begins `start` seconds into the speech."""
    from pocketsphinx import get_model_path

    model = Path(get_model_path()) / "en-us" / "en-us-phone.lm.bin"
    decoder = _decoder(allphone=str(model), lw=2.0, beam=1e-20, pbeam=1e-20)
    try:
        _decode(decoder, _pcm(samples))
    except RuntimeError:  # too short, or nothing that could be speech
        return Transcript((), "")
    heard = decoder.seg() or ()
    phones = [_phone(item.word, start, item.start_frame, item.end_frame + 1) for item in heard]
    return Transcript(_merged(phones), "")


def _phone(
    name: str, offset: float, first: float, end: float, posterior: float = 1.0, score: float = 0.0
) -> Phone:
    """A phone from the recogniser's name (noises become silence) and frames."""
    known = name if name in PHONE_KINDS else SILENCE
    return Phone(known, offset + first / PHONE_RATE, offset + end / PHONE_RATE, min(1.0, posterior), score)


def _rows(phone: Phone) -> slice:
    return slice(round(phone.start * PHONE_RATE), round(phone.end * PHONE_RATE))


def _merged(phones: Iterable[Phone]) -> tuple[Phone, ...]:
    """The same phones with neighbouring silences joined."""
    merged: list[Phone] = []
    for phone in phones:
        if merged and phone.name == SILENCE and merged[-1].name == SILENCE:
            merged[-1] = Phone(SILENCE, merged[-1].start, phone.end)
        else:
            merged.append(phone)
    return tuple(merged)


def join(heard: Sequence[Transcript]) -> Transcript:
    """The transcripts of neighbouring pieces as one."""
    phones = _merged(phone for piece in heard for phone in piece.phones)
    return Transcript(phones, " ".join(piece.text for piece in heard if piece.text))
