"""CodeTalker's networks give what the published ones gave, with weights made on the fly."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from codetalker_oracle import MARGIN, close, golden, meta, motion, needs_oracle, speech, stage1, stage2

from sadtalker_ext.networks.codetalker import CodeQuery, VQAutoEncoder
from sadtalker_ext.networks.codetalker.prefix import PrefixQuery
from sadtalker_ext.networks.codetalker.speech import normalised

pytestmark = needs_oracle
DATASETS = ("vocaset", "biwi")
FIRST_FEEDBACK = 1e-3  # a single frame normalised over itself is rounding noise


def same_codes(got: torch.Tensor, want: np.ndarray, margin: np.ndarray) -> None:
    assert got.shape == want.shape
    certain = margin > MARGIN
    assert certain.mean() > 0.9
    assert (got.numpy() == want)[certain].all()


@lru_cache
def tiny(stage: int, dataset: str) -> Any:
    return stage1(dataset, "tiny") if stage == 1 else stage2(dataset, "tiny")


def watched(module: torch.nn.Module, kept: dict[str, torch.Tensor], name: str) -> None:
    module.register_forward_hook(lambda _, __, out: kept.__setitem__(name, out))


def offsets(dataset: str, size: str) -> tuple[torch.Tensor, torch.Tensor]:
    about = meta(1, dataset, size)
    template, vertices = motion(
        about["vertices_name"], about["frames"], about["config"]["in_dim"], about["motion_scale"]
    )
    return template, (vertices - template)[None]


def check_stage1(network: VQAutoEncoder, dataset: str, size: str) -> dict[str, torch.Tensor]:
    """Everything but gradients; returns the activations that were watched."""
    want, (template, moved) = golden(1, dataset, size), offsets(dataset, size)
    columns = want.get("vertex_columns", np.arange(len(template)))
    channels = want.get("channel_columns", np.arange(network.sizes.width))
    seen: dict[str, torch.Tensor] = {}
    watched(network.encoder.vertice_mapping, seen, "vmap")
    watched(network.encoder.squasher, seen, "squash")
    watched(network.encoder.encoder_pos_embedding, seen, "enc_in")
    watched(network.encoder.encoder_transformer, seen, "enc_transformer")
    watched(network.decoder.decoder_transformer, seen, "dec_transformer")
    watched(network.decoder.expander[-1], seen, "expand")
    with torch.no_grad():
        z = network.encode(moved)
        made = network(moved)
    for name in ("vmap", "enc_in", "enc_transformer", "dec_transformer"):
        close(seen[name][0][:, channels], want[name])
    for name in ("squash", "expand"):
        close(seen[name][0][channels], want[name])
    close(z[0], want["z"])
    same_codes(made.codes[0], want["indices"], want["code_margin"])
    decoded = made.offsets[0] + template
    close(decoded[:, columns], want.get("decoded_cols", want.get("decoded")))
    if "decoded_frame_l2" in want:
        close(decoded.double().norm(dim=1), want["decoded_frame_l2"])
        close(decoded.double().mean(1), want["decoded_frame_mean"])
    error = (made.offsets - moved).abs().mean()
    close(error, want["rec_loss"])
    close(made.loss, want["quant_loss"])
    close(made.loss + error, want["loss"])
    close(made.perplexity, want["perplexity"])
    return seen


def check_stage2(network: CodeQuery, decoder: VQAutoEncoder, dataset: str, size: str) -> None:
    """Hearing, every step, the result, teacher-forced losses."""
    want, about = golden(2, dataset, size), meta(2, dataset, size)
    width = about["config"]["vertice_dim"]
    template, _ = motion(about["template_name"].removesuffix(".template"), 1, width)
    gt_template, gt = motion(about["gt_name"], about["gt_frames"], width)
    columns = want.get("vertex_columns", np.arange(width))
    channels = want.get("channel_columns", np.arange(network.sizes.width))
    whole = "vertex_columns" not in want
    feature_channels = slice(None) if whole else channels
    heard_channels = slice(None) if whole else np.arange(0, 768, 4)
    sound = normalised(torch.from_numpy(speech()))[None]
    if whole:
        close(sound[0], want["audio"])
    seen: dict[str, torch.Tensor] = {}
    watched(network.audio_encoder.feature_extractor, seen, "cnn")
    watched(network.audio_encoder.encoder, seen, "w2v")
    with torch.no_grad():
        paced = network.paced(network.cnn(sound))
        heard = network.hear(sound)
        assert seen["cnn"].shape[2] == about["cnn_frames"]
        cnn_channels = slice(None) if whole else np.arange(0, 512, 8)
        close(seen["cnn"][0][cnn_channels], want["cnn"])
        close(paced[0][:, cnn_channels], want["proj_in"])
        close(seen["w2v"].last_hidden_state[0][:, heard_channels], want["w2v"])
        close(heard[0][:, channels], want["audio_map"])
        mask = network.bias(600)
        corner = want["biased_mask_corner"]
        close(mask[:, : corner.shape[1], : corner.shape[2]], corner, absolute=0)
        close(mask[:, -1], want["biased_mask_last_row"], absolute=0)
        # The last frame's features of every step are those that the final codes are made of.
        prefix, style = PrefixQuery(network, heard), network.style(int(want["style_index"])).view(1, 1, -1)
        embedded, stepped, codes = style, [], []
        for number in range(about["frames"]):
            features = prefix.attend(network.placed(embedded))
            quantised, found = decoder.quantize.snap(features)
            stepped.append(features[0, -1])
            codes.append(found[0, -1])
            last = decoder.decode(quantised)[:, -1:]
            if number < about["frames"] - 1:
                feedback = want.get("feedback_motion_cols", want.get("feedback_motion"))[number]
                close(last[0, 0][columns], feedback, FIRST_FEEDBACK if number == 0 else 2e-4)
            embedded = torch.cat([embedded, network.vertice_map(last) + style], dim=1)
        predicted = decoder.decode(quantised)[0] + template
    close(torch.stack(stepped)[:, feature_channels], want["step_feat"])
    close(features[0][:, feature_channels], want["final_feat"])
    same_codes(torch.stack(codes), want["step_codes"], want["code_margin"])
    same_codes(found[0], want["final_codes"], want["code_margin"])
    close(predicted[:, columns], want.get("pred_cols", want.get("pred")))
    if "pred_frame_l2" in want:
        close(predicted.double().norm(dim=1), want["pred_frame_l2"])
    style_number = torch.tensor([int(want["style_index"])])
    taught = network(sound, (gt - gt_template)[None], style_number, decoder)
    close(taught.features[0].detach()[:, feature_channels], want["tf_feat"])
    close(taught.motion_loss.detach(), want["tf_loss_motion"])
    close(taught.code_loss.detach(), want["tf_loss_reg"])
    close(taught.loss.detach(), want["tf_loss"])


@pytest.mark.parametrize("dataset", DATASETS)
def test_tiny_stage_1(dataset: str) -> None:
    check_stage1(stage1(dataset, "tiny"), dataset, "tiny")
