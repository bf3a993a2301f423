"""Speech to mouth tracks: the embedded weights, odd recordings, invariances, and bounded memory."""

from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from sadtalker_ext.audio.features import BLOCK, SAMPLE_RATE
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.motion import visemes
from sadtalker_ext.motion.visemes import VISEMES, WEIGHTS, load_visemenet, predict_visemes

JAW, CLOSE, SPEECH = (VISEMES.index(name) for name in ("jaw", "close", "speech"))
LARGEST_FILE = 1_000_000  # bytes


def vowel(
    seconds: float, formants: tuple[float, ...], pitch: float = 120.0, level: float = 0.2
) -> np.ndarray:
    """A buzz through resonances: the plainest vowel."""
    from scipy.signal import lfilter

    count = int(seconds * SAMPLE_RATE)
    phase = np.cumsum(np.full(count, pitch / SAMPLE_RATE)) % 1
    wave = (phase < pitch / SAMPLE_RATE).astype(np.float64)
    for formant in formants:
        radius = np.exp(-np.pi * 80 / SAMPLE_RATE)
        wave = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * formant / SAMPLE_RATE), radius**2], wave)
    wave = np.diff(wave, prepend=0)
    return (level * wave / (np.abs(wave).max() + 1e-9)).astype(np.float32)


@pytest.fixture(scope="module")
def babble() -> np.ndarray:
    """Twenty-five seconds of alternating vowels, hum and pauses."""
    rng = np.random.default_rng(0)
    parts = []
    while sum(map(len, parts)) < 25 * SAMPLE_RATE:
        parts.append(
            vowel(
                rng.uniform(0.1, 0.3),
                ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240))[rng.integers(3)],
            )
        )
        parts.append(vowel(rng.uniform(0.06, 0.12), (250, 1000), level=0.03))
        if rng.random() < 0.2:
            parts.append(np.zeros(int(rng.uniform(0.2, 0.6) * SAMPLE_RATE), np.float32))
    wave = np.concatenate(parts)[: 25 * SAMPLE_RATE]
    return wave + rng.normal(0, 3e-4, len(wave)).astype(np.float32)


def test_the_file_is_small_and_named_by_its_hash() -> None:
    assert WEIGHTS.stat().st_size <= LARGEST_FILE
    net = load_visemenet()
    assert net.sha256 == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert load_visemenet() is net
    assert net.filterbank.sum() > 0


def test_the_model_card_names_this_file() -> None:
    assert load_visemenet().sha256 in WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("samples", [0, 1, 320, 3200, 16001])
def test_a_row_for_every_hop(samples: int, babble: np.ndarray) -> None:
    tracks = predict_visemes(babble[:samples])
    assert tracks.shape == (1 + samples // 160, 8)
    assert tracks.dtype == np.float32
    assert np.isfinite(tracks).all()


def test_ranges(babble: np.ndarray) -> None:
    tracks = predict_visemes(babble)
    width = tracks[:, VISEMES.index("width")]
    assert np.abs(width).max() <= 1
    others = np.delete(tracks, VISEMES.index("width"), axis=1)
    assert others.min() >= 0
    assert others.max() <= 1


@pytest.mark.parametrize("value", [0.0, 0.5, -1.0])
def test_silence_and_constants_are_rest(value: float) -> None:
    assert np.abs(predict_visemes(np.full(12000, value, np.float32))).max() == 0


def test_noise_alone_does_not_talk() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, 4 * SAMPLE_RATE).astype(np.float32)
    tracks = predict_visemes(noise)
    assert tracks[:, SPEECH].mean() < 0.2
    assert tracks[:, JAW].mean() < 0.1


def test_pauses_are_rest() -> None:
    talk = vowel(1.0, (730, 1090, 2440))
    pause = np.random.default_rng(0).normal(0, 2e-4, SAMPLE_RATE).astype(np.float32)
    tracks = predict_visemes(np.concatenate([pause, talk, pause]))
    assert tracks[20:80, JAW].max() < 0.08
    assert tracks[220:280, JAW].max() < 0.08
    assert tracks[110:190, JAW].mean() > 0.3


def test_an_open_vowel_opens_wider_than_a_close_one() -> None:
    gap = np.zeros(3200, np.float32)
    wave = np.concatenate([gap, vowel(0.4, (750, 1250, 2500)), gap, vowel(0.4, (280, 2300, 3000)), gap])
    tracks = predict_visemes(wave)
    assert tracks[30:50, JAW].mean() > tracks[90:110, JAW].mean() + 0.15


def test_level_does_not_matter(babble: np.ndarray) -> None:
    np.testing.assert_allclose(predict_visemes(babble * 0.1), predict_visemes(babble), atol=0.02)


def test_pieces_equal_the_whole(babble: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = predict_visemes(babble)
    assert len(pieces) > 2 * BLOCK
    monkeypatch.setattr(visemes.features, "BLOCK", 10_000)
    np.testing.assert_allclose(pieces, predict_visemes(babble), atol=1e-4)


def test_memory_does_not_grow_with_the_recording(babble: np.ndarray) -> None:
    load_visemenet()
    peaks = []
    for repeats in (1, 12):
        wave = np.tile(babble, repeats)
        tracemalloc.start()
        tracks = predict_visemes(wave)
        peaks.append(tracemalloc.get_traced_memory()[1] - tracks.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_missing_and_damaged_weights_are_a_sentence(tmp_path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        load_visemenet(tmp_path / "none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(WEIGHTS.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="damaged"):
        load_visemenet(damaged)
    from safetensors.torch import save_file

    save_file({"other": load_visemenet().spectrum}, str(damaged))
    with pytest.raises(WeightsError, match="damaged"):
        load_visemenet(damaged)
