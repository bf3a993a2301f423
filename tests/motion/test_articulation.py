"""Phones to mouth movement: closures when and only when asked for, shapes per phone, rest in silence."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.motion.articulation import (
    BILABIALS,
    CLOSURE_MAX_S,
    RATE,
    VISEMES,
    Articulation,
    articulate,
    closures_of,
)
from sadtalker_ext.motion.lipsync import sampled
from sadtalker_ext.motion.phones import PHONE_KINDS, SILENCE, Phone
from sadtalker_ext.tracks import ARKIT, MotionTrack, lips

CLOSED = 0.012  # face widths
EDGE = 0.3  # seconds of silence before and after


def spoken(text: str, length: float = 0.09, edge: float = EDGE) -> list[Phone]:
    """Phones of equal length between two silences."""
    phones, start = [Phone(SILENCE, 0.0, edge)], edge
    for name in text.split():
        phones.append(Phone(name, start, start + length))
        start += length
    return [*phones, Phone(SILENCE, start, start + edge)]


def mouth(phones: list[Phone], level: float = 1.0) -> Articulation:
    """The articulation where everything but silence is `level` loud."""
    loudness = np.zeros(int(phones[-1].end * RATE) + 1)
    for phone in phones:
        if phone.name != SILENCE:
            loudness[int(phone.start * RATE) : int(phone.end * RATE)] = level
    return articulate(phones, loudness)


def shown(phones: list[Phone], fps: float = 25.0) -> tuple[np.ndarray, MotionTrack]:
    """(times of the frames, track)."""
    frames = round(phones[-1].end * fps)
    track = MotionTrack(ARKIT, fps, sampled(mouth(phones), fps=fps, frames=frames))
    return (np.arange(frames) + 0.5) / fps, track


def during(phones: list[Phone], name: str, values: np.ndarray) -> np.ndarray:
    """Rows at `RATE` in the middle half of the phones of that name."""
    keep = np.zeros(len(values), bool)
    for phone in phones:
        if phone.name == name:
            quarter = phone.duration / 4
            keep[int((phone.start + quarter) * RATE) : int((phone.end - quarter) * RATE) + 1] = True
    return values[keep]


def test_every_phone_has_a_viseme():
    assert set(VISEMES) == set(PHONE_KINDS)


@pytest.mark.parametrize("fps", [10, 12.5, 23.976, 25, 30, 50, 60])
@pytest.mark.parametrize("offset", [0.0, 0.007, 0.013, 0.021, 0.033])
def test_lips_close_at_every_bilabial_at_any_frame_rate(fps: float, offset: float):
    phones = spoken("AA P IY T AA B OW S EH M AA", 0.07, EDGE + offset)
    times, track = shown(phones, fps)
    gap = lips.opening(track)
    for phone in phones:
        if phone.name in BILABIALS:
            reach = 0.5 / fps
            near = (times > phone.start - reach) & (times < phone.end + reach)
            assert gap[near].min() < CLOSED


@pytest.mark.parametrize("length", [0.02, 0.04])
def test_a_closure_shorter_than_a_frame_is_still_shown(length: float):
    phones = [*spoken("AA AA")[:3], Phone("P", 0.48, 0.48 + length), Phone("AA", 0.48 + length, 0.7)]
    phones.append(Phone(SILENCE, 0.7, 1.0))
    for shift in np.linspace(0, 0.04, 9):
        moved = [Phone(p.name, p.start + shift if p.start else 0.0, p.end + shift) for p in phones]
        times, track = shown(moved)
        near = np.abs(times - 0.48 - shift - length / 2) < 0.04
        assert lips.opening(track)[near].min() < 0.003


def test_lips_stay_parted_without_bilabials():
    phones = spoken("S T AA K IY N UW F OW R SH IH V L EH TH ER G W AY Z D")
    times, track = shown(phones)
    speaking = (times > phones[1].start + 0.04) & (times < phones[-2].end - 0.04)
    assert lips.opening(track)[speaking].min() > CLOSED


def test_lips_are_parted_between_two_closures():
    phones = spoken("P AA B IY M UW P")
    times, track = shown(phones)
    gap = lips.opening(track)
    for phone in phones:
        if phone.name in ("AA", "IY", "UW"):
            inside = (times > phone.start) & (times < phone.end)
            assert gap[inside].max() > 1.25 * CLOSED


def test_vowels_differ_as_they_should():
    phones = spoken("T AA T IY T UW T EH T", 0.14)
    tracks = mouth(phones)
    gap = {name: during(phones, name, tracks.gap).mean() for name in ("AA", "IY", "UW", "EH")}
    assert gap["AA"] > gap["EH"] > gap["IY"] > gap["UW"]
    assert gap["AA"] > 0.06
    jaw = {name: during(phones, name, tracks.jaw).mean() for name in ("AA", "IY")}
    assert jaw["AA"] > 2 * jaw["IY"]
    width = {name: during(phones, name, tracks.width).mean() for name in ("IY", "UW")}
    assert width["IY"] > 0.2 > 0 > width["UW"]
    assert during(phones, "UW", tracks.rounding).mean() > 0.4
    assert during(phones, "IY", tracks.rounding).mean() < 0.3


def test_consonants_use_their_articulators():
    phones = spoken("AA F AA TH AA S AA", 0.12)
    tracks = mouth(phones)
    assert during(phones, "F", tracks.labiodental).min() > 0.9
    assert during(phones, "S", tracks.labiodental).max() < 0.1
    assert during(phones, "TH", tracks.tongue).mean() > during(phones, "S", tracks.tongue).mean() + 0.2
    assert during(phones, "S", tracks.teeth).mean() > during(phones, "AA", tracks.teeth).mean() + 0.2


def test_rounding_is_prepared_before_the_vowel():
    phones = spoken("IY S T UW", 0.1)
    rounding = mouth(phones).rounding
    before_t = rounding[int(phones[3].start * RATE)]
    assert before_t > 1.5 * rounding[int((phones[1].start + 0.05) * RATE)]


def test_the_mouth_rests_in_silence():
    phones = spoken("AA T AA", edge=1.0)
    times, track = shown(phones)
    silent = (times < phones[0].end - 0.2) | (times > phones[-1].start + 0.25)
    assert track.column("jawOpen")[silent].max() <= 0.03
    assert lips.opening(track)[silent].max() < CLOSED


def test_a_short_pause_keeps_lips_parted_and_a_long_one_brings_them_together():
    def pause(seconds: float) -> float:
        phones = [Phone("AA", 0.0, 0.3), Phone(SILENCE, 0.3, 0.3 + seconds)]
        phones += [Phone("AA", 0.3 + seconds, 0.6 + seconds)]
        loudness = np.ones(int((0.6 + seconds) * RATE) + 1)
        return float(articulate(phones, loudness).gap[int((0.3 + seconds / 2) * RATE)])

    assert pause(0.3) > 0.015
    assert pause(2.0) < 0.003


def test_phones_heard_in_digital_silence_do_nothing():
    tracks = mouth(spoken("AA T AA"), level=0.0)
    assert max(np.abs(getattr(tracks, name)).max() for name in ("gap", "jaw", "width", "rounding")) < 1e-6


def test_a_long_stop_is_not_held_for_ever():
    (closure,) = closures_of([Phone("P", 1.0, 1.5)])
    assert closure.end - closure.start <= CLOSURE_MAX_S
    assert closure.end > 1.3  # it is released at its end, where the burst is


def test_loudness_opens_a_vowel_only_mildly():
    phones = spoken("AA AA AA AA AA AA AA AA", 0.1)
    loudness = np.ones(int(phones[-1].end * RATE) + 1)
    loudness[: int(0.7 * RATE)] = 0.3
    gap = articulate(phones, loudness).gap
    quiet, loud = gap[int(0.5 * RATE)], gap[int(0.95 * RATE)]
    assert 0.6 * loud < quiet < 0.95 * loud


def test_mixing_takes_closures_from_the_weightier_side():
    one, other = mouth(spoken("AA P AA T AA T AA")), mouth(spoken("AA T AA T AA B AA"))
    weight = (np.arange(len(one.gap)) / RATE > 0.6).astype(float)
    mixed = one.mixed(other, weight)
    assert mixed.closures == one.closures + other.closures
    assert np.array_equal(mixed.gap[:60], one.gap[:60])
    assert np.array_equal(mixed.gap[61:], other.gap[61:])
    assert one.mixed(other, 1 - weight).closures == ()


def test_speech_in_noise_still_moves_the_mouth():
    # Noise leaves little between itself and speech: the loudness envelope stays low.
    phones = spoken("AA T AA K AA T AA")
    faint = mouth(phones, level=0.09)
    assert during(phones, "AA", faint.gap).mean() > 0.04
