"""Stage 2 over a growing prefix, as published, without what every step would compute again alike."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .code_query import CodeQuery


class PrefixQuery:
    """`CodeQuery.attend` for prefixes of one clip: keys and values of what was heard are made once.

    A frame that looks at one row of sound takes exactly its value, whatever the query, so no query is made.
    Results equal those of `attend` bit by bit where the processor's routines depend on shapes alone.
    """

    def __init__(self, query: CodeQuery, heard: torch.Tensor) -> None:
        """heard: (1, M, width), of `CodeQuery.hear`."""
        self.query, self.heads = query, query.sizes.heads
        self.pairs = query.rhythm.keys > 1
        self.looks: list[nn.MultiheadAttention] = [
            layer.multihead_attn for layer in query.transformer_decoder.layers
        ]
        frames = heard.shape[1] // query.rhythm.keys
        self.bias, self.looking = query.bias(frames), query.looking(frames, heard.shape[1])
        width = heard.shape[2]
        self.heard = []
        for look in self.looks:
            both = F.linear(heard, look.in_proj_weight[width:], look.in_proj_bias[width:])
            keys, values = both.chunk(2, dim=-1)
            self.heard.append((self._by_head(keys), self._by_head(values)))

    def attend(self, placed: torch.Tensor) -> torch.Tensor:
        """Features (1, n, slots · code) of the first n placed frames."""
        count = placed.shape[1]
        bias = self.bias[:, :count, :count]
        x = placed
        for layer, (keys, values) in zip(self.query.transformer_decoder.layers, self.heard, strict=True):
            x = layer.norm1(x + layer.self_attn(x, x, x, attn_mask=bias, need_weights=False)[0])
            x = layer.norm2(x + self._look(layer.multihead_attn, x, keys, values))
            x = layer.norm3(x + layer.linear2(F.relu(layer.linear1(x))))
        return self.query.feat_map(x)

    def _look(
        self, look: nn.MultiheadAttention, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        count, width = x.shape[1:]
        if self.pairs:
            asked = self._by_head(F.linear(x, look.in_proj_weight[:width], look.in_proj_bias[:width]))
            hidden = torch.zeros_like(self.looking[:count], dtype=x.dtype)
            hidden = hidden.masked_fill_(self.looking[:count], float("-inf"))
            seen = F.scaled_dot_product_attention(asked, keys, values, hidden)
        else:
            seen = values[:, :, :count]
        return look.out_proj(seen.transpose(1, 2).reshape(1, count, width))

    def _by_head(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2).contiguous()
