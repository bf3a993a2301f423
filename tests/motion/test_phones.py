"""Speech to phones: cutting at pauses, cancelling, trust in words; with pocketsphinx also recognition."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio import load_speech
from sadtalker_ext.errors import Cancelled, DependencyError
from sadtalker_ext.motion import phones as recogniser
from sadtalker_ext.motion.phones import PHONE_RATE, SAMPLE_RATE, SILENCE, Phone, Transcript

needs_recogniser = pytest.mark.skipif(
    importlib.util.find_spec("pocketsphinx") is None, reason="pocketsphinx is not installed"
)
SENTENCE_S = 3.5
SENTENCE = "hello a moment ago i was only a picture"
BILABIALS = ["M", "M", "P"]


@pytest.fixture(scope="module")
def speech(demo_speech: Path) -> np.ndarray:
    """The first sentence of the demo, mono 16 kHz."""
    return load_speech(demo_speech).samples[: int(SENTENCE_S * SAMPLE_RATE)]


def bursts(starts: list[float], length: float, seconds: float) -> np.ndarray:
    samples = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    for start in starts:
        first, last = int(start * SAMPLE_RATE), int((start + length) * SAMPLE_RATE)
        samples[first:last] = 0.3 * np.sin(np.arange(last - first) / 10)
    return samples


def test_short_speech_is_one_piece():
    samples = bursts([0.5], 2.0, 5.0)
    assert [(start, len(piece)) for start, piece in recogniser.pieces(samples)] == [(0.0, len(samples))]


def test_long_speech_is_cut_in_pauses_and_nothing_is_lost():
    starts = [0.2 + 4.1 * number for number in range(15)]
    samples = bursts(starts, 3.6, 62.0)
    pieces = list(recogniser.pieces(samples))
    assert len(pieces) == 4
    assert np.array_equal(np.concatenate([piece for _, piece in pieces]), samples)
    for start, _ in pieces[1:]:
        around = samples[int((start - 0.1) * SAMPLE_RATE) : int((start + 0.1) * SAMPLE_RATE)]
        assert np.abs(around).max() == 0
    assert max(len(piece) for _, piece in pieces) < 2 * recogniser.PIECE_S * SAMPLE_RATE


def test_the_check_is_called_before_every_piece():
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(recogniser.pieces(np.ones(int(60 * SAMPLE_RATE), np.float32), check))
    assert len(calls) == 2


def test_without_pocketsphinx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recogniser, "find_spec", lambda name: None)
    assert not recogniser.available()
    with pytest.raises(DependencyError, match=r"pip install .*pocketsphinx"):
        recogniser.recognise_words(np.zeros(SAMPLE_RATE, np.float32))


def transcript(names: str, posterior: float, score: float) -> Transcript:
    return Transcript(
        tuple(
            Phone(name, number * 0.1, number * 0.1 + 0.1, posterior, score)
            for number, name in enumerate(names.split())
        ),
        "text",
    )


SAID = "SIL M AA P S AH V B OW T S SIL"
ELSE = "SIL T IY K F UW S SH AH N P SIL"


def test_words_are_trusted_when_sure_fitting_and_confirmed():
    rows = 130
    sure = recogniser.trust_in_words(transcript(SAID, 0.9, -14), transcript(SAID, 1, 0), rows)
    assert sure.shape == (rows,)
    assert sure.min() > recogniser.TRUSTED
    for words, phones in (
        (transcript(SAID, 0.3, -30), transcript(SAID, 1, 0)),
        (transcript(SAID, 0.5, -20), transcript(ELSE, 1, 0)),
        (Transcript((), ""), transcript(SAID, 1, 0)),
    ):
        assert recogniser.trust_in_words(words, phones, rows).max() < recogniser.TRUSTED


def test_trust_follows_a_change_of_language():
    one = [Phone("AA", 0.1 * n, 0.1 * n + 0.1, 0.95, -12) for n in range(300)]
    two = [Phone("AA", 0.1 * n, 0.1 * n + 0.1, 0.3, -30) for n in range(300, 600)]
    heard = [Phone("AA" if n < 300 else "S", 0.1 * n, 0.1 * n + 0.1) for n in range(600)]
    trust = recogniser.trust_in_words(Transcript((*one, *two), "text"), Transcript(tuple(heard), ""), 6000)
    assert trust[1000] > recogniser.TRUSTED > trust[5000]


class UnalignedDecoder:
    """A decoder that understands two words and cannot align them."""

    class Segment:
        def __init__(self, word: str, first: int, last: int) -> None:
            self.word, self.start_frame, self.end_frame, self.prob = word, first, last, 0.8

    def hyp(self) -> object:
        return type("Hypothesis", (), {"hypstr": "map"})()

    def seg(self) -> list[Segment]:
        return [self.Segment("<s>", 0, 19), self.Segment("map", 20, 49)]

    def lookup_word(self, word: str) -> str | None:
        return {"map": "M AE P"}.get(word)

    def set_alignment(self) -> None:
        raise RuntimeError("Failed to reach final state")

    def start_utt(self) -> None: ...
    def end_utt(self) -> None: ...
    def process_raw(self, audio: bytes, full_utt: bool) -> None: ...


def test_words_that_cannot_be_aligned_are_spread_evenly(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recogniser, "require", lambda: None)
    monkeypatch.setattr(recogniser, "_decoder", lambda **settings: UnalignedDecoder())
    heard = recogniser.recognise_words(np.zeros(SAMPLE_RATE, np.float32))
    assert heard.text == "map"
    found = [(phone.name, round(phone.start, 2), round(phone.end, 2)) for phone in heard.phones]
    assert found == [("SIL", 0.0, 0.2), ("M", 0.2, 0.3), ("AE", 0.3, 0.4), ("P", 0.4, 0.5)]


@needs_recogniser
def test_words_and_their_phones_are_recognised(speech: np.ndarray):
    heard = recogniser.recognise_words(speech)
    assert {"moment", "ago", "picture"} <= set(heard.text.split())
    assert [phone.name for phone in heard.phones if phone.name in ("P", "B", "M")] == BILABIALS
    assert heard.phones[-1].end <= len(speech) / SAMPLE_RATE + 2 / PHONE_RATE
    for one, following in pairwise(heard.phones):
        assert one.end <= following.start + 1e-9
        assert one.name != SILENCE or following.name != SILENCE


@needs_recogniser
def test_recognition_does_not_depend_on_what_was_heard_before(speech: np.ndarray):
    first = recogniser.recognise_words(speech), recogniser.decode_phones(speech)
    recogniser.recognise_words(np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32))
    assert (recogniser.recognise_words(speech), recogniser.decode_phones(speech)) == first


@needs_recogniser
def test_a_known_text_is_aligned(speech: np.ndarray):
    phones = recogniser.align_words(speech, SENTENCE)
    assert [phone.name for phone in phones if phone.name in ("P", "B", "M")] == BILABIALS
    with pytest.raises(ValueError, match="cannot be aligned"):
        recogniser.align_words(speech, "xyzzyplugh")


@needs_recogniser
@pytest.mark.parametrize("seconds", [0.1, 0.6])
def test_silence_holds_no_phones(seconds: float):
    samples = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    for find in (recogniser.recognise_words, recogniser.decode_phones):
        assert sum(phone.name != SILENCE for phone in find(samples).phones) <= 3


@needs_recogniser
@pytest.mark.parametrize("count", [1, 320, 1600])
def test_what_is_too_short_to_be_speech_holds_next_to_nothing(count: int):
    samples = np.random.default_rng(0).normal(0, 0.1, count).astype(np.float32)
    for find in (recogniser.recognise_words, recogniser.decode_phones):
        assert len(find(samples).phones) <= 2


@needs_recogniser
def test_the_recogniser_prints_nothing(speech: np.ndarray, capfd: pytest.CaptureFixture[str]):
    recogniser.recognise_words(speech[:SAMPLE_RATE])
    recogniser.decode_phones(speech[:SAMPLE_RATE])
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_phones_are_small() -> None:
    """An hour of speech has a hundred thousand of them, and more than one recording's are remembered."""
    assert not hasattr(Phone("AA", 0.0, 0.1), "__dict__")
