"""VisemeNet: shapes, ranges, and that an output depends on its context and on nothing else."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from sadtalker_ext.motion.visemenet import CONTEXT, N_MELS, N_TRACKS, STRIDE, WIDTH_TRACK, VisemeNet  # noqa: E402


@pytest.fixture
def net() -> VisemeNet:
    torch.manual_seed(0)
    return VisemeNet(channels=16).eval()


@pytest.mark.parametrize("frames", [1, 2, 3, 40, 101])
def test_a_row_for_every_frame(net: VisemeNet, frames: int) -> None:
    out = net(torch.randn(2, N_MELS, frames))
    assert out.shape == (2, N_TRACKS, frames)


def test_ranges(net: VisemeNet) -> None:
    out = net(torch.randn(1, N_MELS, 500) * 50)
    width = out[:, WIDTH_TRACK]
    others = out[:, [i for i in range(N_TRACKS) if i != WIDTH_TRACK]]
    assert width.min() < -0.1
    assert width.min() >= -1
    assert width.max() <= 1
    assert others.min() >= 0
    assert others.max() <= 1


def test_context_is_what_it_says(net: VisemeNet) -> None:
    net = net.double()
    x = torch.randn(1, N_MELS, 4 * CONTEXT, dtype=torch.float64, requires_grad=True)
    reached = []
    for place in (2 * CONTEXT, 2 * CONTEXT + 1):
        (gradient,) = torch.autograd.grad(net(x)[0, :, place].sum(), x)
        touched = gradient[0].abs().sum(dim=0).nonzero().ravel()
        reached += [int(place - touched.min()), int(touched.max() - place)]
    assert max(reached) == CONTEXT


def test_pieces_with_context_equal_the_whole(net: VisemeNet) -> None:
    x = torch.randn(1, N_MELS, 500)
    whole = net(x)
    start, context = 200, CONTEXT + CONTEXT % STRIDE
    piece = net(x[..., start - context : 300 + context])[..., context : context + 100]
    torch.testing.assert_close(piece, whole[..., start:300], atol=1e-6, rtol=1e-5)


def test_state_dict_survives_half_precision_files(net: VisemeNet, tmp_path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "net.safetensors"
    safetensors.save_file({k: v.half() for k, v in net.state_dict().items()}, str(path))
    other = VisemeNet(channels=16)
    other.load_state_dict({k: v.float() for k, v in safetensors.load_file(str(path)).items()})
    x = torch.randn(1, N_MELS, 60)
    torch.testing.assert_close(other.eval()(x), net(x), atol=2e-3, rtol=0)
