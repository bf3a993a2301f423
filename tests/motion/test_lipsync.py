"""Speech to the lips channel: which road is taken and why, rest in silence, the same result every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from sadtalker_ext.audio import Speech, load_speech, silence
from sadtalker_ext.errors import Cancelled, DependencyError, OptionsError
from sadtalker_ext.motion import lipsync, viseme_lips, visemes
from sadtalker_ext.motion import phones as recogniser
from sadtalker_ext.motion.articulation import CLOSURE_MAX_S, CLOSURE_MIN_S, Closure
from sadtalker_ext.motion.lipsync import generate_lips
from sadtalker_ext.motion.phones import SAMPLE_RATE, SILENCE, Phone, Transcript
from sadtalker_ext.motion.visemes import VISEMES
from sadtalker_ext.tracks import ARKIT, lips

SECONDS = 2.0


@pytest.fixture(scope="module")
def speech(demo_speech: Path) -> Speech:
    """The first words of the demo."""
    whole = load_speech(demo_speech)
    return Speech(whole.samples[: int(SECONDS * SAMPLE_RATE)], SECONDS)


def heard(text: str, posterior: float, score: float) -> Transcript:
    phones = [Phone(SILENCE, 0, 0.4)]
    phones += [Phone(n, 0.4 + 0.1 * i, 0.5 + 0.1 * i, posterior, score) for i, n in enumerate(text.split())]
    return Transcript(tuple(phones), "text")


@pytest.fixture
def recognised(monkeypatch: pytest.MonkeyPatch):
    """Sets what the recogniser hears."""

    def hear(words: Transcript, phones: Transcript) -> None:
        monkeypatch.setattr(recogniser, "available", lambda: True)
        monkeypatch.setattr(recogniser, "require", lambda: None)
        monkeypatch.setattr(lipsync, "recognise", lambda *_, **__: (words, phones))

    return hear


SAID = "AA T AA P AA T AA B AA T AA S AA"
OTHER = "S F IY T K UW SH F IY T K UW SH"


def lips_of(speech: Speech, **options):
    return generate_lips(speech, fps=25, frames=round(SECONDS * 25), **options)


def test_only_the_lips_move(speech: Speech):
    track = lips_of(speech, method="visemes")
    others = [name for name in ARKIT.channels if name != "lips"]
    assert np.abs(track.data[:, ARKIT.indices(others)]).max() == 0
    assert len(track) == 50
    assert track.fps == 25
    assert track.data.min() >= 0
    assert track.data.max() <= 1
    assert lips.opening(track).max() > 0.02


def test_the_same_speech_gives_the_same_track(speech: Speech):
    assert np.array_equal(lips_of(speech, method="visemes").data, lips_of(speech, method="visemes").data)


@pytest.mark.parametrize("method", ["auto", "phones", "visemes"])
def test_silence_is_rest(method: str):
    if method == "phones":
        pytest.importorskip("pocketsphinx")
    track = generate_lips(silence(1.0), fps=25, frames=25, method=method)
    assert np.abs(track.data).max() == 0
    assert track.provenance["lips"] == "rest"


def frames_near(second: float) -> np.ndarray:
    return np.abs((np.arange(round(SECONDS * 25)) + 0.5) / 25 - second) < 0.04


@pytest.fixture
def net_sees(monkeypatch: pytest.MonkeyPatch):
    """Sets VisemeNet's closure output: {second: peak}, each 60 ms long."""

    def see(peaks: dict[float, float]) -> None:
        tracks = np.zeros((int(SECONDS * 100) + 1, len(VISEMES)), np.float32)
        for second, peak in peaks.items():
            tracks[int(second * 100) - 3 : int(second * 100) + 3, VISEMES.index("close")] = peak
        monkeypatch.setattr(visemes, "predict_visemes", lambda samples: tracks)

    return see


@pytest.mark.parametrize("method", ["auto", "phones"])
def test_words_are_taken_where_they_are_sure(speech: Speech, recognised, net_sees, method: str):
    recognised(heard(SAID, 0.9, -12), heard(SAID, 1, 0))
    net_sees({})
    track = lips_of(speech, method=method)
    assert track.provenance["lips"] == "words"
    gap = lips.opening(track)
    assert gap[frames_near(0.75)].min() < 0.012  # P
    assert gap[frames_near(1.15)].min() < 0.012  # B
    assert gap[frames_near(0.95)].min() > 0.012  # T


def test_words_outweigh_all_but_the_surest_visemes(speech: Speech, recognised, net_sees):
    recognised(heard(SAID, 0.9, -12), heard(SAID, 1, 0))
    net_sees({0.95: lipsync.SURE_OF_WORDS - 0.05, 1.35: 0.95})
    gap = lips.opening(lips_of(speech))
    assert gap[frames_near(0.95)].min() > 0.012
    assert gap[frames_near(1.35)].min() < 0.012
    assert gap[frames_near(0.75)].min() < 0.012  # P, which VisemeNet does not see


