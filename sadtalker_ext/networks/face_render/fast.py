"""The face render's networks rearranged: the same numbers up to rounding, with less arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import ConvBlock, double
from .generator import Generator
from .spade import EPSILON, SLOPE, Spade, SpadeBlock, SpadeDecoder, SpectralConv

FIRST, MIDDLE, LAST = 0, 1, 2  # where a row lies among the rows that share one row of a smaller map


class ConvOnEnlarged(nn.Module):
    """3×3 convolution of a map enlarged by the nearest neighbour, computed on the small map.

    Where neighbouring rows of the enlarged map are copies of each other, their weights are added up first: of
    the arithmetic, 4/9 remain at a factor of 2 and 1/4 at 4.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.bias = nn.Parameter(bias, requires_grad=False)
        kernels = [weight] if factor == 1 else [
            _fold_rows(_fold_rows(weight, row).transpose(2, 3), column).transpose(2, 3)
            for row in self._kinds()
            for column in self._kinds()
        ]  # fmt: skip
        self.kernels = nn.ParameterList(nn.Parameter(k.contiguous(), requires_grad=False) for k in kernels)

    def _kinds(self) -> tuple[int, ...]:
        return (FIRST, LAST) if self.factor == 2 else (FIRST, MIDDLE, LAST)

    def forward(self, small: torch.Tensor) -> torch.Tensor:
        """ReLU of the convolution, (N, C, factor·h, factor·w) from (N, c, h, w)."""
        if self.factor == 1:
            return F.relu(F.conv2d(small, self.kernels[0], self.bias, padding=1))
        height, width = small.shape[2:]
        padded = F.pad(small, (1, 1, 1, 1))
        count, outputs = small.shape[0], self.bias.shape[0]
        large = small.new_empty(count, outputs, height * self.factor, width * self.factor)
        kernels = iter(self.kernels)
        for row in self._kinds():
            rows = padded[:, :, _start(row) : _start(row) + height + (row != MIDDLE)]
            for column in self._kinds():
                part = rows[..., _start(column) : _start(column) + width + (column != MIDDLE)]
                value = F.relu(F.conv2d(part, next(kernels), self.bias))
                for y in self._phases(row):
                    for x in self._phases(column):
                        large[:, :, y :: self.factor, x :: self.factor] = value
        return large

    def _phases(self, kind: int) -> range:
        last = self.factor - 1
        return {FIRST: range(1), MIDDLE: range(1, last), LAST: range(last, last + 1)}[kind]


def _start(kind: int) -> int:
    return 0 if kind == FIRST else 1


def _fold_rows(weight: torch.Tensor, kind: int) -> torch.Tensor:
    """A kernel's three rows as those that are left where the enlarged rows repeat."""
    top, centre, bottom = weight.unbind(2)
    rows = {FIRST: [top, centre + bottom], MIDDLE: [top + centre + bottom], LAST: [top + centre, bottom]}[
        kind
    ]
    return torch.stack(rows, dim=2)


class Steering(nn.Module):
    """The scales and shifts of several SPADE norms that look at one map at one size."""

    def __init__(self, norms: Sequence[Spade], factor: int) -> None:
        super().__init__()
        shared = [norm.shared for norm in norms]
        self.shared = ConvOnEnlarged(
            torch.cat([conv.weight for conv in shared]), torch.cat([_bias(conv) for conv in shared]), factor
        )
        self.heads = nn.ModuleList(_scale_and_shift(norm) for norm in norms)

    def forward(self, seg: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(1 + gamma, beta) of each norm, in turn: together they would need much memory."""
        for part, head in zip(self.shared(seg).chunk(len(self.heads), dim=1), self.heads, strict=True):
            scale, shift = head(part).chunk(2, dim=1)
            yield scale, shift


def _scale_and_shift(norm: Spade) -> nn.Conv2d:
    gamma, beta = norm.mlp_gamma, norm.mlp_beta
    conv = nn.Conv2d(gamma.in_channels, 2 * gamma.out_channels, 3, padding=1)
    conv.weight.data = torch.cat([gamma.weight, beta.weight])
    conv.bias = nn.Parameter(torch.cat([_bias(gamma) + 1, _bias(beta)]))  # the 1 of 1 + gamma
    return conv


class FastSpadeBlock(nn.Module):
    """A `SpadeBlock` after all that can be computed beforehand."""

    def __init__(self, block: SpadeBlock, factor: int) -> None:
        super().__init__()
        norms = [block.norm_0, block.norm_1] + ([block.norm_s] if block.projects else [])
        self.steering = Steering(norms, factor)
        self.conv_0, self.conv_1 = _plain(block.conv_0), _plain(block.conv_1)
        self.conv_s = _plain(block.conv_s) if block.projects else None

    def forward(self, x: torch.Tensor, seg: torch.Tensor) -> torch.Tensor:
        steering = self.steering(seg)
        normal = F.instance_norm(x, eps=EPSILON)
        y = self.conv_0(F.leaky_relu(_steer(normal, *next(steering)), SLOPE))
        y = F.instance_norm(y, eps=EPSILON)
        y = self.conv_1(F.leaky_relu_(_steer(y, *next(steering)), SLOPE))
        return y + (x if self.conv_s is None else self.conv_s(_steer(normal, *next(steering))))


def _bias(conv: nn.Conv2d) -> torch.Tensor:
    assert conv.bias is not None
    return conv.bias


def _steer(normal: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    return torch.addcmul(shift, normal, scale)


def _plain(conv: SpectralConv) -> nn.Conv2d:
    weight = conv.weight()
    outputs, inputs, kernel, _ = weight.shape
    plain = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=conv.bias is not None)
    plain.weight.data = weight
    if conv.bias is not None:
        plain.bias = nn.Parameter(conv.bias)
    return plain


class FastSpadeDecoder(nn.Module):
    """A `SpadeDecoder` after all that can be computed beforehand."""

    def __init__(self, decoder: SpadeDecoder) -> None:
        super().__init__()
        self.fc, self.conv_img = decoder.fc, decoder.conv_img
        self.blocks = nn.ModuleList(
            FastSpadeBlock(decoder.middle_block(number), 1) for number in range(decoder.middle)
        )
        self.up_0, self.up_1 = FastSpadeBlock(decoder.up_0, 2), FastSpadeBlock(decoder.up_1, 4)

    def forward(self, seg: torch.Tensor) -> torch.Tensor:
        x = self.fc(seg)
        for block in self.blocks:
            x = block(x, seg)
        x = self.up_0(double(x), seg)
        x = self.up_1(double(x), seg)
        return torch.sigmoid(self.conv_img(F.leaky_relu(x, SLOPE)))


def reduced(generator: Generator, kind: torch.dtype) -> Generator:
    """The same generator with the numbers of its large parts in `kind`. Changes the given one.

    What is known of the source, and all places in it, stay in float32.
    """
    motion = generator.dense_motion_network
    parts = (
        motion.hourglass,
        motion.mask,
        motion.occlusion,
        generator.third,
        generator.fourth,
        generator.decoder,
    )
    for part in parts:
        part.to(kind)
    return generator


def faster(generator: Generator) -> Generator:
    """The generator with batch norms folded into convolutions and its decoder rearranged; a copy."""
    with torch.no_grad():
        made = deepcopy(generator).eval()
        for module in made.modules():
            if isinstance(module, ConvBlock):
                module.fold()
        assert isinstance(made.decoder, SpadeDecoder)
        made.decoder = FastSpadeDecoder(made.decoder)
    return made.requires_grad_(False)
