"""The mesh renderer: a face mesh and its motion into shaded frames, by software alone."""

from __future__ import annotations

from .renderer import Figure, MeshRenderer, TemplateFigure

__all__ = ["Figure", "MeshRenderer", "TemplateFigure"]
