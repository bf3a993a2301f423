"""SadTalker's 3D-aware face render: a portrait and coefficients become frames."""

from __future__ import annotations

from ..loading import FaceNetworks, load_networks
from .renderer import FaceRenderer
from .source import SourceFace, source_face

__all__ = ["FaceNetworks", "FaceRenderer", "SourceFace", "load_networks", "source_face"]
