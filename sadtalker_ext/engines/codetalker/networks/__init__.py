"""CodeTalker's networks: motion of a mesh into codes and back, and speech into codes."""

from __future__ import annotations

from .autoencoder import BIWI_SIZES, VOCASET_SIZES, Reconstruction, Sizes, VQAutoEncoder
from .code_query import BIWI_QUERY, VOCASET_QUERY, CodeQuery, QuerySizes, Taught
from .compat import BIWI, PUBLISHED, SOUND, VOCASET, Compat, Rhythm

__all__ = [
    "BIWI", "BIWI_QUERY", "BIWI_SIZES", "PUBLISHED", "SOUND", "VOCASET", "VOCASET_QUERY", "VOCASET_SIZES",
    "CodeQuery", "Compat", "QuerySizes", "Reconstruction", "Rhythm", "Sizes", "Taught", "VQAutoEncoder",
]  # fmt: skip
