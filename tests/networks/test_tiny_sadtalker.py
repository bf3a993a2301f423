"""SadTalker's networks at tiny widths: shapes, sizes read back from weights, the rearranged render."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sadtalker_ext.networks.expnet import ExpNet
from sadtalker_ext.networks.face_render import DenseMotion, Generator, SpadeDecoder
from sadtalker_ext.networks.face_render.fast import ConvOnEnlarged, faster
from sadtalker_ext.networks.keypoints import KeyPointDetector
from sadtalker_ext.networks.mapping import WINDOW, MappingNet
from sadtalker_ext.networks.posevae import PoseVAE
from sadtalker_ext.networks.recon import ReconNet


def tiny_generator() -> Generator:
    motion = DenseMotion(4, 4, 3, 2, down=(6, 8, 10), up=(8, 6, 4))
    return Generator((4, 6, 8), 4, 4, 1, motion, SpadeDecoder(8, 5, 10, 2, (6, 4)), label=8)


def tiny_detector() -> KeyPointDetector:
    return KeyPointDetector((4, 6, 8), (6, 4, 4), depth=4, keypoints=3)


def lively(network: nn.Module) -> nn.Module:
    """Weights and statistics away from their starting values, so that a forgotten one is noticed."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator)
                if name.endswith(("running_var", "norm.weight")):
                    tensor.copy_(1 + 0.2 * noise.abs())
                else:
                    tensor.copy_(noise * (0.3 if tensor.ndim > 1 else 0.1))
    return network.eval()


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


@pytest.mark.parametrize("factor", [1, 2, 4])
@torch.no_grad()
def test_convolving_the_small_map_equals_convolving_the_enlarged_one(factor: int) -> None:
    weight, bias, small = torch.randn(7, 5, 3, 3), torch.randn(7), torch.randn(2, 5, 6, 9)
    large = nn.functional.interpolate(small, scale_factor=float(factor), mode="nearest")
    expected = nn.functional.conv2d(large, weight, bias, padding=1).relu()
    torch.testing.assert_close(ConvOnEnlarged(weight, bias, factor)(small), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_rearranged_render_gives_the_same_frames() -> None:
    generator = lively(tiny_generator())
    for block in generator.modules():
        if hasattr(block, "weight_u"):  # as spectral norm keeps them: a unit vector each
            block.weight_u /= block.weight_u.norm()
            block.weight_v /= block.weight_v.norm()
            block.weight_orig += torch.outer(block.weight_u, block.weight_v).view_as(block.weight_orig)
    picture, source = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 3) - 0.5
    driving = source + 0.2 * torch.randn(2, 3, 3)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    quick = faster(generator)
    frames = generator(generator.encode(picture), driving, source)
    assert frames.shape == (2, 3, 64, 64)
    assert frames.std() > 1e-3
    torch.testing.assert_close(quick(quick.encode(picture), driving, source), frames, rtol=1e-3, atol=1e-4)
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
