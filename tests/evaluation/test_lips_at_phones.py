"""Shares of phones met, and of the same phones by chance, for lips whose closures are known."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.evaluation.lips_at_phones import agreeing, articulation, share
from sadtalker_ext.evaluation.sound import SAMPLE_RATE, listen
from sadtalker_ext.motion.phones import Phone

FPS = 25.0
DURATION = 40.0


def sound(silent_from: float = DURATION):
    samples = 0.2 * np.sin(np.arange(round(DURATION * SAMPLE_RATE)) * 0.1)
    samples[round(silent_from * SAMPLE_RATE) :] = 0
    return listen(samples.astype(np.float32))


def phones(name: str = "P", count: int = 30, step: float = 1.24, start: float = 0.5) -> list[Phone]:
    return [Phone(name, start + step * i, start + step * i + 0.08) for i in range(count)]


def gap_closed_at(chosen: list[Phone]) -> np.ndarray:
    gap = np.full(round(DURATION * FPS), 0.05)
    for phone in chosen:
        gap[int((phone.start + phone.end) / 2 * FPS)] = 0.0
    return gap


def test_lips_that_close_at_every_second_bilabial():
    said = phones()
    found = articulation(gap_closed_at(said[::2]), FPS, said, sound(), "given")
    assert found.closed is not None
    assert found.closed.count == 30
    assert found.closed.share == 0.5
    assert found.open is None
    assert found.source == "given"


def test_chance_is_the_time_that_lips_are_closed():
    rng = np.random.default_rng(0)
    said = [Phone("B", t, t + 0.06) for t in np.sort(rng.uniform(0.5, DURATION - 1, 60))]
    closed = rng.random(round(DURATION * FPS)) < 0.1
    found = share(said, closed, FPS, sound())
    assert found is not None
    # A phone of 60 ms with 20 ms on both sides has 100 ms, 2.5 frames: in any of them closed by chance.
    assert found.chance == pytest.approx(1 - (1 - closed.mean()) ** 2.5, abs=0.02)
    assert found.share == pytest.approx(found.chance, abs=0.12)
    assert found.margin == pytest.approx(found.share - found.chance)


def test_a_mouth_always_shut_is_no_better_than_chance():
    found = share(phones(), np.ones(1000, bool), FPS, sound())
    assert found is not None
    assert (found.share, found.chance, found.margin) == (1.0, 1.0, 0.0)


def test_silence_is_left_out_of_one_of_the_two_chances():
    said = phones(count=16)
    closed = np.zeros(1000, bool)
    closed[500:] = True  # the second half is silent, the mouth shut
    found = share(said, closed, FPS, sound(silent_from=20.0))
    assert found is not None
    assert found.chance == pytest.approx(0.5, abs=0.03)
    assert found.chance_speaking == pytest.approx(0.0, abs=0.02)
    assert found.margin_speaking == pytest.approx(found.share - found.chance_speaking)


def test_only_frames_half_way_on_screen_within_the_phone_count():
    said = [Phone("M", 10.02, 10.06), Phone("M", 20.02, 20.06)]  # frames 250 and 251, half-way at .02 and .06
    for frame, expected in ((249, 0.0), (250, 0.5), (251, 0.5), (252, 0.0)):
        closed = np.zeros(1000, bool)
        closed[frame] = True
        found = share(said, closed, FPS, sound())
        assert found is not None
        assert found.share == expected, frame


def test_at_low_rates_the_frame_on_screen_counts():
    closed = np.zeros(round(DURATION * 2), bool)
    closed[[3, 8]] = True  # on screen from 1.5 to 2 and from 4 to 4.5 s
    said = [Phone("P", 1.55, 1.6), Phone("P", 4.1, 4.15), Phone("P", 5.1, 5.15)]
    found = share(said, closed, 2.0, sound())
    assert found is not None
    assert found.share == pytest.approx(2 / 3)


def test_open_vowels():
    said = phones("AA", 10) + phones("IY", 10, start=0.9)
    gap = np.full(1000, 0.01)
    for phone in said[:7]:
        gap[int(phone.start * FPS) + 1] = 0.04
    found = articulation(gap, FPS, said, sound(), "given")
    assert found.closed is None
    assert found.open is not None
    assert found.open.count == 10
    assert found.open.share == pytest.approx(0.7)


def test_unseen_frames_are_neither_closed_nor_open():
    found = articulation(np.full(1000, np.nan), FPS, phones() + phones("AA"), sound(), "given")
    assert found.closed is not None
    assert found.open is not None
    assert found.closed.share == found.open.share == 0.0


def test_agreement_of_two_hearings():
    one = [Phone("SIL", 0, 1), Phone("AA", 1, 2), Phone("B", 2, 3), Phone("SIL", 3, 4)]
    other = [Phone("SIL", 0, 1), Phone("AA", 1, 2), Phone("P", 2, 4)]
    assert agreeing(one, other) == pytest.approx(0.5)
    assert agreeing(one, one) == 1.0
    assert agreeing(one, []) == 0.0
    assert agreeing([], []) == 0.0
