"""The embedded code prior on phones and, where espeak-ng can speak them, sentences it was not trained on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from sadtalker_ext.motion.code_layout import MOUTH  # noqa: E402
from sadtalker_ext.motion.code_lips import load_code_prior  # noqa: E402

ROOT = Path(__file__).parents[2]
PHONES = "aeiouæɪʊəmbpfvszʃtdnlɹkgwjθ"
# Bounds over a few sentences; the model card has the figures over hours.
OF_MEAN_FACE, OF_VISEMES, WRONG_AUDIO, CLOSURES = 0.35, 1.15, 4.0, 0.8


@pytest.fixture(autouse=True)
def _training_importable() -> Iterator[None]:
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


def mouths() -> torch.Tensor:
    """(manners, tracks, rows): what mouths do when phones are spoken in random order and time."""
    from recipes.code_prior.targets import mouth_targets

    rng = np.random.default_rng(1)
    starts = np.cumsum(rng.uniform(0.04, 0.18, 1500))
    phones = [(0.0, ""), *((float(t), str(rng.choice(list(PHONES)))) for t in starts)]
    rows = 4 * int((starts[-1] + 0.5) * 25)
    level = np.interp(np.arange(rows), np.arange(0, rows, 25), rng.uniform(0.2, 1.1, len(range(0, rows, 25))))
    return torch.from_numpy(mouth_targets(phones, rows, level).transpose(1, 2, 0).copy())


def test_the_codebook_says_what_mouths_do() -> None:
    codec, truth = load_code_prior().motion, mouths()
    with torch.inference_mode():
        said = codec(truth)
        codes = codec.nearest(codec.encode(truth))
    assert (said - truth).square().mean() < 0.03 * truth.var(2).mean()
    press = MOUTH.index("mouthPress")
    firm = truth[:, press] > 0.99
    assert firm.sum() > 500
    assert (said[:, press][firm] > 0.8).float().mean() > 0.95
    assert (said[:, press][truth[:, press] == 0] < 0.2).float().mean() > 0.98
    used = [len(codes[:, slot].unique()) for slot in range(codec.slots)]
    assert sum(used) >= 0.9 * codec.slots * codec.codes


@pytest.mark.parametrize(("language", "variant"), [("it", "f4"), ("ko", "m5"), ("en-us", "klatt4")])
def test_voices_and_languages_not_trained_on(language: str, variant: str) -> None:
    soxr = pytest.importorskip("soxr")
    from recipes.code_prior.evaluate import measure
    from recipes.visemenet import texts
    from recipes.visemenet.corpus import SAMPLE_RATE, Utterance
    from recipes.visemenet.espeak import espeak
    from recipes.visemenet.targets import place_stops

    try:
        library = espeak()
    except OSError as error:
        pytest.skip(f"espeak-ng is not installed: {error}")
    said = []
    for sentence in texts.test_sentences(language[:2]):
        speech = library.speak(f"{language}+{variant}", sentence, 165, 50, 50)
        assert speech is not None
        samples = soxr.resample(speech.samples, speech.rate, SAMPLE_RATE).astype(np.int16)
        said.append(Utterance(samples, place_stops(samples, speech.phones), language, variant))
    figures = measure(said, load_code_prior())
    codes, visemes = figures["codes"], figures["visemes"]
    assert codes["of mean face"] <= OF_MEAN_FACE
    assert codes["error"] <= OF_VISEMES * visemes["error"]
    assert codes["wrong audio"] >= WRONG_AUDIO
    assert codes["recall"] >= CLOSURES
    assert codes["precision"] >= CLOSURES
    assert figures["codes of the truth"]["error"] < 0.2 * codes["error"]
