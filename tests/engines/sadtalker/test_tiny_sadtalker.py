"""SadTalker's networks at tiny widths: shapes, sizes read back from weights, the rearranged render."""

from __future__ import annotations

import pytest
import torch
from tiny_sadtalker import lively, tiny_detector, tiny_generator
from torch import nn

from sadtalker_ext.engines.sadtalker.networks.expnet import ExpNet
from sadtalker_ext.engines.sadtalker.networks.face_render.blocks import ConvBlock
from sadtalker_ext.engines.sadtalker.networks.face_render.enlarged import (
    PhasedConv,
    kinds,
    rows_of_kinds,
    rows_of_phases,
)
from sadtalker_ext.engines.sadtalker.networks.face_render.fast import FlatConv3d, PhasedUpBlock, faster
from sadtalker_ext.engines.sadtalker.networks.mapping import WINDOW, MappingNet
from sadtalker_ext.engines.sadtalker.networks.posevae import PoseVAE
from sadtalker_ext.engines.sadtalker.networks.recon import ReconNet


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(4)


NETWORKS = {
    "recon": lambda: ReconNet(4),
    "expnet": lambda: ExpNet(4, 10),
    "posevae": lambda: PoseVAE(4, 3, 12, 5),
    "mapping": lambda: MappingNet(9, 16, 3),
    "keypoints": tiny_detector,
    "generator": tiny_generator,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_widths_are_read_off_the_weights(name: str) -> None:
    network = lively(NETWORKS[name]())
    again = type(network).shaped_like(network.state_dict())
    again.load_state_dict(network.state_dict())
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }


@torch.no_grad()
def test_head_motion_has_a_row_a_frame() -> None:
    posevae = lively(PoseVAE(4, 3, 12, 5))
    for frames in (1, 2, 31, 32, 33, 34, 65, 97):
        heard = posevae.listen(torch.randn(frames, 80, 16))
        noise = torch.randn(PoseVAE.blocks(frames), 64)
        motion = posevae.decode(heard, torch.zeros(6), 4, noise)
        assert motion.shape == (frames, 6)
        assert not motion[0].any()
        assert motion.isfinite().all()


@torch.no_grad()
def test_key_points_lie_in_the_unit_cube() -> None:
    found = lively(tiny_detector())(torch.rand(2, 3, 64, 64))
    assert found.shape == (2, 3, 3)
    assert found.abs().max() <= 1


@torch.no_grad()
def test_mapping_shapes() -> None:
    motion = lively(MappingNet(9, 16, 3))(torch.randn(5, 9, WINDOW))
    assert motion.yaw.shape == (5, 66)
    assert motion.exp.shape == (5, 9)


def _margin(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.pad(x, (1, 1, 1, 1))


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@torch.no_grad()
def test_convolving_the_small_map_twice_equals_convolving_the_enlarged_one(factor: int) -> None:
    small = torch.randn(2, 5, 6, 9)
    first, then = nn.Conv2d(5, 7, 3, padding=1), nn.Conv2d(7, 4, 3, padding=1)
    expected = then(first(nn.functional.interpolate(small, scale_factor=float(factor))))
    condensed = torch.zeros(2, 7, 6 * kinds(factor), 9 * kinds(factor))
    for place, value in PhasedConv(first.weight, first.bias, rows_of_kinds(factor))(_margin(small), 6, 9):
        condensed[(..., *place)] = value
    again = PhasedConv(then.weight, then.bias, rows_of_phases(factor), kinds(factor))
    made = torch.full_like(expected, torch.nan)
    for place, value in again(_margin(condensed), 6, 9):
        made[(..., *place)] = value
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)


def test_phases_share_the_kernels_that_are_equal() -> None:
    weight, bias = torch.randn(7, 5, 3, 3), torch.randn(7)
    for factor, expected in ((1, 1), (2, 1), (4, 9)):
        assert len(PhasedConv(weight, bias, rows_of_phases(factor), kinds(factor)).kernels) == expected


@torch.no_grad()
def test_volumes_are_doubled_without_the_doubled_map() -> None:
    block = lively(ConvBlock(5, 7, dimensions=3, up=True))
    volume = torch.randn(2, 5, 4, 6, 9)
    expected = block(volume)
    block.fold()
    torch.testing.assert_close(PhasedUpBlock(block)(volume), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_volume_is_convolved_map_by_map() -> None:
    conv, volume = nn.Conv3d(5, 3, 7, padding=3), torch.randn(2, 5, 4, 6, 9)
    torch.testing.assert_close(FlatConv3d(conv)(volume), conv(volume), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_rearranged_render_gives_the_same_frames() -> None:
    generator = lively(tiny_generator())
    picture, source = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 3) - 0.5
    driving = source + 0.2 * torch.randn(2, 3, 3)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    quick = faster(generator)
    frames = generator(generator.encode(picture), driving, source)
    assert frames.shape == (2, 3, 64, 64)
    assert frames.std() > 1e-3
    error = (quick(quick.encode(picture), driving, source) - frames).abs()
    # Rounding may move a voxel over the limit below which shares of the motion are dropped.
    assert error.mean() <= 1e-4
    assert error.flatten().quantile(0.98) <= 1e-3
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@torch.no_grad()
def test_a_frame_does_not_depend_on_its_batch() -> None:
    generator = lively(tiny_generator())
    features, source = generator.encode(torch.rand(1, 3, 64, 64)), torch.rand(1, 3, 3) - 0.5
    driving = source + 0.2 * torch.randn(3, 3, 3)
    together = generator(features, driving, source)
    alone = generator(features, driving[1:2], source)
    torch.testing.assert_close(together[1:2], alone, rtol=1e-3, atol=2e-3)
