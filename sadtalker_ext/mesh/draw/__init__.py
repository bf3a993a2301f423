"""The mesh renderer: a face mesh and its motion into shaded frames, by software alone."""

from __future__ import annotations

from .renderer import MeshRenderer

__all__ = ["MeshRenderer"]