def test_phones_without_words_are_taken_where_words_are_unsure(speech: Speech, recognised):
    recognised(heard(SAID, 0.2, -20), heard(OTHER, 1, 0))
    assert lips_of(speech, method="phones").provenance["lips"] == "allphone"
    track = lips_of(speech)
    assert track.provenance["lips"] == "allphone with visemes"
    assert len(str(track.provenance["visemenet"])) == 64


def test_without_words_visemes_confirm_and_add_closures(speech: Speech, recognised, net_sees):
    recognised(heard(SAID, 0.2, -30), heard("AA T AA P AA T AA B AA T AA S AA", 1, 0))
    net_sees({0.75: lipsync.DOUBTFUL + 0.1, 1.35: lipsync.SURE + 0.15})
    gap = lips.opening(lips_of(speech))
    assert gap[frames_near(0.75)].min() < 0.012  # P: heard, and seen a little
    assert gap[frames_near(1.15)].min() > 0.012  # B: heard, but not seen at all
    assert gap[frames_near(1.35)].min() < 0.012  # seen alone


def test_without_pocketsphinx_auto_uses_visemes_and_phones_refuse(
    speech: Speech, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recogniser, "find_spec", lambda name: None)
    track = lips_of(speech)
    assert track.provenance["lips"] == "visemes"
    assert "pocketsphinx" in str(track.provenance["why"])
    with pytest.raises(DependencyError, match="--lips visemes"):
        lips_of(speech, method="phones")


def test_an_unknown_method_is_refused(speech: Speech):
    with pytest.raises(OptionsError, match="auto, phones, visemes"):
        lips_of(speech, method="magic")


def test_recognition_can_be_cancelled(speech: Speech):
    pytest.importorskip("pocketsphinx")

    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        lips_of(speech, method="phones", check=check)


def test_frames_beyond_the_speech_rest(speech: Speech):
    track = generate_lips(speech, fps=25, frames=80, method="visemes")
    assert len(track) == 80
    assert np.abs(track.data[60:]).max() == 0


def test_closures_are_found_in_a_closure_track():
    close = np.zeros(200)
    close[50:57] = 0.9
    close[100:102] = 0.9  # 20 ms: held longer
    close[120:150] = 0.9  # 300 ms: held shorter
    close[170:176] = 0.3  # not sure
    found = viseme_lips.closures_of(close)
    assert [round((c.start + c.end) / 2, 1) for c in found][:2] == [0.5, 1.0]
    assert len(found) == 3
    lengths = [c.end - c.start for c in found]
    assert lengths[1] == pytest.approx(CLOSURE_MIN_S)
    assert lengths[2] == pytest.approx(CLOSURE_MAX_S)
    assert all(c.strength == 1 for c in found)


def test_a_closure_is_full_while_it_lasts_and_gone_soon_after():
    times = np.arange(0, 1, 0.01)
    shut = lipsync.closing((Closure(0.4, 0.5),), times, 0.0)
    assert shut[40:51].min() == 1
    assert shut[times < 0.4 - lipsync.PARTING_S].max() == 0
    assert shut[times > 0.5 + lipsync.PARTING_S].max() == 0
    assert lipsync.closing((Closure(0.4, 0.5, 0.5),), times, 0.0).max() == 0.5


def test_closures_are_reconciled_with_a_closure_track():
    close = np.zeros(300)
    close[48:55], close[148:155], close[200:206] = 0.3, 0.9, 0.9
    heard_closures = (Closure(0.5, 0.55), Closure(1.0, 1.05), Closure(1.5, 1.55))
    found = viseme_lips.reconciled(heard_closures, close, doubtful=0.1, sure=0.5)
    assert found[:2] == (heard_closures[0], heard_closures[2])
    assert len(found) == 3
    assert 1.99 < found[2].start < found[2].end < 2.08
    assert viseme_lips.reconciled(heard_closures, close, doubtful=0.0, sure=2.0) == heard_closures


def test_where_the_recogniser_hears_nothing_in_sound_the_net_moves_the_mouth():
    spoken = np.ones(300, bool)
    spoken[:50] = False
    heard_phones = [Phone(SILENCE, 0.0, 1.0), Phone("AA", 1.0, 2.0), Phone(SILENCE, 2.0, 3.0)]
    share = lipsync.net_share(heard_phones, spoken)
    assert share[10] == pytest.approx(lipsync.NET_SHARE, abs=0.02)
    assert share[150] == pytest.approx(lipsync.NET_SHARE, abs=0.02)
    assert share[260] == pytest.approx(1.0, abs=0.02)
