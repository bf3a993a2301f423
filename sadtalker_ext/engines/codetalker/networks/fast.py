"""Both stages frame by frame at a cost that does not grow with what came before."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .autoencoder import VQAutoEncoder
from .code_query import CodeQuery, slopes
from .layers import EPSILON, KERNEL, SLOPE

EDGE = KERNEL // 2  # frames at the end of a prefix whose convolution the next frames will change


class StepQuery:
    """Stage 2 with keys and values kept: `CodeQuery.attend` for the newest frame alone.

    Attention reaches back over `window` frames; within them the result is that of `attend` up to rounding.
    """

    def __init__(self, query: CodeQuery, window: int) -> None:
        self.query, self.window = query, window
        self.heads, width = query.sizes.heads, query.sizes.width
        self.layers = list(query.transformer_decoder.layers)
        like = query.feat_map.weight
        shape = (len(self.layers), 1, self.heads, window, width // self.heads)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.numbers = torch.zeros(window, dtype=torch.long, device=like.device)  # which frame lies where
        self.slopes = slopes(self.heads).to(like)[:, None]
        self.heard: list[tuple[torch.Tensor, torch.Tensor | None]] = []
        self.offset = self.count = 0

    def listen(self, heard: torch.Tensor) -> None:
        """Take what the next frames look at, (1, M, width): it replaces what was given before."""
        width, keys = self.query.sizes.width, self.query.rhythm.keys
        self.offset, self.heard = self.count, []
        for layer in self.layers:
            look = layer.multihead_attn
            if keys == 1:  # a frame that looks at one row takes its value, whatever it asks
                value = F.linear(heard[0], look.in_proj_weight[2 * width :], look.in_proj_bias[2 * width :])
                self.heard.append((look.out_proj(value), None))
                continue
            both = F.linear(heard[0], look.in_proj_weight[width:], look.in_proj_bias[width:])
            by_head = both.view(-1, keys, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
            self.heard.append((by_head[0].contiguous(), by_head[1].contiguous()))

    def step(self, embedded: torch.Tensor) -> torch.Tensor:
        """Features (1, slots · code) of the next frame, embedded (1, width)."""
        slot = self.count % self.window
        self.numbers[slot] = self.count
        filled = min(self.count + 1, self.window)
        ago = self.count - self.numbers[:filled]
        bias = (-self.slopes * (ago // self.query.period))[None, :, None].to(embedded.dtype)
        x = embedded + self.query.positions(1, self.count)
        row = self.count - self.offset
        for number, (layer, heard) in enumerate(zip(self.layers, self.heard, strict=True)):
            own = layer.self_attn
            asked, key, value = (
                part.view(1, self.heads, 1, -1)
                for part in F.linear(x, own.in_proj_weight, own.in_proj_bias).chunk(3, dim=-1)
            )
            keys, values = self.keys[number], self.values[number]
            keys[:, :, slot], values[:, :, slot] = key[:, :, 0], value[:, :, 0]
            seen = F.scaled_dot_product_attention(asked, keys[:, :, :filled], values[:, :, :filled], bias)
            x = layer.norm1(x + own.out_proj(seen.reshape(1, -1)))
            x = layer.norm2(x + self._look(layer.multihead_attn, x, heard, row))
            x = layer.norm3(x + layer.linear2(F.relu(layer.linear1(x))))
        self.count += 1
        return self.query.feat_map(x)

    def _look(
        self,
        look: nn.MultiheadAttention,
        x: torch.Tensor,
        heard: tuple[torch.Tensor, torch.Tensor | None],
        row: int,
    ) -> torch.Tensor:
        keys, values = heard
        if values is None:
            return keys[row : row + 1]
        width = x.shape[-1]
        asked = F.linear(x, look.in_proj_weight[:width], look.in_proj_bias[:width])
        seen = F.scaled_dot_product_attention(
            asked.view(1, self.heads, 1, -1), keys[row : row + 1], values[row : row + 1]
        )
        return look.out_proj(seen.reshape(1, -1))


class Loop(nn.Module):
    """The last layer of stage 1 and the first of stage 2 in one: both are linear, with a mesh in between."""

    def __init__(self, stage1: VQAutoEncoder, stage2: CodeQuery) -> None:
        super().__init__()
        last, first = stage1.decoder.vertice_map_reverse, stage2.vertice_map
        bias = first.bias if last.bias is None else first(last.bias)
        self.weight = nn.Parameter(first.weight @ last.weight, requires_grad=False)
        self.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.weight, self.bias)


class Moments(NamedTuple):
    """Of rows so far: how many, their mean and their summed squared distances from it, each (width,)."""

    number: int
    mean: torch.Tensor
    spread: torch.Tensor

    def with_rows(self, rows: torch.Tensor) -> Moments:
        """And of more rows (n, width); no large numbers are subtracted from each other."""
        if not len(rows):
            return self
        number, mean = self.number + len(rows), rows.mean(0)
        apart = mean - self.mean
        spread = self.spread + (rows - mean).square().sum(0)
        spread = spread + apart.square() * (self.number * len(rows) / number)
        return Moments(number, self.mean + apart * (len(rows) / number), spread)


class PrefixDecoder:
    """Stage 1 for the newest frame of a growing prefix.

    Norms are those over all frames so far. Whenever the prefix has grown by a `growth`-th, up to `window` of
    its latest frames are decoded anew; in between, the frames since then look at the keys and values of that
    time. The first 2 · `growth` frames therefore give what `VQAutoEncoder.hidden` gives, up to rounding.
    """

    def __init__(self, stage1: VQAutoEncoder, growth: int, window: int) -> None:
        self.decoder, self.over_clip = stage1.decoder, stage1.compat.norm == "clip"
        self.growth, self.window = growth, window
        conv = self.decoder.expander[0][0]  # type: ignore[index]
        assert isinstance(conv, nn.Conv1d)
        assert conv.bias is not None
        # One matrix of all taps: a few frames at a time are too few for a convolution's routines.
        self.taps, self.bias = conv.weight.permute(0, 2, 1).flatten(1).contiguous(), conv.bias
        self.count = 0
        self.inputs: deque[torch.Tensor] = deque(maxlen=2 * EDGE + 2)
        self.rows: deque[torch.Tensor] = deque(maxlen=window)  # of the convolution, which stay as they are
        self.kept: list[tuple[torch.Tensor, torch.Tensor]] = []  # keys and values of each layer
        self.behind = 0  # rows at the start of `rows` whose keys and values are in `kept`
        self.settled = Moments(0, torch.zeros_like(self.bias), torch.zeros_like(self.bias))
        self.mean = self.scale = torch.zeros_like(self.bias)

    def step(self, features: torch.Tensor) -> torch.Tensor:
        """(1, width), of which the frame's offsets are a linear function; features: (1, slots · code)."""
        self.inputs.append(self.decoder.pre(features[None])[0])
        self.count += 1
        fresh = self._convolved()
        final = fresh[:-EDGE] if self.count > EDGE else fresh[:0]
        edges = fresh[len(final) :]
        self._remember(final, edges)
        if len(self.rows) - self.behind >= max(1, len(self.rows) // self.growth):
            self.behind, self.kept = 0, []
        rows = torch.cat([*list(self.rows)[self.behind :], edges])
        first = min(self.count, self.window + EDGE) - len(rows)
        return self._transformed(self.decoder.place(self.normal(rows)[None], first), len(edges))

    def block(self, features: torch.Tensor, context: int) -> torch.Tensor:
        """(T, width) of a stretch of features (context + T, ·), normalised with all frames so far."""
        x = self.decoder.pre(features[None]).transpose(1, 2)
        x = F.pad(x, (EDGE, EDGE), mode="replicate")
        conv = self.decoder.expander[0][0]  # type: ignore[index]
        rows = F.leaky_relu(F.conv1d(x, conv.weight, conv.bias), SLOPE)[0].t()[context:]
        return self.decoder.decoder_transformer(self.decoder.place(self.normal(rows)[None]))[0]

    def normal(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (n, width) of the convolution, normalised as the networks were trained."""
        if self.over_clip:
            return (rows - self.mean) * self.scale
        return F.layer_norm(rows, rows.shape[1:], eps=EPSILON)

    def _transformed(self, x: torch.Tensor, edges: int) -> torch.Tensor:
        """The last row of what the transformer makes of x (1, n, width) and of what is kept."""
        parts: list[Any] = list(self.decoder.decoder_transformer.net)
        keeping = self.behind == 0 and len(self.rows) >= 2 * self.growth
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        for number in range(0, len(parts), 2):
            normed, rows = parts[number].fn, slice(-1 if number == len(parts) - 2 else None, None)
            asked, keys, values = normed.fn.parts(normed.norm(x), rows)
            if keeping:
                kept.append((keys[:, :, :-edges].clone(), values[:, :, :-edges].clone()))
            elif self.kept:
                before = self.kept[number // 2]
                keys, values = torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2)
            x = parts[number + 1](x[:, rows] + normed.fn.look(asked, keys, values))
        if keeping:
            self.kept, self.behind = kept, len(self.rows)
        return x[0]

    def _convolved(self) -> torch.Tensor:
        """The rows of the last three frames, of which the last two may still change."""
        kept, newest = list(self.inputs), self.count - 1
        oldest = self.count - len(kept)
        wanted = range(max(0, newest - EDGE), newest + 1)
        windows = [
            torch.cat([kept[min(max(at, 0), newest) - oldest] for at in range(row - EDGE, row + EDGE + 1)], 1)
            for row in wanted
        ]
        return F.leaky_relu(F.linear(torch.cat(windows), self.taps, self.bias), SLOPE)

    def _remember(self, final: torch.Tensor, edges: torch.Tensor) -> None:
        if len(final):
            if len(self.rows) == self.window and self.behind:
                self.behind -= 1
                self.kept = [(keys[:, :, 1:], values[:, :, 1:]) for keys, values in self.kept]
            self.rows.append(final)
        if self.over_clip:
            self.settled = self.settled.with_rows(final)
            so_far = self.settled.with_rows(edges)
            self.mean, self.scale = so_far.mean, (so_far.spread / so_far.number + EPSILON).rsqrt()
