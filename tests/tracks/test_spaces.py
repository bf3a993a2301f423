"""Motion spaces: their names and channels, the vertices of meshes, and a space that an engine hands in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.errors import TrackError
from sadtalker_ext.tracks import (
    ARKIT,
    ARKIT_BLENDSHAPES,
    BFM,
    BIWI_VERTICES,
    HEAD_POSE,
    SPACES,
    MotionSpace,
    MotionTrack,
    hand_in,
    load_track,
    save_track,
    space_named,
    spaces,
    vertex_space,
)


def toy(columns: tuple[str, ...] = ("smile", "nod")) -> MotionSpace:
    return MotionSpace("toy", columns, {"face": tuple(range(len(columns)))})


@pytest.fixture
def toy_space() -> Iterator[MotionSpace]:
    yield hand_in(toy())
    del spaces._spaces["toy"]


def test_arkit_has_52_blendshapes_and_every_column_in_one_channel() -> None:
    assert len(ARKIT_BLENDSHAPES) == len(set(ARKIT_BLENDSHAPES)) == 52
    assert ARKIT.dim == 55
    assert ARKIT.columns[-3:] == HEAD_POSE
    assert sorted(i for columns in ARKIT.channels.values() for i in columns) == list(range(ARKIT.dim))
    assert ARKIT.indices(["pose"]) == [52, 53, 54]
    assert [ARKIT.columns[i] for i in ARKIT.indices(["blink"])] == ["eyeBlinkLeft", "eyeBlinkRight"]
    assert ARKIT.index("jawOpen") in ARKIT.indices(["lips"])


def test_unknown_names_are_sentences() -> None:
    with pytest.raises(TrackError, match="jawWide"):
        ARKIT.index("jawWide")
    with pytest.raises(TrackError, match=r"ears.*lips"):
        ARKIT.indices(["ears"])


@pytest.mark.parametrize("space", [ARKIT, BFM, vertex_space(12), vertex_space(BIWI_VERTICES)], ids=str)
def test_a_space_has_one_line_to_show_and_is_the_key_of_its_name(space: MotionSpace) -> None:
    assert space.name in repr(space)
    assert str(space.dim) in repr(space)
    assert len(repr(space)) < 120
    assert {space: 1}[MotionSpace(space.name, space.columns, dict(space.channels))] == 1
    assert space_named(space.name) == space


def test_a_space_of_an_engines_own_is_read_back(toy_space: MotionSpace, tmp_path: Path) -> None:
    track = MotionTrack(toy_space, 10.0, np.arange(6).reshape(3, 2))
    again = load_track(save_track(track, tmp_path / "toy.npz"))
    assert again.space is toy_space is space_named("toy") is SPACES["toy"]
    np.testing.assert_array_equal(again.data, track.data)


def test_a_space_nobody_handed_in_is_not_read(tmp_path: Path) -> None:
    path = save_track(MotionTrack.rest(3, 10.0, toy()), tmp_path / "toy.npz")
    assert space_named("toy") is None
    with pytest.raises(TrackError, match="'toy'; known here: arkit, bfm"):
        load_track(path)


def test_the_same_space_may_come_again_but_no_other_under_its_name(toy_space: MotionSpace) -> None:
    assert hand_in(toy()) == toy_space
    assert space_named("toy") is toy_space
    assert hand_in(vertex_space(7)) == space_named("mesh7")
    for name in ("toy", "arkit", "flame", "mesh7"):
        with pytest.raises(TrackError, match=f"The name {name} belongs to another"):
            hand_in(MotionSpace(name, ("wink",), {"face": (0,)}))
    assert space_named("toy") is toy_space
