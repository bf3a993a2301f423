"""The parts of stage 1: transformers without a mask, and convolutions over time that normalise."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from .compat import Compat

KERNEL = 5  # frames
SLOPE = 0.2  # of the leaky ReLU
EPSILON = 1e-5
DROPOUT = 0.1
BASE = 10000.0  # of the sines


def sines(positions: torch.Tensor, width: int) -> torch.Tensor:
    """Position codes (…, width): sines of falling frequency in even channels, cosines in odd ones."""
    device = positions.device
    rate = torch.exp(torch.arange(0, width, 2, device=device).float() * (-math.log(BASE) / width))
    angle = positions[..., None].float() * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


class Attention(nn.Module):
    """Every frame looks at every frame: (B, T, width) -> the same shape."""

    def __init__(self, width: int, heads: int, compat: Compat) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Linear(width, width)
        self.heads = heads
        # torch divides by the root of a head's width.
        self.gain = math.sqrt(1 / heads) if compat.scale_by_width else 1.0

    def forward(self, x: torch.Tensor, rows: slice = slice(None)) -> torch.Tensor:
        """Only for the frames in `rows`, which look at all."""
        return self.look(*self.parts(x, rows))

    def parts(
        self, x: torch.Tensor, rows: slice = slice(None)
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What frames in `rows` ask, and keys and values of all, each (B, heads, T, d)."""
        width = x.shape[-1]
        if rows == slice(None):
            query, keys = self.to_qkv(x).split((width, 2 * width), dim=-1)
        else:
            query = F.linear(x[:, rows], self.to_qkv.weight[:width])
            keys = F.linear(x, self.to_qkv.weight[width:])
        key, value = keys.chunk(2, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (query * self.gain, key, value))
        return q, k, v

    def look(self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """(B, T, width)."""
        return self.to_out(F.scaled_dot_product_attention(query, keys, values).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.l1, self.l2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor, rows: slice = slice(None)) -> torch.Tensor:
        return self.l2(F.gelu(self.l1(x[:, rows]), approximate="tanh"))


class Normed(nn.Module):
    """A layer norm before another module."""

    def __init__(self, width: int, inner: nn.Module) -> None:
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), inner

    def forward(self, x: torch.Tensor, rows: slice = slice(None)) -> torch.Tensor:
        return self.fn(self.norm(x), rows)


class Residual(nn.Module):
    """What comes in, and what a module makes of it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.fn = inner

    def forward(self, x: torch.Tensor, rows: slice = slice(None)) -> torch.Tensor:
        return x[:, rows] + self.fn(x, rows)


class Transformer(nn.Module):
    """Attention and MLP in turn, norms first, none at the end."""

    def __init__(self, width: int, hidden: int, layers: int, heads: int, compat: Compat) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(
                Residual(Normed(width, part))
                for _ in range(layers)
                for part in (Attention(width, heads, compat), Mlp(width, hidden))
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class Positions(nn.Module):
    """Adds position codes as `Compat.positions` says, then drops out: (B, T, width) -> the same shape."""

    def __init__(self, compat: Compat) -> None:
        super().__init__()
        self.kind = compat.positions
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor, first: int = 0) -> torch.Tensor:
        """first: number of the first frame."""
        if self.kind != "none":
            x = x + self.codes(x, first)
        return self.dropout(x)

    def codes(self, x: torch.Tensor, first: int) -> torch.Tensor:
        """What is added, in a shape that fits."""
        batch, frames, width = x.shape
        if self.kind == "frame":
            return sines(first + torch.arange(frames, device=x.device), width).to(x.dtype)
        rows = torch.arange(batch if self.kind == "batch" else 1, device=x.device)
        return sines(rows, width)[:, None].to(x.dtype)


class TimeNorm(nn.Module):
    """Normalises (B, C, T) over the clip or within a frame, as `Compat.norm` says; it learns nothing."""

    def __init__(self, compat: Compat) -> None:
        super().__init__()
        self.kind = compat.norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "frame":
            return F.layer_norm(x.transpose(1, 2), x.shape[1:2], eps=EPSILON).transpose(1, 2)
        return F.instance_norm(x, eps=EPSILON)


def conv_block(width: int, compat: Compat, *more: nn.Module, stride: int = 1) -> nn.Sequential:
    """Convolution over five frames with the outermost repeated, leaky ReLU, norm, and what else is given."""
    conv = nn.Conv1d(width, width, KERNEL, stride, KERNEL // 2, padding_mode="replicate")
    return nn.Sequential(conv, nn.LeakyReLU(SLOPE), TimeNorm(compat), *more)


def enlarging_block(width: int, compat: Compat) -> nn.Sequential:
    """Twice the frames by a transposed convolution, leaky ReLU, norm."""
    conv = nn.ConvTranspose1d(width, width, KERNEL, 2, KERNEL // 2, output_padding=1)
    return nn.Sequential(conv, nn.LeakyReLU(SLOPE), TimeNorm(compat))
