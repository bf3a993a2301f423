"""Training of the code prior at a tiny size: codes come to life, losses fall, bad pairs are refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
soundfile = pytest.importorskip("soundfile")

from sadtalker_ext.audio import load_speech  # noqa: E402
from sadtalker_ext.errors import WeightsError  # noqa: E402
from sadtalker_ext.motion.code_layout import FACE, MOUTH  # noqa: E402
from sadtalker_ext.motion.code_lips import load_code_prior, shown, spoken  # noqa: E402
from sadtalker_ext.motion.code_prior import Codec, Speaker  # noqa: E402
from sadtalker_ext.motion.visemes import predict_visemes  # noqa: E402
from sadtalker_ext.tracks import BFM, MotionTrack  # noqa: E402
from sadtalker_ext.tracks.files import save_track  # noqa: E402

ROOT = Path(__file__).parents[2]
RATE = 16000


@pytest.fixture(scope="module")
def trainer() -> Iterator[SimpleNamespace]:
    """The modules of recipes/code_prior."""
    sys.path.insert(0, str(ROOT))
    try:
        from recipes.code_prior import codebook, motion_data, pairs, speech, targets, train

        yield SimpleNamespace(
            codebook=codebook, data=motion_data, pairs=pairs, speech=speech, targets=targets, train=train
        )
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def waves(rows: int, columns: int) -> torch.Tensor:
    """(rows, columns) smooth motion."""
    at = torch.arange(rows)[:, None] / 50
    return 0.5 + 0.4 * torch.sin(at * torch.linspace(3, 9, columns) + torch.arange(columns))


def test_unused_codes_come_to_life(trainer: SimpleNamespace, generator: torch.Generator) -> None:
    codec = Codec(4, slots=2, codes=8, size=3)
    codec.codebook.copy_(torch.randn(codec.codebook.shape, generator=generator))
    codec.codebook[1, 5:] += 100  # where nothing ever is
    vectors = torch.randn(4, 2, 3, 50, generator=generator)
    codebook = trainer.codebook.Codebook(codec)
    for _ in range(400):
        codebook.follow(vectors, codec.nearest(vectors))
    assert len(codec.nearest(vectors)[:, 1].unique()) <= 5
    assert codebook.revive(vectors, generator) >= 3
    assert len(codec.nearest(vectors)[:, 1].unique()) == 8
    assert codebook.revive(vectors, generator) == 0


def test_codes_follow_what_they_stand_for(trainer: SimpleNamespace, generator: torch.Generator) -> None:
    codec = Codec(4, slots=1, codes=2, size=2)
    codec.codebook.copy_(torch.tensor([[[0.0, 0.0], [1.0, 1.0]]]))
    vectors = torch.tensor([[[[0.2, 3.0], [0.0, 3.2]]]])  # two vectors, each nearer to another code
    codebook = trainer.codebook.Codebook(codec)
    for _ in range(1500):
        codebook.follow(vectors, torch.tensor([[[0, 1]]]))
    assert torch.allclose(codec.codebook[0], vectors[0, 0].T, atol=0.01)


def test_idle_codes_are_employed(trainer: SimpleNamespace, generator: torch.Generator) -> None:
    codec = Codec(4, slots=2, codes=16, size=3, width=8)
    motion = trainer.data.crops_of(waves(1000, 4), generator)
    vectors = codec.encode(motion)
    codec.codebook.copy_(vectors.mean() + 50 + torch.randn(codec.codebook.shape, generator=generator))
    codec.codebook[:, :2] = 0
    assert trainer.codebook.employ(codec, lambda _: motion, generator) > 20
    used = [len(codec.nearest(vectors)[:, slot].unique()) for slot in range(2)]
    assert min(used) >= 14


def test_a_codec_learns_to_repeat_motion(
    trainer: SimpleNamespace, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    monkeypatch.setattr(trainer.data, "BATCH", 8)
    monkeypatch.setattr(trainer.data, "CROP", 64)
    motion = waves(3000, 4)
    codec = Codec(4, slots=3, codes=16, size=4, width=24)
    batches = trainer.data.PlainBatches(motion)
    limits = {"minutes": 5.0, "generator": generator}
    early = trainer.codebook.train_codec(codec, batches, motion, steps=4, **limits)
    late = trainer.codebook.train_codec(codec, batches, motion, steps=150, **limits)
    assert late < 0.5 * early
    with torch.no_grad():
        said = codec(motion[:500].T[None])[0].T
    assert (said - motion[:500]).square().mean() < 0.2 * motion.var(0).mean()


def test_disturbed_motion_is_noisier_and_its_truth_is_not(
    trainer: SimpleNamespace, generator: torch.Generator
) -> None:
    given, clean = trainer.data.FaceBatches(waves(2000, len(FACE)))(generator)
    assert given.shape == clean.shape
    crops = (given - clean).abs().amax((1, 2))
    assert (crops == 0).any()
    assert (crops > 0.01).any()
    assert (clean - clean.roll(1, 2))[:, :, 1:].abs().max() < 0.1


def test_drawn_faces_are_expressions(trainer: SimpleNamespace) -> None:
    drawn = trainer.data.drawn_faces(2.0, seed=1)
    assert drawn.shape == (6000, len(FACE))
    assert np.array_equal(drawn, trainer.data.drawn_faces(2.0, seed=1))
    assert -1 <= drawn.min() < 0 < drawn.max() <= 1
    smile = [FACE.index(f"mouthSmile{side}") for side in ("Left", "Right")]
    assert np.corrcoef(drawn[:, smile].T)[0, 1] > 0.5
    blinks = drawn[:, FACE.index("eyeBlinkLeft")]
    assert 10 < ((blinks[1:] > 0.5) & (blinks[:-1] <= 0.5)).sum() < 80


def test_mouths_of_the_manners(trainer: SimpleNamespace) -> None:
    phones = [(0.0, ""), (0.3, "a"), (0.6, "m"), (0.7, "a"), (1.0, "u"), (1.3, "")]
    level = np.ones(160)
    mouths = trainer.targets.mouth_targets(phones, 160, level)
    assert mouths.shape == (80, 4, len(MOUTH))
    press, jaw, pucker = (MOUTH.index(name) for name in ("mouthPress", "jawOpen", "mouthPucker"))
    at = {name: round(seconds * 50) for name, seconds in dict(a=0.45, m=0.65, u=1.15, silence=1.5).items()}
    assert (mouths[at["m"], :, press] == 1).all()  # whatever the manner, lips are shut
    assert (mouths[at["a"], :, press] == 0).all()
    assert np.abs(mouths[at["silence"]]).max() < 0.01
    normal, clear, relaxed, lively = mouths[at["a"], :, jaw]
    assert relaxed < 0.8 * normal < normal < clear
    assert mouths[at["u"], 2, pucker] < mouths[at["u"], 0, pucker] < mouths[at["u"], 1, pucker] + 1e-6
    quiet = trainer.targets.mouth_targets(phones, 160, 0.2 * level)[at["a"], :, jaw]
    assert quiet[3] < 0.7 * lively
    assert np.allclose(quiet[:3], [normal, clear, relaxed])


def bfm_corpus(folder: Path, demo_speech: Path) -> None:
    """Pairs of sound and coefficients: VisemeNet's articulators through a fixed linear basis."""
    scipy_io = pytest.importorskip("scipy.io")
    rng = np.random.default_rng(1)
    basis, face = rng.normal(0, 1, (7, 64)), rng.normal(0, 1, 64)
    samples = load_speech(demo_speech).samples
    for number in range(3):  # the last is held out by the test
        piece = samples[number * 4 * RATE : (number + 1) * 4 * RATE][: int(3.6 * RATE)]
        soundfile.write(folder / f"part{number}.wav", piece, RATE)
        at = (np.arange(90) + 0.5) / 25 * 100
        tracks = predict_visemes(piece)[:, :7]
        moved = np.stack([np.interp(at, np.arange(len(tracks)), t) for t in tracks.T], axis=1) @ basis + face
        if number == 1:
            rows = np.concatenate([moved, np.zeros((90, BFM.dim - 64))], axis=1)
            save_track(MotionTrack(BFM, 25.0, rows), folder / f"part{number}.npz")
        else:
            coefficients = np.concatenate([moved, np.zeros((90, 6))], axis=1)
            scipy_io.savemat(folder / f"part{number}.mat", {"coeff_3dmm": coefficients})


