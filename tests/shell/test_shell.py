"""Progress events become a fraction that never falls, a line of text, and an honest estimate."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext import shell
from sadtalker_ext.host import STAGES, Progress
from sadtalker_ext.shell import STAGE_SHARES, STAGE_WORDS, Meter


def test_stages_follow_each_other_without_gaps() -> None:
    assert tuple(STAGE_SHARES) == tuple(STAGE_WORDS) == STAGES
    edges = [edge for share in STAGE_SHARES.values() for edge in share]
    assert edges[0] == 0
    assert edges[-1] == 1
    assert edges[1:-1:2] == edges[2:-1:2]


def test_the_fraction_never_falls() -> None:
    meter, seen = Meter(), []
    for stage in STAGES:
        for done in (0, 1, 2, 0):
            meter(Progress(stage, done, 2))
            seen.append(meter.fraction)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_unknown_totals_are_no_progress() -> None:
    meter = Meter()
    meter(Progress("motion", 7, 0))
    assert meter.fraction == STAGE_SHARES["motion"][0]


def test_frames_are_counted_and_kept() -> None:
    meter, frame = Meter(), np.zeros((4, 4, 3), np.uint8)
    meter(Progress("render", 3, 8, frame))
    assert meter.text.endswith("3/8")
    assert meter.frame is frame


def test_time_left_is_told_by_the_pace_of_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(shell.time, "monotonic", lambda: now[0])
    meter = Meter()
    meter(Progress("motion", 1, 2))
    now[0] = 130.0  # a slow start says nothing about the frames
    assert meter.eta is None
    meter(Progress("render", 1, 11))
    assert meter.eta is None
    now[0] = 132.0
    meter(Progress("render", 3, 11))
    assert meter.eta == pytest.approx(8.0)
