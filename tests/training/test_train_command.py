"""The command line of training, the weights it may begin to hear with, and the corpus of made heads."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from babble import write_corpus
from raw_corpora import write_vocaset

from sadtalker_ext.cli import main
from sadtalker_ext.engines.codetalker.training import Choices, train
from sadtalker_ext.engines.codetalker.training.speech_weights import read_wav2vec2
from sadtalker_ext.errors import TrainingError
from sadtalker_ext.training import ClipCache

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).parents[2]


def test_from_a_folder_to_both_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, cache, first, second = (tmp_path / name for name in ("raw", "cache", "first", "second"))
    write_corpus(raw, sentences=3, seconds=1.0)
    assert main(["train", "prepare", "layout", str(raw), "--fps", "25", "--out", str(cache)]) == 0
    assert "clips: 2 train, 2 validation, 2 test" in capsys.readouterr().out
    small = ["--size", "small", "--epochs", "1", "--device", "cpu", "--no-tensorboard"]
    assert main(["train", "codetalker-stage1", str(cache), "--out", str(first), *small]) == 0
    told = capsys.readouterr()
    assert "stage1.pth.tar: 2 steps; weights of epoch 1" in told.out
    assert "validation: unexplained" in told.err
    stage1 = ["--stage1", str(first / "stage1.pth.tar")]
    assert main(["train", "codetalker-stage2", str(cache), *stage1, "--out", str(second), *small, "-q"]) == 0
    assert capsys.readouterr().out == ""
    again = ["--resume", "--epochs", "2", "--device", "cpu"]
    assert main(["train", "codetalker-stage1", str(cache), "--out", str(first), *again]) == 0
    assert "4 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["prepare", "vocaset", "nowhere", "--out", "c"], "There is no folder nowhere"),
        (["prepare", "vocaset", "raw", "--out", "c", "--fps", "25"], "--fps and --step are for a layout"),
        (["prepare", "layout", "raw", "--out", "c"], "is not a converted corpus"),
        (["codetalker-stage1", "raw", "--out", "r"], "holds no prepared corpus"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    write_vocaset(tmp_path / "raw")
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told


def test_weights_to_hear_with_from_a_stage_2_or_a_folder(
    talking: ClipCache, second_stage: Path, tmp_path: Path
) -> None:
    state = torch.load(second_stage / "stage2.pth.tar", weights_only=True)["state_dict"]
    heard = read_wav2vec2(second_stage / "stage2.pth.tar")
    name = "encoder.layers.0.attention.k_proj.weight"
    assert torch.equal(heard[name], state[f"audio_encoder.{name}"])
    folder = tmp_path / "wav2vec2-base-960h"
    folder.mkdir()
    renamed = {
        f"wav2vec2.{key}".replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor
        for key, tensor in heard.items()
        if key != "masked_spec_embed"  # some published files lack it
    }
    torch.save({**renamed, "lm_head.weight": torch.zeros(32, 64)}, folder / "pytorch_model.bin")
    again = read_wav2vec2(folder)
    assert again.keys() == heard.keys() - {"masked_spec_embed"}
    assert all(torch.equal(again[key], heard[key]) for key in again)
    stage1 = second_stage.with_name("stage1") / "stage1.pth.tar"
    plan = {"epochs": 1, "batch": 7, "rate": 1e-6, "warmup": 0}
    choices = Choices(
        wav2vec2=folder, stage1=stage1, size="small", plan=plan, device="cpu", tensorboard=False
    )
    train(2, talking, tmp_path / "run", choices)
    made = torch.load(tmp_path / "run" / "stage2.pth.tar", weights_only=True)["state_dict"]
    torch.testing.assert_close(made[f"audio_encoder.{name}"], heard[name], atol=1e-5, rtol=0)
    assert not torch.equal(made[f"audio_encoder.{name}"], heard[name])
    first = "feature_extractor.conv_layers.0.conv.weight"  # pre-trained convolutions stay
    assert torch.equal(made[f"audio_encoder.{first}"], heard[first])
    assert json.loads((second_stage / "run.json").read_text())["whole_ear"]  # which random ones do not
    with pytest.raises(TrainingError, match=r"no wav2vec 2\.0"):
        read_wav2vec2(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"holds no wav2vec 2\.0"):
        read_wav2vec2(stage1)


def test_a_corpus_of_made_heads(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT))
    try:
        from recipes.codetalker import talking_heads as heads

        try:
            heads.espeak()
        except OSError as error:
            pytest.skip(f"espeak-ng is not installed: {error}")
        heads.write(tmp_path / "raw", subjects=2, count=3, fps=30.0)
        one, other = heads.head(0), heads.head(1)
        neutral = heads.neutral_head(0)
    finally:
        sys.path.remove(str(ROOT))
    assert (
        main(
            [
                "train",
                "prepare",
                "layout",
                str(tmp_path / "raw"),
                "--fps",
                "30",
                "--out",
                str(tmp_path / "c"),
                "-q",
            ]
        )
        == 0
    )
    cache = ClipCache(tmp_path / "c")
    assert len(cache.entries) == 6
    assert max(abs(entry.mismatch) for entry in cache.entries) < 0.05
    motion = cache.load(cache.entries[0]).motion.reshape(-1, len(one.template), 3)
    reach = np.abs(motion).max(axis=(0, 2))
    assert 0.005 < reach.max() < 0.03  # metres
    assert reach[one.template[:, 1] > 0.03].max() < 1e-3  # the brow rests
    assert not np.array_equal(one.template, other.template)
    assert neutral.basis.shape == (heads.TRACKS, neutral.template.size)
    assert np.abs(neutral.basis).max(axis=1).min() > 0.005  # face widths: every track moves something
    assert one.faces.max() == len(one.template) - 1
