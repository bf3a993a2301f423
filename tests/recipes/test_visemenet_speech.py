"""The embedded VisemeNet on sentences it was not trained on, where espeak-ng or flite can speak them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("soxr")

ROOT = Path(__file__).parents[2]
LEAST_RECALL = LEAST_PRECISION = 0.75  # of a few closures; the model card has the figures over thousands
LEAST_JAW_CORRELATION = 0.85


@pytest.fixture(autouse=True)
def _training_importable() -> Iterator[None]:
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


def _agreement(spoken: list[tuple[np.ndarray, tuple[tuple[float, str], ...]]]) -> None:
    from recipes.visemenet.evaluate import score
    from recipes.visemenet.targets import mouth_tracks
    from sadtalker_ext.motion.visemes import predict_visemes

    predicted = [predict_visemes(samples.astype(np.float32) / 32768) for samples, _ in spoken]
    truth = [mouth_tracks(phones, len(p)) for p, (_, phones) in zip(predicted, spoken, strict=True)]
    scores = score(predicted, truth)
    assert scores.closures >= 15
    assert scores.recall >= LEAST_RECALL
    assert scores.precision >= LEAST_PRECISION
    assert scores.correlation["jaw"] >= LEAST_JAW_CORRELATION


@pytest.mark.parametrize(("language", "variant"), [("it", "f2"), ("ko", "m3"), ("cs", "")])
def test_languages_not_trained_on(language: str, variant: str) -> None:
    import soxr

    from recipes.visemenet import texts
    from recipes.visemenet.corpus import SAMPLE_RATE
    from recipes.visemenet.espeak import espeak
    from recipes.visemenet.targets import place_stops

    try:
        library = espeak()
    except OSError as error:
        pytest.skip(f"espeak-ng is not installed: {error}")
    spoken = []
    for sentence in texts.test_sentences(language):
        speech = library.speak(language + ("+" + variant if variant else ""), sentence, 165, 50, 50)
        assert speech is not None
        samples = soxr.resample(speech.samples, speech.rate, SAMPLE_RATE).astype(np.int16)
        spoken.append((samples, place_stops(samples, speech.phones)))
    _agreement(spoken)


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_a_voice_from_recordings() -> None:
    from recipes.visemenet.evaluate_flite import SENTENCES
    from recipes.visemenet.flite import TRAIN_VOICES, speak

    spoken = [speak(TRAIN_VOICES[0], sentence) for sentence in SENTENCES[:8]]
    _agreement([(samples, phones) for samples, _, phones in spoken])
