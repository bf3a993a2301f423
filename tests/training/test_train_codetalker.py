"""Both stages of CodeTalker on a tiny talking mesh: they learn, and their files are what inference reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from babble import FPS, STAGE1

from sadtalker_ext.checkpoints.tensors import read_tensors
from sadtalker_ext.engines.codetalker.networks import CodeQuery, VQAutoEncoder
from sadtalker_ext.engines.codetalker.query import predict
from sadtalker_ext.engines.codetalker.training import Choices, train
from sadtalker_ext.engines.codetalker.training.stage1 import corpus_scale
from sadtalker_ext.errors import TrainingError
from sadtalker_ext.training import TEST, TRAIN, ClipCache
from sadtalker_ext.training.plan import Plan

pytestmark = pytest.mark.usefixtures("one_thread")
BETTER_THAN_MEAN_FACE = 0.35  # of its squared error; stage 1 alone
HEARS_BETTER_THAN_MEAN_FACE = 0.6


def losses(run: Path, kind: str = "train") -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss" if kind == "train" else "unexplained"] for line in lines if line["kind"] == kind]


def stage1_of(run: Path) -> VQAutoEncoder:
    return VQAutoEncoder.from_state(read_tensors(run / "stage1.pth.tar", "state_dict."))


def stage2_of(run: Path) -> CodeQuery:
    return CodeQuery.from_state(read_tensors(run / "stage2.pth.tar", "state_dict."))


def mean_face(cache: ClipCache) -> np.ndarray:
    """The mean offsets of the training clips, (D,)."""
    return np.concatenate([cache.load(entry).motion for entry in cache.of_split(TRAIN)]).mean(axis=0)


def test_stage_1_learns_and_beats_the_mean_face_on_new_sentences(
    talking: ClipCache, first_stage: Path
) -> None:
    told = losses(first_stage)
    assert told[-1] < 0.6 * told[0]
    network, mean = stage1_of(first_stage), mean_face(talking)
    error = of_mean = 0.0
    for entry in talking.of_split(TEST):
        true = talking.load(entry).motion
        with torch.no_grad():
            decoded = network(torch.from_numpy(true)[None]).offsets[0].numpy()
        error += float(np.square(decoded - true).sum())
        of_mean += float(np.square(mean - true).sum())
    assert error < BETTER_THAN_MEAN_FACE * of_mean


def test_stage_2_learns_and_beats_the_mean_face_on_new_sentences(
    talking: ClipCache, first_stage: Path, second_stage: Path
) -> None:
    told = losses(second_stage)
    assert told[-1] < 0.5 * told[0]
    stage1, stage2, mean = stage1_of(first_stage), stage2_of(second_stage), mean_face(talking)
    clips = [talking.load(entry) for entry in talking.of_split(TEST)]
    error = of_mean = of_another = 0.0
    for clip, other in zip(clips, clips[1:] + clips[:1], strict=True):
        style = talking.info.subjects.index(clip.subject)
        said, wrong = (
            np.concatenate(list(predict(stage1, stage2, each.audio, style=style))) for each in (clip, other)
        )
        frames = min(len(said), len(wrong), len(clip.motion))
        true = clip.motion[:frames]
        error += float(np.square(said[:frames] - true).sum())
        of_another += float(np.square(wrong[:frames] - true).sum())
        of_mean += float(np.square(mean - true).sum())
    assert error < HEARS_BETTER_THAN_MEAN_FACE * of_mean
    assert error < 0.5 * of_another  # it is this speech that the face follows


def test_the_files_are_a_pair_that_the_engine_finds(
    talking: ClipCache, first_stage: Path, second_stage: Path, tmp_path: Path
) -> None:
    from sadtalker_ext.engines.codetalker.weights import available, load_pair

    folder = tmp_path / "anna"
    folder.mkdir()
    shutil.copy(first_stage / "stage1.pth.tar", folder)
    shutil.copy(second_stage / "stage2.pth.tar", folder)
    assert available(tmp_path) == ("anna",)
    pair = load_pair(tmp_path, "anna")
    assert (pair.fps, pair.vertices, pair.styles) == (FPS, talking.info.dim // 3, 2)
    assert CodeQuery.from_state(pair.stage2).fps == FPS
    keys = set(torch.load(folder / "stage1.pth.tar", weights_only=True)["state_dict"])
    assert {"encoder.encoder_pos_embedding.pe", "decoder.decoder_pos_embedding.pe"} <= keys
    assert "settings" not in keys


def test_offsets_are_normalised_while_training_and_weights_are_in_the_corpus_units(
    talking: ClipCache, first_stage: Path
) -> None:
    scale = corpus_scale(talking)
    clips = [talking.load(entry).motion for entry in talking.of_split(TRAIN)]
    assert np.log2(scale) == round(np.log2(scale))
    assert 0.7 < scale / np.sqrt(np.mean(np.square(np.concatenate(clips)))) < 1.45
    state = torch.load(first_stage / "state.pt", weights_only=True)["objective"]
    inside = {name.removeprefix("network."): tensor for name, tensor in state.items() if "network." in name}
    kept = read_tensors(first_stage / "stage1.pth.tar", "state_dict.")
    name = "encoder.vertice_mapping.0.weight"
    if losses(first_stage, "validation")[-1] == min(losses(first_stage, "validation")):
        assert torch.equal(kept[name] * scale, inside[name])  # a power of two: nothing was rounded
    assert kept[name].abs().mean() > 50 * inside[name].abs().mean()


def test_published_is_what_the_authors_did(talking: ClipCache, tmp_path: Path) -> None:
    from sadtalker_ext.engines.codetalker.training import stage1 as codetalker_stage1
    from sadtalker_ext.engines.codetalker.training import stage2 as codetalker_stage2

    first, second = codetalker_stage1.PUBLISHED_PLAN, codetalker_stage2.PUBLISHED_PLAN
    assert first == Plan(
        epochs=200, rate=1e-4, halve_every=20, optimiser="adamw", weight_decay=0.01, batch=1, keep="last"
    )
    assert second == Plan(epochs=100, rate=1e-4, optimiser="adam", weight_decay=0.0, batch=1, keep="last")
    assert [first.rate_at(0, epoch) for epoch in (0, 19, 20, 40)] == [1e-4, 1e-4, 5e-5, 2.5e-5]
    plan = {"epochs": 1, "seed": 1, "log_every": 5}
    train(1, talking, tmp_path / "run", Choices(published=True, size="small", plan=plan, device="cpu"))
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["codebook"] is None
    assert about["scale"] == 1.0
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)["objective"]
    assert not any(name.startswith("keeper") for name in state)
    book = state["network.quantize.embedding.weight"]
    assert 0 < book.abs().max() < 0.1  # it began near zero, and only gradients moved it


def test_weights_can_be_gone_on_from(talking: ClipCache, first_stage: Path, tmp_path: Path) -> None:
    choices = Choices(
        start=first_stage / "stage1.pth.tar", plan={**STAGE1, "epochs": 1, "rate": 1e-4}, device="cpu"
    )
    train(1, talking, tmp_path / "run", choices)
    assert losses(tmp_path / "run", "validation")[0] < 1.5 * min(losses(first_stage, "validation"))


def test_networks_that_only_this_program_reads(talking: ClipCache, tmp_path: Path) -> None:
    choices = Choices(sound=True, size="small", plan={**STAGE1, "epochs": 2}, device="cpu")
    train(1, talking, tmp_path / "run", choices)
    network = stage1_of(tmp_path / "run")
    assert network.compat.positions == "frame"
    assert network.compat.norm == "frame"
    assert losses(tmp_path / "run", "validation")[-1] < 1


def test_what_does_not_fit_is_told(talking: ClipCache, first_stage: Path, tmp_path: Path) -> None:
    small = Choices(size="small", plan={"epochs": 1}, device="cpu")
    with pytest.raises(TrainingError, match="--stage1"):
        train(2, talking, tmp_path / "a", small)
    with pytest.raises(TrainingError, match="no stage 1"):
        train(2, talking, tmp_path / "b", Choices(stage1=tmp_path / "nothing.pth.tar"))
    with pytest.raises(TrainingError, match="no weights"):
        train(1, talking, tmp_path / "c", Choices(start=tmp_path / "nothing.pth.tar"))
    with pytest.raises(TrainingError, match="no training to resume"):
        train(1, talking, tmp_path / "d", Choices(resume=True))
    with pytest.raises(TrainingError, match="holds a training"):
        train(1, talking, first_stage, small)
    with pytest.raises(TrainingError, match="contradict"):
        train(1, talking, tmp_path / "e", Choices(published=True, sound=True))
    with pytest.raises(TrainingError, match="rate must be"):
        train(1, talking, tmp_path / "f", Choices(plan={"rate": -1.0}))
    with pytest.raises(TrainingError, match="--doubt"):
        train(
            2,
            talking,
            tmp_path / "g",
            Choices(stage1=first_stage / "stage1.pth.tar", doubt=2.0, size="small"),
        )
