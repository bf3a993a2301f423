"""Which frames turbo draws, and what it makes of those between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_sadtalker import lively, tiny_generator

from sadtalker_ext.engines.sadtalker.networks.face_render import Warp
from sadtalker_ext.engines.sadtalker.networks.face_render.dense_motion import deformation_of
from sadtalker_ext.engines.sadtalker.render.between import KeyFrame, frame_between, key_frames

SIDE, CELLS = 64, 16


def texture(shift: float) -> torch.Tensor:
    """(1, 3, 64, 64): waves, moved `shift` to the right in units of -1..1."""
    x = torch.linspace(-1, 1, SIDE)[None, :] - shift
    y = torch.linspace(-1, 1, SIDE)[:, None]
    return torch.stack([0.5 + 0.3 * torch.sin(9 * x + k * y) for k in range(3)])[None]


def shifted(by: float, source: torch.Tensor) -> tuple[KeyFrame, torch.Tensor]:
    """A frame that shows `texture` moved by key points that all moved alike, and those points."""
    driving = source + torch.tensor([by, 0, 0])
    mask = torch.zeros(1, 4, 4, CELLS, CELLS)
    mask[:, 1:] = 1 / 3
    warp = Warp(deformation_of(mask, driving, source), torch.ones(1, 1, CELLS, CELLS), mask)
    return KeyFrame(texture(by), warp), driving


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_what_moves_as_a_whole_is_drawn_where_it_is(share: float) -> None:
    source = torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    (before, _), (after, _) = shifted(0.0, source), shifted(0.3, source)
    _, driving = shifted(0.3 * share, source)
    made = frame_between(before, after, share, driving, source)
    want = texture(0.3 * share)
    inside = slice(12, -12)  # what enters at the edge is not in both
    error = (made - want)[..., inside].abs().max()
    blended = (torch.lerp(before.image, after.image, share) - want)[..., inside].abs().max()
    assert error < 0.01
    assert error < blended / 20


def test_a_frame_between_follows_its_own_points() -> None:
    """Not the straight way between the key frames: they are alike here, and the frame is elsewhere."""
    source = torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    rest, _ = shifted(0.0, source)
    _, driving = shifted(0.1, source)
    made = frame_between(rest, rest, 0.5, driving, source)
    assert (made - texture(0.1))[..., 12:-12].abs().max() < 0.01


def test_key_frames_at_the_ends_of_the_way() -> None:
    generator = lively(tiny_generator())
    features, source = generator.encode(torch.rand(1, 3, SIDE, SIDE)), torch.rand(1, 3, 3) - 0.5
    with torch.no_grad():
        warp = generator.warp(features, source + torch.tensor([[[0.0]], [[0.1]]]), source)
        before, after = KeyFrame.each(generator.draw(features, warp), warp)
        start = frame_between(before, after, 0.0, source, source)
    assert before.image.shape == start.shape == (1, 3, SIDE, SIDE)
    torch.testing.assert_close(start, before.image, atol=2e-3, rtol=0)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("step", [1.0, 2.0, 2.5, 5.0])
@pytest.mark.parametrize("count", [2, 3, 4, 7, 31, 65])
def test_key_frames_are_as_many_as_asked(count: int, step: float, known: bool) -> None:
    path = np.random.default_rng(count).normal(size=(count, 3, 3))
    chosen = key_frames(path, step, known)
    assert chosen[0] == 0
    assert chosen[-1] == count - 1
    assert all(a < b for a, b in pairwise(chosen))
    drawn = len(chosen) - known
    at_least = 1 if known else 2  # the ends
    assert drawn == max(at_least, int(np.ceil((count - known) / step)))


def test_fewer_frames_than_two() -> None:
    assert key_frames(np.zeros((1, 3, 3)), 4) == [0]
    assert key_frames(np.zeros((2, 3, 3)), 4) == [0, 1]


def test_key_frames_of_a_still_face_are_even() -> None:
    chosen = key_frames(np.zeros((41, 3, 3)), 5.0, known=True)
    assert set(np.diff(chosen)) == {5}


def test_lips_that_meet_are_always_drawn() -> None:
    """A closure of one frame, wherever it falls, is a key frame: blending its neighbours would lose it."""
    for closed in range(3, 38):
        path = np.zeros((41, 3, 3))
        path[:, 0, 0] = 0.01 * np.sin(np.arange(41) / 6)
        path[closed, 1, 1] = 0.05
        assert closed in key_frames(path, 5.0, known=True)
