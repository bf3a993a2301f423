"""CodeTalker's recorded inputs and outputs, and weights made on the fly; tests skip without them."""

from __future__ import annotations

import importlib.util
import json
import wave
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from sadtalker_ext.engines.codetalker.networks import CodeQuery, VQAutoEncoder

HERE = Path(__file__).resolve()
ORACLE = next(
    (p / "shared/oracle/codetalker" for p in HERE.parents if (p / "shared/oracle/codetalker").is_dir()), None
)
RELATIVE, ABSOLUTE = 1e-4, 2e-4
MARGIN = 1e-3  # of distances; codes that are nearer to another one may differ

needs_oracle = pytest.mark.skipif(
    ORACLE is None, reason="needs ../shared/oracle/codetalker beside the project"
)


@lru_cache
def recipe() -> ModuleType:
    assert ORACLE is not None
    spec = importlib.util.spec_from_file_location("codetalker_oracle_weights", ORACLE / "synth_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache
def meta(stage: int, dataset: str, size: str) -> dict[str, Any]:
    assert ORACLE is not None
    return json.loads((ORACLE / "goldens_meta.json").read_text())[f"golden_s{stage}_{dataset}_{size}.npz"]


@lru_cache
def golden(stage: int, dataset: str, size: str) -> dict[str, np.ndarray]:
    assert ORACLE is not None
    return dict(np.load(ORACLE / f"golden_s{stage}_{dataset}_{size}.npz"))


def _shapes(stage: int, dataset: str) -> dict[str, list[int]]:
    assert ORACLE is not None
    return json.loads((ORACLE / "codetalker_manifest.json").read_text())[f"{dataset}_stage{stage}"]["keys"]


def _tiny_stage1(name: str, config: dict[str, Any]) -> tuple[int, ...] | None:
    """A tensor's shape in the tiny auto-encoder, or None where it has fewer layers."""
    width, features = config["hidden_size"], config["face_quan_num"] * config["zquant_dim"]
    layers, hidden = config["num_hidden_layers"], config["intermediate_size"]
    if ".net." in name and "transformer" in name and int(name.split(".net.")[1].split(".")[0]) >= 2 * layers:
        return None
    table: dict[str, tuple[int, ...]] = {
        "vertice_mapping.0.weight": (width, config["in_dim"]),
        "vertice_map_reverse.weight": (config["in_dim"], width),
        "vertice_map_reverse.bias": (config["in_dim"],),
        "to_qkv.weight": (3 * width, width),
        "l1.weight": (hidden, width),
        "l1.bias": (hidden,),
        "l2.weight": (width, hidden),
        "0.0.weight": (width, width, 5),
        "embedding.weight": (config["n_embed"], config["zquant_dim"]),
        "embedding_post.net.weight": (features, width),
        "embedding_post.net.bias": (features,),
        "embedding_pre.net.weight": (width, features),
        "embedding.net.weight": (width, width),
        "to_out.weight": (width, width),
    }
    found = next((shape for end, shape in table.items() if name.endswith(end)), (width,))
    return (width,) if name.endswith("0.0.bias") or name.endswith("vertice_mapping.0.bias") else found


def _tiny_stage2(name: str, config: dict[str, Any], speech: dict[str, Any]) -> tuple[int, ...] | None:
    width, features = config["feature_dim"], config["face_quan_num"] * config["zquant_dim"]
    if name.startswith("transformer_decoder.layers."):
        if int(name.split(".")[2]) >= config["num_layers"]:
            return None
        ends: dict[str, tuple[int, ...]] = {
            "in_proj_weight": (3 * width, width),
            "in_proj_bias": (3 * width,),
            "linear1.weight": (2 * width, width),
            "linear1.bias": (2 * width,),
            "linear2.weight": (width, 2 * width),
            "out_proj.weight": (width, width),
        }
        return next((shape for end, shape in ends.items() if name.endswith(end)), (width,))
    if name.startswith("audio_encoder."):
        return _tiny_speech(name.removeprefix("audio_encoder."), speech)
    return {
        "audio_feature_map.weight": (width, speech["hidden_size"]),
        "audio_feature_map.bias": (width,),
        "vertice_map.weight": (width, config["vertice_dim"]),
        "vertice_map.bias": (width,),
        "feat_map.weight": (features, width),
        "learnable_style_emb.weight": (len(config["train_subjects"].split()), width),
    }[name]


def _tiny_speech(name: str, speech: dict[str, Any]) -> tuple[int, ...] | None:
    width, hidden, channels = speech["hidden_size"], speech["intermediate_size"], speech["conv_dim"]
    if name.startswith("encoder.layers.") and int(name.split(".")[2]) >= speech["num_hidden_layers"]:
        return None
    if name.startswith("feature_extractor."):
        number = int(name.split(".")[2])
        if name.endswith("conv.weight"):
            return channels[number], channels[number - 1] if number else 1, speech["conv_kernel"][number]
        return (channels[number],)
    taps = speech["num_conv_pos_embeddings"]
    ends: dict[str, tuple[int, ...]] = {
        "feature_projection.layer_norm.weight": (channels[-1],),
        "feature_projection.layer_norm.bias": (channels[-1],),
        "feature_projection.projection.weight": (width, channels[-1]),
        "weight_g": (1, 1, taps),
        "weight_v": (width, width // speech["num_conv_pos_embedding_groups"], taps),
        "intermediate_dense.weight": (hidden, width),
        "intermediate_dense.bias": (hidden,),
        "output_dense.weight": (width, hidden),
        "proj.weight": (width, width),
    }
    return next((shape for end, shape in ends.items() if name.endswith(end)), (width,))


def state(stage: int, dataset: str, size: str) -> dict[str, torch.Tensor]:
    """A synthetic state dict; position tables are left out but for their shape."""
    about = meta(stage, dataset, size)
    made = {}
    for name, full in _shapes(stage, dataset).items():
        shape: tuple[int, ...] | None = tuple(full)
        if name.endswith(".pe"):
            made[name] = torch.zeros(1).expand(full)
            continue
        if size == "tiny":
            config = about["config"]
            shape = (
                _tiny_stage1(name, config) if stage == 1 else _tiny_stage2(name, config, about["w2v_config"])
            )
        if shape is not None:
            made[name] = torch.from_numpy(recipe().tensor(name, shape))
    return made


def stage1(dataset: str, size: str, stage: int = 1, **told: Any) -> VQAutoEncoder:
    heads = meta(stage, dataset, size)["config"]["num_attention_heads"]
    return VQAutoEncoder.from_state(state(1, dataset, size), heads=heads, **told)


def stage2(dataset: str, size: str, **told: Any) -> CodeQuery:
    return CodeQuery.from_state(state(2, dataset, size), **told)


def motion(name: str, frames: int, width: int, scale: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """(template (V3,), vertices (T, V3)) of the recipe."""
    template, vertices = recipe().vertices(name, frames, width, scale)
    return torch.from_numpy(template), torch.from_numpy(vertices)


def speech() -> np.ndarray:
    """The two seconds of speech that were recorded, float32 -1..1 at 16 kHz."""
    assert ORACLE is not None
    with wave.open(str(ORACLE / "speech_2s_16k.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return samples.astype(np.float32) / 32768


def close(got: object, want: object, absolute: float = ABSOLUTE) -> None:
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=RELATIVE, atol=absolute)
