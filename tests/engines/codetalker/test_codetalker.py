"""CodeTalker's networks at tiny widths: sizes read off weights, time and batches, quirks on and off."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="CodeTalker hears with transformers")

from tiny_codetalker import (
    BIWI_LIKE,
    FACES,
    VERTICES,
    VOCASET_LIKE,
    lively,
    tiny_pair,
    tiny_stage1,
    tiny_stage2,
    voice,
)

from sadtalker_ext.engines.codetalker.networks import (
    BIWI,
    SOUND,
    VOCASET,
    CodeQuery,
    Compat,
    Rhythm,
    VQAutoEncoder,
)
from sadtalker_ext.engines.codetalker.networks.layers import TimeNorm
from sadtalker_ext.engines.codetalker.networks.quantiser import Quantiser
from sadtalker_ext.engines.codetalker.networks.state_dicts import SETTINGS
from sadtalker_ext.engines.codetalker.networks.wav2vec import level, masked, normalised, samples_for, steps
from sadtalker_ext.errors import DependencyError, WeightsError

DIM = 3 * VERTICES


def moved(frames: int, batch: int = 1, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, frames, DIM, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "sizes",
    [VOCASET_LIKE, BIWI_LIKE, replace(VOCASET_LIKE, halvings=1), replace(BIWI_LIKE, halvings=3, heads=4)],
)
@pytest.mark.parametrize("compat", [Compat(), SOUND])
@torch.no_grad()
def test_stage_1_is_read_off_its_weights(sizes, compat) -> None:
    network = tiny_stage1(sizes, compat)
    again = VQAutoEncoder.from_state(network.checkpoint())
    assert (again.sizes, again.compat) == (sizes, compat)
    assert (again.vertices, again.slots) == (VERTICES, sizes.slots)
    assert torch.equal(again(moved(16)).offsets, network(moved(16)).offsets)
    assert not any(weight.requires_grad for weight in again.parameters())


@pytest.mark.parametrize("rhythm", [VOCASET, BIWI, Rhythm(20, 10, True)])
@pytest.mark.parametrize("compat", [Compat(), SOUND])
@torch.no_grad()
def test_stage_2_is_read_off_its_weights(rhythm, compat) -> None:
    network = tiny_stage2(compat=compat)
    network.rhythm = rhythm
    again = CodeQuery.from_state(network.checkpoint())
    assert (again.sizes, again.rhythm, again.compat) == (network.sizes, rhythm, compat)
    assert (again.vertices, again.styles, again.fps, again.period) == (VERTICES, 3, rhythm.fps, rhythm.period)
    sound = torch.from_numpy(voice(1))[None]
    assert torch.equal(again.hear(sound), network.hear(sound))


@torch.no_grad()
def test_published_files_hold_tables_and_either_naming_of_normalised_weights() -> None:
    network = tiny_stage2("biwi")
    state = network.state_dict()
    assert "audio_encoder.encoder.pos_conv_embed.conv.weight_g" in state
    assert not any("parametrizations" in name or name.endswith("pe") for name in state)
    place = "audio_encoder.encoder.pos_conv_embed.conv."
    newer = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        )
        if name.startswith(place)
        else name: tensor
        for name, tensor in state.items()
    }
    newer["PPE.pe"] = torch.zeros(1, 625, 32)  # the table of 25 frames/s
    again = CodeQuery.from_state(newer)
    assert again.rhythm == BIWI
    assert torch.equal(again.state_dict()[place + "weight_g"], state[place + "weight_g"])
    first = tiny_stage1(BIWI_LIKE).state_dict()
    tables = {f"{half}.{half}_pos_embedding.pe": torch.zeros(5000, 1, 32) for half in ("encoder", "decoder")}
    assert VQAutoEncoder.from_state({**first, **tables}).sizes == BIWI_LIKE


@torch.no_grad()
def test_half_precision_files_become_float32() -> None:
    network = tiny_stage1().half()
    again = VQAutoEncoder.from_state(network.state_dict())
    assert again(moved(8)).offsets.dtype == torch.float32
    torch.testing.assert_close(again(moved(8)).offsets, network.float()(moved(8)).offsets)


def test_other_weights_are_a_sentence() -> None:
    first, second = tiny_stage1().state_dict(), tiny_stage2().state_dict()
    with pytest.raises(WeightsError, match="stage 1"):
        VQAutoEncoder.from_state(second)
    with pytest.raises(WeightsError, match="stage 2"):
        CodeQuery.from_state(first)
    del first["decoder.expander.0.0.bias"]
    with pytest.raises(WeightsError, match="stage 1"):
        VQAutoEncoder.from_state(first)
    for damaged in (b"{", b"[1]", b'{"compat": {"no such": 1}}'):
        settings = torch.tensor(list(damaged), dtype=torch.uint8)
        with pytest.raises(WeightsError):
            VQAutoEncoder.from_state({**tiny_stage1().state_dict(), "settings": settings})


def test_without_transformers_networks_import_and_say_what_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(DependencyError, match="pip install transformers"):
        CodeQuery.from_state(tiny_pair("vocaset")[1].state_dict())
    code = (
        "import sys; sys.modules['transformers'] = None; "
        "import sadtalker_ext.engines.codetalker.networks as c; "
        "import sadtalker_ext.engines.codetalker.query; c.VQAutoEncoder(c.Sizes(5, 32, 16, 1, 4, 8, 4))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@torch.no_grad()
def test_a_clip_does_not_depend_on_its_neighbours_but_in_the_published_batch() -> None:
    clips = moved(12, 2)
    for compat, alike in ((Compat(), True), (SOUND, True), (Compat(positions="batch"), False)):
        network = tiny_stage1(compat=compat)
        together, alone = network.encode(clips)[1:], network.encode(clips[1:])
        assert torch.allclose(together, alone, atol=1e-5) == alike


@torch.no_grad()
def test_time_passes_only_in_sounder_positions() -> None:
    """Of a still clip, "first" and "none" see the same in every frame; "frame" knows which is which."""
    still = torch.ones(1, 9, DIM)
    for positions, alike in (("first", True), ("none", True), ("frame", False)):
        z = tiny_stage1(compat=Compat(positions=positions, norm="frame")).encode(still)[0]
        assert torch.allclose(z[2:7], z[2:3].expand(5, -1), atol=1e-4) == alike


@pytest.mark.parametrize(
    "told",
    [
        {"compat": {"positions": "frame", "norm": "clip"}},
        {"compat": {"positions": ["first"]}},
        {"compat": {"norm": "batch"}},
        {"compat": {"scale_by_width": 1}},
        {"compat": {"longest": 0}},
        {"compat": {"colour": "red"}},
        {"compat": "published"},
        {"rhythm": {"fps": 30, "period": 0, "pairs": False}},
        {"rhythm": {"fps": -25, "period": 25, "pairs": True}},
        {"rhythm": {"fps": "30", "period": 30, "pairs": False}},
        {"rhythm": {"fps": 30, "period": 30.5, "pairs": False}},
        {"rhythm": {"fps": 30, "period": 30, "pairs": 2}},
        {"rhythm": {"fps": 30, "period": 30, "pairs": False, "swing": 1}},
        {"rhythm": {"fps": 30}},
        {"rhythm": 0},
        {"heads": 0},
        {"heads": 5},
        {"heads": True},
        {"halvings": -1},
        {"halvings": 10**9},
        {"vertices": 7},
        [1],
    ],
)
def test_settings_in_a_file_are_not_trusted(told) -> None:
    for network in (tiny_stage1(), tiny_stage2()):
        state = dict(network.checkpoint())
        state[SETTINGS] = torch.tensor(list(json.dumps(told).encode()), dtype=torch.uint8)
        with pytest.raises(WeightsError, match=r"The (settings in the )?weight file"):
            type(network).from_state(state)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 60000, b" " * 70000, b"\xff"])
def test_settings_that_are_damaged(data) -> None:
    state = {**tiny_stage1().checkpoint(), SETTINGS: torch.tensor(list(data), dtype=torch.uint8)}
    with pytest.raises(WeightsError, match="settings in the weight file are damaged"):
        VQAutoEncoder.from_state(state)


def test_positions_in_time_do_not_go_with_norms_over_the_clip() -> None:
    with pytest.raises(ValueError, match="do not go with"):
        Compat(positions="frame", norm="clip")


def test_norms_over_the_clip_and_within_a_frame() -> None:
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    over_clip, within = TimeNorm(Compat())(x), TimeNorm(SOUND)(x)
    torch.testing.assert_close(over_clip.mean(2), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(within.mean(1), torch.zeros(2, 8), atol=1e-5, rtol=0)
    torch.testing.assert_close(TimeNorm(SOUND)(x[:, :, :3]), within[:, :, :3])


@pytest.mark.parametrize(
    ("halvings", "frames"), [(0, 1), (0, 2), (0, 7), (1, 4), (1, 14), (2, 8), (2, 20), (3, 16)]
)
@torch.no_grad()
def test_every_length_comes_back(halvings: int, frames: int) -> None:
    made = tiny_stage1(replace(VOCASET_LIKE, halvings=halvings))(moved(frames))
    assert made.offsets.shape == (1, frames, DIM)
    assert made.codes.shape == (1, frames >> halvings, VOCASET_LIKE.slots)
    assert made.offsets.isfinite().all()


def test_the_quantiser_takes_the_nearest_and_passes_gradients_on() -> None:
    quantiser = Quantiser(12, 8)
    lively(quantiser)
    features = moved(5)[..., :24].clone().requires_grad_(True)
    found = quantiser(features)
    book = quantiser.embedding.weight.detach()
    by_hand = (features.detach().view(-1, 1, 8) - book).norm(dim=-1).argmin(1).view(1, 5, 3)
    assert torch.equal(found.codes, by_hand)
    torch.testing.assert_close(found.features.detach(), quantiser.lookup(found.codes))
    (gradient,) = torch.autograd.grad(found.features.sum(), features, retain_graph=True)
    assert torch.equal(gradient, torch.ones_like(gradient))
    assert 1 < found.perplexity <= 12
    distance = (features - quantiser.lookup(found.codes)).square().mean()
    torch.testing.assert_close(found.loss, 1.25 * distance)


@torch.no_grad()
def test_a_network_that_learnt_scaled_offsets_can_speak_of_offsets() -> None:
    network, motion = tiny_stage1(), moved(10)
    before = network(motion)
    network.rescale(0.01)
    after = network(0.01 * motion)
    assert torch.equal(after.codes, before.codes)
    torch.testing.assert_close(after.offsets, 0.01 * before.offsets)
    query = tiny_stage2()
    embedded = query.vertice_map(motion)
    query.rescale(0.01)
    torch.testing.assert_close(query.vertice_map(0.01 * motion), embedded)


def taught(face: str, offsets: torch.Tensor, seconds: float = 1.0) -> torch.Tensor:
    first, second = tiny_pair(face)
    sound = normalised(torch.from_numpy(voice(seconds)))[None].expand(len(offsets), -1)
    return second(sound, offsets, torch.arange(len(offsets)), first).features.detach()


@pytest.mark.parametrize("face", FACES)
def test_a_frame_is_predicted_from_those_before_it(face: str) -> None:
    offsets = moved(20)
    changed = offsets.clone()
    changed[:, 10] += 1
    before, after = taught(face, offsets), taught(face, changed)
    assert torch.equal(before[:, :11], after[:, :11])
    assert (before[:, 11:] - after[:, 11:]).abs().amax(2).min() > 1e-4


@pytest.mark.parametrize("face", FACES)
@torch.no_grad()
def test_a_frame_looks_at_its_own_sound(face: str) -> None:
    query = tiny_pair(face)[1]
    keys = query.rhythm.keys
    heard, placed = torch.randn(1, 12 * keys, 32), torch.randn(1, 12, 32)
    changed = heard.clone()
    changed[:, 7 * keys] += 1
    before, after = query.attend(placed, heard), query.attend(placed, changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert (before[:, 7] - after[:, 7]).abs().max() > 1e-3


@pytest.mark.parametrize("face", FACES)
def test_a_batch_is_taught_like_its_clips(face: str) -> None:
    first, second = tiny_pair(face)
    sound = normalised(torch.from_numpy(voice(1)))[None]
    clips = moved(20, 3)
    together = taught(face, clips)
    alone = second(sound, clips[2:], torch.tensor([2]), first)
    torch.testing.assert_close(together[2:], alone.features, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("face", "frames"), [("vocaset", 40), ("biwi", 24)])
def test_motion_longer_than_its_sound_is_cut_where_steps_are_pairs(face: str, frames: int) -> None:
    assert taught(face, moved(40)).shape[1] == frames


def test_training_reaches_all_but_the_convolutions_that_hear() -> None:
    first, _ = tiny_pair("vocaset")
    query = CodeQuery(tiny_stage2().sizes)
    lively(query)
    torch.manual_seed(0)
    query.train()
    sound = normalised(torch.from_numpy(voice(1)))[None]
    query(sound, moved(29), torch.tensor([1]), first).loss.backward()
    frozen = {name for name, weight in query.named_parameters() if weight.grad is None}
    assert all(
        name.startswith(("audio_encoder.feature_extractor.", "audio_encoder.encoder.layers"))
        or name == "audio_encoder.masked_spec_embed"
        for name in frozen
    )
    assert len(query.trainable()) < len(list(query.parameters()))
    assert query.feat_map.weight.grad.abs().max() > 0


def test_spans_are_masked_in_training_alike_for_a_seed() -> None:
    heard, blank = torch.zeros(2, 60, 4), torch.ones(4)
    torch.manual_seed(3)
    first = masked(heard, blank)
    torch.manual_seed(3)
    assert torch.equal(first, masked(heard, blank))
    share = first.mean(dim=(1, 2))
    assert ((share >= 10 / 60) & (share <= 20 / 60 + 1e-6)).all()
    assert not masked(heard[:, :9], blank).any()


def test_steps_of_sound() -> None:
    query = tiny_pair("vocaset")[1]
    for samples in (400, 719, 720, 16000, 32000):
        assert query.cnn(torch.zeros(1, samples)).shape[2] == steps(samples)
    assert steps(399) == 0
    assert all(steps(samples_for(count)) == count for count in (1, 2, 99))
    assert (VOCASET.frames(99), BIWI.frames(99)) == (59, 49)


def test_the_clock_lays_sound_where_it_was_heard() -> None:
    query = tiny_pair("vocaset")[1]
    when = torch.arange(99.0)[None, None] / 50  # s
    by_clock = query.by_clock(when, 59)[0, :, 0]
    torch.testing.assert_close(by_clock, torch.arange(59) / 30, atol=1e-4, rtol=0)
    torch.testing.assert_close(query.by_clock(when, 20, first=30)[0, :, 0], torch.arange(30, 50) / 30)
    late = query.paced(when)[0, :, 0] - by_clock  # what the published stretch does
    assert 0.02 < float(late[-1]) < 0.03
    assert float(late[0]) == 0


def test_levels_of_long_recordings() -> None:
    sound = voice(25) + np.float32(0.2)
    mean, deviation = level(sound)
    torch.testing.assert_close(
        torch.from_numpy((sound - mean) / deviation).float(),
        normalised(torch.from_numpy(sound)),
        atol=1e-5,
        rtol=0,
    )
