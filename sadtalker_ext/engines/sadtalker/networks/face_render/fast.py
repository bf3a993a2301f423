"""The face render's networks rearranged: the same numbers up to rounding, with less arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import ConvBlock
from .dense_motion import DenseMotion
from .enlarged import PhasedConv, Place, kinds, room, rows_of_kinds, rows_of_phases
from .generator import Generator
from .spade import EPSILON, SLOPE, Spade, SpadeBlock, SpadeDecoder, SpectralConv

# Inputs times outputs of a 3D convolution: with more, its weights take longer to read in phases than at once.
MOST_PHASED = 512 * 128


class SteeredNorm(nn.Module):
    """A SPADE norm's scale and shift, phase by phase: as a whole they would need much memory.

    factor: how many times as large as the map that steers it the result is. projection: a convolution
    (C', C, 1, 1) that follows without a non-linearity between; the shifts are then given after it.
    """

    def __init__(self, norm: Spade, factor: int, projection: torch.Tensor | None = None) -> None:
        super().__init__()
        self.factor, self.channels = factor, norm.mlp_gamma.out_channels
        shared, gamma, beta = norm.shared, norm.mlp_gamma, norm.mlp_beta
        self.shared = PhasedConv(shared.weight, _bias(shared), rows_of_kinds(factor))
        shift, offset = beta.weight, _bias(beta)
        if projection is not None:
            matrix = projection[:, :, 0, 0]
            shift, offset = torch.einsum("oc,chyx->ohyx", matrix, shift), matrix @ offset
        weight = torch.cat([gamma.weight, shift])
        bias = torch.cat([_bias(gamma) + 1, offset])  # the 1 of 1 + gamma
        self.heads = PhasedConv(weight, bias, rows_of_phases(factor), kinds(factor))

    def phases(
        self, normal: torch.Tensor, seg: torch.Tensor
    ) -> Iterator[tuple[Place, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Rows and columns of the result, and there the normalised map, its scale and its shift.

        normal: (N, C, H, W), of the result's size or half of it. seg: the map that steers, padded by 1.
        """
        height, width = (side - 2 for side in seg.shape[2:])
        count = kinds(self.factor)
        size = (len(seg), len(self.shared.bias), count * height + 2, count * width + 2)
        condensed = room(seg, size).zero_()
        inside = condensed[:, :, 1:-1, 1:-1]
        for place, value in self.shared(seg, height, width):
            inside[(..., *place)] = F.relu_(value)
        copies = height * self.factor // normal.shape[2]
        for place, value in self.heads(condensed, height, width):
            rows, columns = (slice(line.start // copies, None, self.factor // copies) for line in place)
            yield place, normal[..., rows, columns], value[:, : self.channels], value[:, self.channels :]

    def forward(self, normal: torch.Tensor, seg: torch.Tensor) -> torch.Tensor:
        """The norm's result after its leaky ReLU."""
        height, width = (self.factor * (side - 2) for side in seg.shape[2:])
        result = room(seg, (len(seg), self.channels, height, width))
        for place, part, scale, shift in self.phases(normal, seg):
            result[(..., *place)] = F.leaky_relu_(torch.addcmul(shift, part, scale), SLOPE)
        return result


class FastSpadeBlock(nn.Module):
    """A `SpadeBlock` after all that can be computed beforehand, and the doubling before it."""

    def __init__(self, block: SpadeBlock, factor: int) -> None:
        super().__init__()
        self.norm_0, self.norm_1 = SteeredNorm(block.norm_0, factor), SteeredNorm(block.norm_1, factor)
        self.conv_0, self.conv_1 = _plain(block.conv_0), _plain(block.conv_1)
        self.conv_s: nn.Conv2d | None = None
        if block.projects:
            self.conv_s = _plain(block.conv_s)
            self.norm_s = SteeredNorm(block.norm_s, factor, self.conv_s.weight)

    def forward(self, x: torch.Tensor, seg: torch.Tensor) -> torch.Tensor:
        """x: (N, C, H, W), not doubled yet. seg: the map that steers, padded by 1."""
        normal = _normalised(x)
        y = self.conv_0(self.norm_0(normal, seg))
        y = self.conv_1(self.norm_1(_normalised(y), seg))
        if self.conv_s is None:
            return y.add_(x)
        for place, part, scale, shift in self.norm_s.phases(normal, seg):
            y[(..., *place)] += self.conv_s(part * scale).add_(shift)
        return y


def _normalised(x: torch.Tensor) -> torch.Tensor:
    # For one frame these are the same, but only the former knows maps whose channels lie side by side.
    if len(x) == 1:
        return F.batch_norm(x, None, None, training=True, eps=EPSILON)
    return F.instance_norm(x, eps=EPSILON)


def _bias(conv: nn.Conv2d) -> torch.Tensor:
    assert conv.bias is not None
    return conv.bias


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
        seg = F.pad(seg, (1, 1, 1, 1))
        for block in (*self.blocks, self.up_0, self.up_1):
            x = block(x, seg)
        return torch.sigmoid(self.conv_img(F.leaky_relu(x, SLOPE)))


class PhasedUpBlock(nn.Module):
    """A 3D `ConvBlock` that doubles height and width, folded, without the doubled map."""

    def __init__(self, block: ConvBlock) -> None:
        super().__init__()
        assert block.conv.bias is not None
        self.conv = PhasedConv(block.conv.weight, block.conv.bias, rows_of_kinds(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[3:]
        result = room(x, (len(x), len(self.conv.bias), x.shape[2], 2 * height, 2 * width))
        for place, part in self.conv(F.pad(x, (1, 1, 1, 1)), height, width):
            result[(..., *place)] = F.relu_(part)
        return result


class FlatConv3d(nn.Module):
    """A 3D convolution as one of flat maps, a tap in depth beside the other, whose results are then added up.

    With few outputs the latter keeps a processor busier.
    """

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        outputs, inputs, self.taps, *size = conv.weight.shape
        flat = conv.weight.permute(2, 0, 1, 3, 4).reshape(self.taps * outputs, inputs, *size)
        assert conv.bias is not None
        self.weight, self.bias = nn.Parameter(flat), nn.Parameter(conv.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, outputs, D, H, W) in float32 from (N, inputs, D, H, W)."""
        count, _, depth, height, width = x.shape
        maps = F.conv2d(x.transpose(1, 2).flatten(0, 1), self.weight, padding=self.weight.shape[-1] // 2)
        maps = maps.unflatten(1, (self.taps, -1)).unflatten(0, (count, depth))
        reach = self.taps - 1
        size = (count, depth + reach, len(self.bias), height, width)
        total = torch.zeros(size, device=x.device)
        for tap in range(self.taps):
            total[:, reach - tap : reach - tap + depth] += maps[:, :, tap]
        middle = total[:, reach // 2 : reach // 2 + depth]
        return middle.transpose(1, 2) + self.bias.float()[:, None, None, None]


def faster(generator: Generator) -> Generator:
    """The generator with its decoder rearranged; a copy.

    The portrait's features and the dense motion add up in the order they had: where rounding moves a share of
    the motion's mask over its limit, pixels change that can be seen.
    """
    with torch.no_grad():
        made = deepcopy(generator).eval()
        for module in (made.third, *made.dense_motion_network.hourglass.modules()):
            if isinstance(module, ConvBlock):
                module.fold()
        assert isinstance(made.decoder, SpadeDecoder)
        made.decoder = FastSpadeDecoder(made.decoder)
        for part in (made.decoder, made.third, made.fourth):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made.requires_grad_(False)


def reduced(generator: Generator, kind: torch.dtype) -> Generator:
    """A rearranged generator with the numbers of its large parts in `kind`. Changes the given one.

    What is known of the source, and all places in it, stay in float32. For other kinds than that the dense
    motion is rearranged too, since their rounding outweighs the order of the sums by far.
    """
    motion = generator.dense_motion_network
    if kind != torch.float32:
        _rearrange(motion)
    of_motion = (motion.hourglass, motion.mask, motion.occlusion)
    for part in (*of_motion, generator.third, generator.fourth, generator.decoder):
        part.to(kind)
    return generator


def _rearrange(motion: DenseMotion) -> None:
    up_blocks = motion.hourglass.decoder.up_blocks
    for number, block in enumerate(up_blocks):
        assert isinstance(block, ConvBlock)
        if block.conv.in_channels * block.conv.out_channels <= MOST_PHASED:
            up_blocks[number] = PhasedUpBlock(block)
    motion.mask = FlatConv3d(motion.mask).requires_grad_(False)  # type: ignore[assignment]
    for flat in (motion.mask, motion.occlusion):
        flat.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    motion.hourglass.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