def test_a_prior_of_expressions_learns_from_pairs(
    trainer: SimpleNamespace, demo_speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs in, a file out; speech that was not in the pairs moves the face nearer to the truth."""
    train, held = tmp_path / "train", tmp_path / "held"
    train.mkdir()
    held.mkdir()
    bfm_corpus(train, demo_speech)
    for ending in (".wav", ".mat"):
        (train / f"part2{ending}").rename(held / f"part2{ending}")
    monkeypatch.setattr(trainer.speech, "BATCH", 3)
    monkeypatch.setattr(trainer.speech, "CROP", 160)
    monkeypatch.setattr(trainer.data, "BATCH", 6)
    monkeypatch.setattr(trainer.data, "CROP", 64)
    monkeypatch.setattr(
        trainer.speech, "Speaker", lambda *sizes: Speaker(*sizes, channels=128, width=48, memory=64)
    )
    torch.manual_seed(1)
    prior = trainer.train.train("bfm", train, seed=1, codec_steps=100, steps=60)
    path = tmp_path / "code_prior_bfm.safetensors"
    digest = trainer.train.save(prior, path, {})
    assert path.stat().st_mode & 0o777 == 0o644
    loaded = load_code_prior(path, "bfm")
    assert loaded.sha256 == digest
    assert loaded.manners == ("train",)
    samples = load_speech(held / "part2.wav").samples
    said = shown(spoken(samples, loaded, loaded.shares()), 25.0, 90)
    truth = trainer.pairs.expressions_of(held / "part2.mat")
    truth = shown(truth - truth.mean(axis=0), 25.0, 90)
    assert np.square(said - truth).mean() < 0.7 * np.square(truth).mean()
    backwards = shown(spoken(samples[::-1].copy(), loaded, loaded.shares()), 25.0, 90)
    assert np.square(backwards - truth).mean() > np.square(said - truth).mean()
    with pytest.raises(WeightsError, match="of the bfm space, not arkit"):
        load_code_prior(path)


def test_bad_pairs_are_refused_in_a_sentence(
    trainer: SimpleNamespace, demo_speech: Path, tmp_path: Path
) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    with pytest.raises(SystemExit, match="No NAME"):
        trainer.pairs.load_pairs(tmp_path)
    soundfile.write(tmp_path / "one.wav", load_speech(demo_speech).samples[: 2 * RATE], RATE)
    (tmp_path / "one.mat").write_bytes(b"no matlab file")
    with pytest.raises(SystemExit, match="holds no coeff_3dmm"):
        trainer.pairs.load_pairs(tmp_path)
    scipy_io.savemat(tmp_path / "one.mat", {"coeff_3dmm": np.zeros((50, 20))})
    with pytest.raises(SystemExit, match="64 coefficients"):
        trainer.pairs.load_pairs(tmp_path)
    scipy_io.savemat(tmp_path / "one.mat", {"coeff_3dmm": np.zeros((200, 70))})
    with pytest.raises(SystemExit, match="differ in length"):
        trainer.pairs.load_pairs(tmp_path)
    (tmp_path / "one.mat").unlink()
    save_track(MotionTrack.rest(50, 25.0), tmp_path / "one.npz")
    with pytest.raises(SystemExit, match="arkit track"):
        trainer.pairs.load_pairs(tmp_path)


def test_folders_are_manners(trainer: SimpleNamespace, demo_speech: Path, tmp_path: Path) -> None:
    samples = load_speech(demo_speech).samples[: 2 * RATE]
    for name, offset in (("ann", 0.0), ("bob", 5.0)):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "one.wav", samples, RATE)
        rows = np.full((50, BFM.dim), offset)
        rows[:, 0] += np.linspace(0, 1, 50)
        save_track(MotionTrack(BFM, 25.0, rows), tmp_path / name / "one.npz")
    data, manners = trainer.pairs.load_pairs(tmp_path)
    assert manners == ("ann", "bob")
    assert data.manner is not None
    assert data.manner.tolist() == [0] * 100 + [1] * 100
    assert data.motion.abs().max() < 0.6  # offsets from the recording's mean, whatever the face
    assert len(data.mel) == 400
