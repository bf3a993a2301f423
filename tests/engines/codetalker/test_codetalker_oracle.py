"""CodeTalker's networks give what the published ones gave, with weights made on the fly."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from codetalker_oracle import (
    ABSOLUTE,
    MARGIN,
    close,
    golden,
    meta,
    motion,
    needs_oracle,
    speech,
    stage1,
    stage2,
)

from sadtalker_ext.engines.codetalker.networks import CodeQuery, Compat, VQAutoEncoder
from sadtalker_ext.engines.codetalker.networks.prefix import PrefixQuery
from sadtalker_ext.engines.codetalker.networks.wav2vec import normalised
from sadtalker_ext.engines.codetalker.query import predict

pytestmark = needs_oracle
pytest.importorskip("transformers", reason="CodeTalker hears with transformers")
DATASETS = ("vocaset", "biwi")
MIX = (2, 1, 0.3)
STILL = 1e-3  # frames that are alike, normalised over each other, are rounding noise


def same_codes(got: torch.Tensor, want: np.ndarray, margin: np.ndarray) -> None:
    assert got.shape == want.shape
    certain = margin > MARGIN
    assert certain.mean() > 0.9
    assert (got.numpy() == want)[certain].all()


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
        close(decoded.double().square().mean(1).sqrt(), want["decoded_frame_l2"])
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
        rows = slice(None, len(corner[0])) if whole else slice(60, 64)
        close(mask[:, rows, : corner.shape[2]], corner, absolute=0)
        close(mask[:, -1], want["biased_mask_last_row"], absolute=0)
        repeating = network.positions(2 * network.period)[:, : want["ppe_rows"].shape[1]]
        last_row = network.period - 1
        close(repeating[[0, 1, last_row, last_row + 1, last_row + 2]], want["ppe_rows"])
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
                alike = (want["step_codes"][: number + 1] == want["step_codes"][0]).all()
                close(last[0, 0][columns], feedback, STILL if alike else ABSOLUTE)
            embedded = torch.cat([embedded, network.vertice_map(last) + style], dim=1)
        predicted = decoder.decode(quantised)[0] + template
    close(torch.stack(stepped)[:, feature_channels], want["step_feat"])
    close(features[0][:, feature_channels], want["final_feat"])
    same_codes(torch.stack(codes), want["step_codes"], want["code_margin"])
    same_codes(found[0], want["final_codes"], want["code_margin"])
    close(predicted[:, columns], want.get("pred_cols", want.get("pred")))
    if "pred_frame_l2" in want:
        close(predicted.double().square().mean(1).sqrt(), want["pred_frame_l2"])
    style_number = torch.tensor([int(want["style_index"])])
    taught = network(sound, (gt - gt_template)[None], style_number, decoder)
    close(taught.features[0].detach()[:, feature_channels], want["tf_feat"])
    close(taught.motion_loss.detach(), want["tf_loss_motion"])
    close(taught.code_loss.detach(), want["tf_loss_reg"])
    close(taught.loss.detach(), want["tf_loss"])


@pytest.mark.parametrize("dataset", DATASETS)
def test_tiny_stage_1(dataset: str) -> None:
    check_stage1(stage1(dataset, "tiny"), dataset, "tiny")


@pytest.mark.parametrize("dataset", DATASETS)
def test_tiny_stage_2(dataset: str) -> None:
    check_stage2(stage2(dataset, "tiny"), stage1(dataset, "tiny", 2), dataset, "tiny")


def check_gradients(network: torch.nn.Module, want: dict[str, np.ndarray]) -> None:
    weights = dict(network.named_parameters())
    names = [name for name in want if name.startswith("grad/")]
    assert len(names) == 6
    for name in names:
        gradient = weights[name.removeprefix("grad/")].grad
        assert gradient is not None
        close(gradient, want[name])


@pytest.mark.parametrize("dataset", DATASETS)
def test_gradients_of_stage_1(dataset: str) -> None:
    network, (_, moved) = stage1(dataset, "tiny").requires_grad_(True), offsets(dataset, "tiny")
    made = network(moved)
    ((made.offsets - moved).abs().mean() + made.loss).backward()
    check_gradients(network, golden(1, dataset, "tiny"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_gradients_of_stage_2(dataset: str) -> None:
    about, want = meta(2, dataset, "tiny"), golden(2, dataset, "tiny")
    network = stage2(dataset, "tiny").requires_grad_(True)
    template, vertices = motion(about["gt_name"], about["gt_frames"], 60)
    sound = normalised(torch.from_numpy(speech()))[None]
    style = torch.tensor([int(want["style_index"])])
    network(sound, (vertices - template)[None], style, stage1(dataset, "tiny", 2)).loss.backward()
    check_gradients(network, want)


@pytest.mark.parametrize("dataset", DATASETS)
@torch.no_grad()
def test_a_batch_as_the_published_code_takes_it_and_as_we_do(dataset: str) -> None:
    want, (template, moved) = golden(1, dataset, "tiny"), offsets(dataset, "tiny")
    twice = moved.expand(2, -1, -1)
    published = stage1(dataset, "tiny", compat=Compat(positions="batch"))
    close(published(twice).offsets + template, want["decoded_batch2"])
    both = stage1(dataset, "tiny")(twice).offsets + template
    close(both, np.stack([want["decoded"]] * 2))


@pytest.mark.parametrize("dataset", DATASETS)
def test_published_inference_with_one_style_and_a_mixture(dataset: str) -> None:
    about, want = meta(2, dataset, "tiny"), golden(2, dataset, "tiny")
    first, second = stage1(dataset, "tiny", 2), stage2(dataset, "tiny")
    template, _ = motion(about["template_name"].removesuffix(".template"), 1, 60)
    for style, name in ((1, "pred"), (MIX, "pred_style_mix_0p3")):
        blocks = list(predict(first, second, speech(), style=style, exact=True))
        close(np.concatenate(blocks) + template.numpy(), want[name])


@pytest.mark.skipif(not os.environ.get("SADTALKER_FULL_TESTS"), reason="set SADTALKER_FULL_TESTS=1: a minute")
@pytest.mark.parametrize("dataset", DATASETS)
def test_official_sizes(dataset: str) -> None:
    first = stage1(dataset, "full")
    check_stage1(first, dataset, "full")
    check_stage2(stage2(dataset, "full"), first, dataset, "full")
