"""Vectors into the nearest entries of a codebook, and how far off they were."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

COMMITMENT = 0.25  # weight of what draws the encoder to the codebook


@dataclass(frozen=True, eq=False)
class Quantised:
    """features: as given, moved onto the codebook; their gradient passes on unchanged. codes: (…) int64.

    loss: () what draws entries and vectors together. perplexity: () of the entries in use, 1 to all.
    """

    features: torch.Tensor
    codes: torch.Tensor
    loss: torch.Tensor
    perplexity: torch.Tensor


class Quantiser(nn.Module):
    """One codebook (entries, width) for all slots of a frame."""

    def __init__(self, entries: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(entries, width)
        nn.init.uniform_(self.embedding.weight, -1 / entries, 1 / entries)

    def distances(self, vectors: torch.Tensor) -> torch.Tensor:
        """Squared distances (n, entries) of vectors (n, width)."""
        book = self.embedding.weight
        squares = vectors.square().sum(1, keepdim=True) + book.square().sum(1)
        return squares - 2 * torch.matmul(vectors, book.t())

    def nearest(self, features: torch.Tensor) -> torch.Tensor:
        """Codes (…, slots) of features (…, slots · width)."""
        width = self.embedding.embedding_dim
        return self.distances(features.detach().reshape(-1, width)).argmin(1).view(*features.shape[:-1], -1)

    def lookup(self, codes: torch.Tensor) -> torch.Tensor:
        """Features (…, slots · width) of codes (…, slots)."""
        return self.embedding(codes).flatten(-2)

    def snap(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features, codes): moved onto the codebook as training does it, which rounds a little."""
        codes = self.nearest(features)
        return features + (self.lookup(codes) - features).detach(), codes

    def forward(self, features: torch.Tensor) -> Quantised:
        """features: (…, slots · width)."""
        codes = self.nearest(features)
        entries = self.lookup(codes)
        loss = COMMITMENT * (entries.detach() - features).square().mean()
        loss = loss + (entries - features.detach()).square().mean()
        share = torch.bincount(codes.flatten(), minlength=self.embedding.num_embeddings) / codes.numel()
        perplexity = torch.exp(-(share * torch.log(share + 1e-10)).sum())
        return Quantised(features + (entries - features).detach(), codes, loss, perplexity)
