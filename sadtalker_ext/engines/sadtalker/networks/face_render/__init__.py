"""The 3D-aware face render of SadTalker: source features, dense motion and the SPADE decoder."""

from __future__ import annotations

from .dense_motion import DenseMotion, Warp
from .generator import Generator, SourceFeatures
from .spade import SpadeDecoder

__all__ = ["DenseMotion", "Generator", "SourceFeatures", "SpadeDecoder", "Warp"]
