"""The engine sadtalker with expressions by a code prior of the user's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sadtalker_ext import Options, make_motion
from sadtalker_ext.errors import OptionsError, WeightsError
from sadtalker_ext.motion.code_lips import BFM_FILE, CodePrior
from sadtalker_ext.motion.code_prior import Codec, Speaker
from sadtalker_ext.motion.denoise import denoised
from sadtalker_ext.tracks import BFM, MotionTrack

pytestmark = pytest.mark.usefixtures("tiny")
ROOT = Path(__file__).parents[3]
EXPRESSION, POSE = slice(0, 64), slice(64, 70)


@pytest.fixture
def _training_importable() -> Iterator[None]:
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


@pytest.fixture
def prior(tiny: Path, _training_importable: None) -> str:
    """A prior that knows nothing, in the models folder; returns its hash."""
    from recipes.code_prior import train

    torch.manual_seed(3)
    codec = Codec(64, slots=3, codes=16, size=4, width=16)
    speaker = Speaker(3, 16, manners=2, channels=16, width=16, memory=24)
    speaker.listener.filterbank.copy_(torch.rand(speaker.listener.filterbank.shape))
    digest = train.save(CodePrior("bfm", codec, None, speaker, ("ann", "bob")), tiny / BFM_FILE, {})
    return str(digest)


def test_expressions_come_from_the_prior(prior: str, face: Any, voice: Any, points: Any) -> None:
    def made(**given: Any) -> MotionTrack:
        return make_motion(voice, Options(engine="sadtalker", points=points, **given), picture=face)

    usual, by_codes, other = made(), made(lips="codetalker"), made(lips="codetalker", manner=1)
    assert by_codes.provenance["lips"] == {"code prior": prior}
    assert not np.allclose(usual.data[:, EXPRESSION], by_codes.data[:, EXPRESSION])
    assert not np.allclose(other.data[:, EXPRESSION], by_codes.data[:, EXPRESSION])
    assert np.array_equal(usual.data[:, POSE], by_codes.data[:, POSE])
    assert np.array_equal(by_codes.data, made(lips="codetalker").data)
    still = made(lips="codetalker", lip_gain=0.0)
    assert np.allclose(still.data, made(lip_gain=0.0).data)
    with pytest.raises(OptionsError, match="0 ann, 1 bob"):
        made(lips="codetalker", manner=2)


def test_without_a_prior_a_sentence_says_what_is_needed(face: Any, voice: Any, points: Any) -> None:
    options = Options(engine="sadtalker", points=points, lips="codetalker")
    with pytest.raises(WeightsError, match=BFM_FILE):
        make_motion(voice, options, picture=face)


def test_expressions_are_cleaned_by_it(prior: str, tiny: Path) -> None:
    rows = np.random.default_rng(1).normal(0, 1, (40, BFM.dim))
    result = denoised(MotionTrack(BFM, 25.0, rows), tiny)
    assert np.array_equal(result.data[:, 64:], rows[:, 64:].astype(np.float32))
    assert not np.allclose(result.data[:, EXPRESSION], rows[:, EXPRESSION])
    assert result.provenance["denoised"] == {"code prior": prior}
