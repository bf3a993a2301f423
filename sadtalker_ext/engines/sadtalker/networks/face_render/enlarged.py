"""3×3 convolutions of maps that the nearest neighbour enlarged, computed without the copies of a pixel.

Of an enlarged map, and of what a 3×3 convolution makes of it, many rows are equal: at a factor f only
min(f, 3) in each f differ, the first, the last and those between. A map that keeps one row of each kind is
called condensed here. Rows of the result that lie at the same place among their f are a phase.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn

TAPS = (-1, 0, 1)
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}  # that have a pixel's channels side by side

Place = tuple[slice, slice]  # rows and columns


def kinds(factor: int) -> int:
    """How many rows a condensed map keeps of each `factor`."""
    return min(factor, 3)


def rows_of_kinds(factor: int) -> list[list[int]]:
    """Rows of the small map under the three taps, for each kind of row of the enlarged one."""
    examples = sorted({0, min(1, factor - 1), factor - 1})
    return [[(row + tap) // factor for tap in TAPS] for row in examples]


def rows_of_phases(factor: int) -> list[list[int]]:
    """Rows of the condensed map under the three taps, for each phase."""

    def condensed(row: int) -> int:
        unit, phase = divmod(row, factor)
        kind = 0 if phase == 0 else kinds(factor) - 1 if phase == factor - 1 else 1
        return unit * kinds(factor) + kind

    return [[condensed(phase + tap) for tap in TAPS] for phase in range(factor)]


class PhasedConv(nn.Module):
    """A 3×3 convolution, (3×)3×3 in a volume, whose taps fall on the same row or column in some phases.

    There their weights are added up first, which leaves less arithmetic. rows: the three taps' places in the
    first output of each phase, ascending; columns likewise. stride: from one output of a phase to its next.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor, rows: Sequence[Sequence[int]], stride: int = 1
    ) -> None:
        super().__init__()
        self.stride, self.phases = stride, len(rows)
        self.kernels, self.bias = nn.ParameterList(), nn.Parameter(bias, requires_grad=False)
        numbers: dict[tuple[tuple[int, ...], ...], int] = {}  # of kernels, by how their taps fall together
        self._plan: list[tuple[int, int, int]] = []  # kernel, first row, first column; by phase
        for down in rows:
            for across in rows:
                fall = tuple(tuple(place - line[0] for place in line) for line in (down, across))
                if fall not in numbers:
                    numbers[fall] = len(numbers)
                    kernel = _summed(_summed(weight, fall[0], -2), fall[1], -1)
                    self.kernels.append(nn.Parameter(kernel, requires_grad=False))
                self._plan.append((numbers[fall], down[0], across[0]))

    def forward(self, padded: torch.Tensor, height: int, width: int) -> Iterator[tuple[Place, torch.Tensor]]:
        """Each phase (N, C, …, height, width), with the rows and columns of the whole result that it is.

        padded: the map with a margin of one pixel.
        """
        flat = padded.ndim == 4
        for number, (kernel, top, left) in enumerate(self._plan):
            weight, step = self.kernels[kernel], self.stride
            rows, columns = (
                slice(first + 1, first + 1 + (count - 1) * step + taps)
                for first, count, taps in zip((top, left), (height, width), weight.shape[-2:], strict=True)
            )
            part = padded[..., rows, columns]
            if flat:
                value = F.conv2d(part, weight, self.bias, stride=step)
            else:
                value = F.conv3d(part, weight, self.bias, stride=(1, step, step), padding=(1, 0, 0))
            row, column = divmod(number, self.phases)
            yield (slice(row, None, self.phases), slice(column, None, self.phases)), value


def _summed(weight: torch.Tensor, fall: Sequence[int], dimension: int) -> torch.Tensor:
    """The weight with those of its three taps added up that fall on one place."""
    taps = weight.unbind(dimension)
    places = range(fall[-1] + 1)
    fallen = list(zip(taps, fall, strict=True))
    sums = [sum((tap for tap, at in fallen if at == place), 0 * taps[0]) for place in places]
    return torch.stack(sums, dimension)


def room(like: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """A tensor of no particular content, with its channels side by side where `like` has them so."""
    layout = LAYOUTS[like.ndim]
    if not like.is_contiguous(memory_format=layout):
        layout = torch.contiguous_format
    return torch.empty(tuple(size), dtype=like.dtype, device=like.device, memory_format=layout)
